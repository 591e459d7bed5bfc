"""A type, a default and a signature of a contract document, as Python would write them."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from contract_source import document, method, users
from typedrpc import ContractDocument
from typedrpc.changes import contract_changes
from typedrpc.cli.services import show
from typedrpc.cli.showing import signature_text
from typedrpc.schemas import JsonSchema


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


def shown(document: ContractDocument) -> list[str]:
    out = StringIO()
    show(document, Console(file=out, soft_wrap=True))
    return out.getvalue().splitlines()


def test_a_definition_without_fields_is_shown_by_what_it_is_and_not_by_its_name() -> None:
    counts = document(users(method("it: Counts"), before="class Counts(RootModel[dict[str, int]]): pass"))
    assert "Counts = dict[str, int]" in shown(counts)


@pytest.mark.parametrize(
    ("schema", "lines"),
    [({"properties": 5}, ["It = Any"]), ({"properties": {"x": True, "y": {}}}, ["It", "  x: Any", "  y: Any"])],
    ids=str,
)
def test_a_schema_of_anybody_is_shown(schema: JsonSchema, lines: list[str]) -> None:
    empty = ContractDocument(service="it", hash="", typedrpc="", methods=[], definitions={"It": schema})
    assert shown(empty) == ["service it", "", *lines]
