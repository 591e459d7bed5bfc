"""A type, a default and a signature of a contract document, as Python would write them."""

from __future__ import annotations

import pytest

from contract_source import document, method, users
from typedrpc.changes import contract_changes
from typedrpc.cli.showing import signature_text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("tuple[int, str]", "tuple[int, str]"),
        ("tuple[int, ...]", "list[int]"),
        ("list[set[int]]", "list[set[int]]"),
        ("frozenset[int]", "set[int]"),
        ("dict[str, tuple[datetime, Decimal | None]]", "dict[str, tuple[datetime, Decimal | None]]"),
    ],
)
def test_a_type_is_shown_as_python_writes_it(kind: str, text: str) -> None:
    assert signature_text(document(users(method(f"it: {kind}", kind))).methods[0]) == f"get(it: {text}) -> {text}"


@pytest.mark.parametrize("default", ["None", "True", "'x'", "1.5"])
def test_a_default_is_shown_as_python_writes_it_wherever_it_is_shown(default: str) -> None:
    parameter = f"it: float | str | bool | None = {default}"
    one, other = document(users(method(parameter))), document(users(method()))
    assert signature_text(one.methods[0]) == f"get({parameter}) -> None"
    assert [each.text for each in contract_changes(other, one)] == [f"added: {parameter.removeprefix('it: ')}"]
    field = document(users(method("m: M"), before=f"class M(BaseModel): x: int; {parameter}"))
    less = document(users(method("m: M"), before="class M(BaseModel): x: int"))
    assert [each.text for each in contract_changes(less, field)] == [f"added: {parameter.removeprefix('it: ')}"]
