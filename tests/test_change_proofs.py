"""What is said of the wire is proven by calls: of a client with the old contract at a server with the new, and the reverse."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from contract_source import NOBODY, RAISES, document, method, names_of, users
from typedrpc import InvalidArgument, Rpc, RpcError
from typedrpc.change_rules import RULES, TYPE_RULES
from typedrpc.changes import contract_changes
from typedrpc.codec import ReplyError, value_adapter


async def outcome(call: Callable[[], Coroutine[Any, Any, object]]) -> object:
    try:
        return await call()
    except RpcError as error:
        return type(error).__name__


async def called(client_of: str, server_of: str, expression: str) -> object:
    """What a call of one contract comes to at a server of another, as text."""
    names, other = names_of(client_of), names_of(server_of)
    rpc = Rpc.in_memory(timeout=2)
    rpc.serve(other["Users"]())
    async with rpc:
        users = rpc.client(names["Users"])
        return await outcome(lambda: eval(f"users.{expression}", {**names, "users": users}))


def served(*methods: str, before: str = "", options: str = "") -> str:
    return users(*methods, before=before, options=options, served=True)


def model(fields: str, options: str = "") -> str:
    return f"class M(BaseModel{options}):\n    {fields}\n"


def got(parameters: str, body: str, reply: str = "int", before: str = "", decorator: str = "", **more: str) -> str:
    return served(method(parameters, reply, body=body, decorator=decorator), before=before, **more)


TWO = "class A(BaseModel):\n    x: int\nclass B(BaseModel):\n    x: int\n"
A_AND_B = method("a: A, b: B", name="both", body="return None")
SPRING = "dialect='spring'"

# what a client of the old calls at a server of the new, and what it must get; the same of the new at the old
PROOFS: dict[str, tuple[str, str, tuple[str, object], tuple[str, object]]] = {
    "METHOD_ADDED": (
        served(method(reply="int", body="return 1")),
        served(method(reply="int", body="return 1"), method(name="put", body="return None")),
        ("get()", 1),
        ("put()", None),
    ),
    "METHOD_WIRE_NAME_CHANGED": (
        got("", "return 1"),
        got("", "return 1", decorator="name='x'"),
        ("get()", 1),
        ("get()", 1),
    ),
    "METHOD_RENAMED": (
        got("", "return 1"),
        served(method(reply="int", name="x", decorator="name='get'", body="return 1")),
        ("get()", 1),
        ("x()", 1),
    ),
    "TOPIC_CHANGED": (got("", "return 1"), got("", "return 1", options="topic='t'"), ("get()", 1), ("get()", 1)),
    "SERVICE_RENAMED": (
        got("", "return 1"),
        got("", "return 1").replace("'users'", "'people'"),
        ("get()", 1),
        ("get()", 1),
    ),
    "ONEWAY_ADDED": (
        got("", "return 1"),
        got("", "return None", "None", decorator="oneway=True"),
        ("get()", 1),
        ("get()", None),
    ),
    "TIMEOUT_CHANGED": (got("", "return 1"), got("", "return 1", decorator="timeout=1"), ("get()", 1), ("get()", 1)),
    "PARAMETER_ADDED_REQUIRED": (
        got("a: int", "return a"),
        got("a: int, b: int", "return a + b"),
        ("get(1)", 1),
        ("get(1, 2)", 3),
    ),
    "PARAMETER_ADDED_OPTIONAL": (
        got("a: int", "return a"),
        got("a: int, b: int = 0", "return a + b"),
        ("get(1)", 1),
        ("get(1, 2)", 3),
    ),
    "PARAMETER_ORDER_CHANGED": (
        got("a: int, b: int", "return a - b"),
        got("b: int, a: int", "return a - b"),
        ("get(3, 1)", 2),
        ("get(1, 3)", 2),
    ),
    "PARAMETER_KIND_CHANGED": (got("a: int", "return a"), got("*, a: int", "return a"), ("get(1)", 1), ("get(a=1)", 1)),
    "DEFAULT_CHANGED": (got("a: int = 1", "return a"), got("a: int = 2", "return a"), ("get()", 1), ("get()", 2)),
    "TYPE_WIDENED": (
        got("a: int", "return 1"),
        got("a: int | None", "return 1"),
        ("get(1)", 1),
        ("get(None)", 1),
    ),
    "TYPE_WIDENED in a reply": (
        got("", "return 1"),
        got("", "return None", "int | None"),
        ("get()", None),
        ("get()", 1),
    ),
    "TYPE_CHANGED": (
        got("a: int", "return 1"),
        got("a: str", "return 1"),
        ("get(1)", 1),
        ("get('x')", 1),
    ),
    "FORMAT_ADDED": (
        got("a: str", "return 1"),
        got("a: date", "return 1"),
        ("get('x')", 1),
        ("get(date.today())", 1),
    ),
    "ENUM_VALUE_ADDED": (
        got("a: Literal[1]", "return 1"),
        got("a: Literal[1, 2]", "return 1"),
        ("get(1)", 1),
        ("get(2)", 1),
    ),
    "ENUM_VALUE_ADDED in a reply": (
        got("", "return 1", "Literal[1]"),
        got("", "return 2", "Literal[1, 2]"),
        ("get()", 2),
        ("get()", 1),
    ),
    "CONSTRAINT_TIGHTENED": (
        got("a: int", "return 1"),
        got("a: Annotated[int, Field(le=5)]", "return 1"),
        ("get(9)", 1),
        ("get(5)", 1),
    ),
    "CONSTRAINT_LOOSENED in a reply": (
        got("", "return 5", "Annotated[int, Field(le=5)]"),
        got("", "return 9"),
        ("get()", 9),
        ("get()", 5),
    ),
    "FIELD_ADDED_REQUIRED": (
        got("m: M", "return m.x", before=model("x: int")),
        got("m: M", "return m.x + m.y", before=model("x: int; y: int")),
        ("get(M(x=1))", 1),
        ("get(M(x=1, y=2))", 3),
    ),
    "FIELD_ADDED_REQUIRED in a reply": (
        got("", "return M(x=1)", "M", model("x: int")),
        got("", "return M(x=1, y=2)", "M", model("x: int; y: int")),
        ("get()", "M(x=1)"),
        ("get()", "M(x=1, y=2)"),
    ),
    "FIELD_ADDED_OPTIONAL": (
        got("m: M", "return m.x", before=model("x: int")),
        got("m: M", "return m.x + m.y", before=model("x: int; y: int = 0")),
        ("get(M(x=1))", 1),
        ("get(M(x=1, y=2))", 3),
    ),
    "FIELD_ADDED_OPTIONAL in a reply": (
        got("", "return M(x=1)", "M", model("x: int")),
        got("", "return M(x=1, y=0)", "M", model("x: int; y: int = 0")),
        ("get()", "M(x=1)"),
        ("get()", "M(x=1, y=0)"),
    ),
    "FIELD_REMOVED_OPTIONAL in a reply": (
        got("", "return M(x=1, y=2)", "M", model("x: int; y: int = 0")),
        got("", "return M(x=1)", "M", model("x: int")),
        ("get()", "M(x=1, y=2)"),
        ("get()", "M(x=1)"),
    ),
    "ADDED_FIELD_REFUSED in a reply": (
        got("", "return M(x=1)", "M", model("x: int", ", extra='forbid'")),
        got("", "return M(x=1, y=0)", "M", model("x: int; y: int = 0", ", extra='forbid'")),
        ("get()", "M(x=1)"),
        ("get()", "M(x=1, y=0)"),
    ),
    "MODEL_RENAMED": (
        got("m: M", "return m.x", before=model("x: int")),
        got("m: M", "return m.x", before=model("x: int")).replace("M(", "N(").replace(": M", ": N"),
        ("get(M(x=1))", 1),
        ("get(N(x=1))", 1),
    ),
    "ERROR_ADDED": (
        got("", "raise NotFound('')", before=NOBODY),
        got("", "raise Nobody('', id=1)", before=NOBODY, decorator=RAISES),
        ("get()", "NotFound"),
        ("get()", "Nobody"),
    ),
    "ERROR_CODE_CHANGED": (
        got("", "raise Nobody('', id=1)", before=NOBODY, decorator=RAISES),
        got("", "raise Nobody('', id=1)", before=NOBODY.replace("NOT_FOUND", "ABORTED"), decorator=RAISES),
        ("get()", "Nobody"),
        ("get()", "Nobody"),
    ),
    "ERROR_BASE_CHANGED": (
        got("", "raise Nobody('', id=1)", before=NOBODY, decorator=RAISES),
        got("", "raise Nobody('', id=1)", before=NOBODY.replace("RpcError", "NotFound"), decorator=RAISES),
        ("get()", "Nobody"),
        ("get()", "Nobody"),
    ),
    "FIELD_ADDED_REQUIRED in an error": (
        got("", "raise Nobody('', id=1)", before=NOBODY, decorator=RAISES),
        got("", "raise Nobody('', id=1, x=2)", before=NOBODY + "    x: int\n", decorator=RAISES),
        ("get()", "Nobody"),
        ("get()", "Nobody"),
    ),
    "RETRY_CHANGED": (
        got("", "return 1", decorator="idempotent=True"),
        got("", "return 1", decorator="idempotent=True, retry=Retry()"),
        ("get()", 1),
        ("get()", 1),
    ),
    "PARAMETER_RENAMED": (
        got("a: int", "return a", options=SPRING),
        got("b: int", "return b", options=SPRING),
        ("get(a=1)", 1),
        ("get(b=1)", 1),
    ),
    "KEYWORD_ORDER_CHANGED": (
        got("*, a: int, b: int", "return a - b"),
        got("*, b: int, a: int", "return a - b"),
        ("get(a=3, b=1)", 2),
        ("get(a=3, b=1)", 2),
    ),
    "TYPE_CHANGED in a reply": (got("", "return 1"), got("", "return 'x'", "str"), ("get()", 1), ("get()", "x")),
    "TYPE_REPLACED": (
        served(method("m: A", "int", body="return m.x"), A_AND_B, before=TWO),
        served(method("m: B", "int", body="return m.x"), A_AND_B, before=TWO),
        ("get(A(x=1))", 1),
        ("get(B(x=1))", 1),
    ),
    "TYPE_REPLACED in a reply": (
        served(method(reply="A", body="return A(x=1)"), A_AND_B, before=TWO),
        served(method(reply="B", body="return B(x=1)"), A_AND_B, before=TWO),
        ("get()", "A(x=1)"),
        ("get()", "B(x=1)"),
    ),
    "MODEL_RENAMED in a reply": (
        got("", "return M(x=1)", "M", model("x: int")),
        got("", "return M(x=1)", "M", model("x: int")).replace("M(", "N(").replace("-> M", "-> N"),
        ("get()", "M(x=1)"),
        ("get()", "N(x=1)"),
    ),
    "FORMAT_ADDED in a reply": (
        got("", "return 'x'", "str"),
        got("", "return date(2024, 1, 2)", "date"),
        ("get()", "2024-01-02"),
        ("get()", date(2024, 1, 2)),
    ),
    "FORMAT_CHANGED": (
        got("a: date", "return 1"),
        got("a: UUID", "return 1"),
        ("get(date.today())", 1),
        ("get(UUID(int=1))", 1),
    ),
    "FORMAT_CHANGED in a reply": (
        got("", "return date(2024, 1, 2)", "date"),
        got("", "return UUID(int=1)", "UUID"),
        ("get()", date(2024, 1, 2)),
        ("get()", UUID(int=1)),
    ),
    "ENUM_MEMBER_RENAMED": (
        got("e: E", "return 1", before="class E(enum.Enum):\n    A = 'a'\n"),
        got("e: E", "return 1", before="class E(enum.Enum):\n    B = 'a'\n"),
        ("get(E.A)", 1),
        ("get(E.B)", 1),
    ),
    "ENUM_MEMBER_RENAMED in a reply": (
        got("", "return E.A", "E", "class E(enum.Enum):\n    A = 'a'\n"),
        got("", "return E.B", "E", "class E(enum.Enum):\n    B = 'a'\n"),
        ("get()", "<E.A: 'a'>"),
        ("get()", "<E.B: 'a'>"),
    ),
    "CONSTRAINT_CHANGED": (
        got("a: Annotated[str, Field(pattern='a')]", "return 1"),
        got("a: Annotated[str, Field(pattern='b')]", "return 1"),
        ("get('a')", 1),
        ("get('b')", 1),
    ),
    "CONSTRAINT_CHANGED in a reply": (
        got("", "return 'a'", "Annotated[str, Field(pattern='a')]"),
        got("", "return 'b'", "Annotated[str, Field(pattern='b')]"),
        ("get()", "b"),
        ("get()", "a"),
    ),
    "ANNOTATION_CHANGED": (
        got("m: M", "return 1", before=model("x: int")),
        got("m: M", "return 1", before=model("x: Annotated[int, Field(deprecated=True)]")),
        ("get(M(x=1))", 1),
        ("get(M(x=1))", 1),
    ),
    "ANNOTATION_CHANGED in a reply": (
        got("", "return M(x=1)", "M", model("x: int")),
        got("", "return M(x=1)", "M", model("x: Annotated[int, Field(deprecated=True)]")),
        ("get()", "M(x=1)"),
        ("get()", "M(x=1)"),
    ),
    "FIELD_DEFAULT_CHANGED": (
        got("m: M", "return m.x", before=model("x: int = 1")),
        got("m: M", "return m.x", before=model("x: int = 2")),
        ("get(M())", 1),
        ("get(M())", 2),
    ),
    "FIELD_DEFAULT_CHANGED in a reply": (
        got("", "return M()", "M", model("x: int = 1")),
        got("", "return M()", "M", model("x: int = 2")),
        ("get()", "M(x=2)"),
        ("get()", "M(x=1)"),
    ),
    "ADDED_FIELD_REFUSED": (
        got("m: M", "return m.x", before=model("x: int", ", extra='forbid'")),
        got("m: M", "return m.x", before=model("x: int; y: int = 0", ", extra='forbid'")),
        ("get(M(x=1))", 1),
        ("get(M(x=1, y=2))", 1),
    ),
    "REMOVED_FIELD_REFUSED in a reply": (
        got("", "return M(x=1, y=2)", "M", model("x: int; y: int = 0", ", extra='forbid'")),
        got("", "return M(x=1)", "M", model("x: int", ", extra='forbid'")),
        ("get()", "M(x=1, y=2)"),
        ("get()", "M(x=1)"),
    ),
    "EXTRA_FIELDS_FORBIDDEN": (
        got("m: M", "return m.x", before=model("x: int", ", extra='allow'")),
        got("m: M", "return m.x", before=model("x: int", ", extra='forbid'")),
        ("get(M(x=1, z=2))", 1),
        ("get(M(x=1))", 1),
    ),
    "EXTRA_FIELDS_FORBIDDEN in a reply": (
        got("", "return M(x=1, z=2)", "M", model("x: int", ", extra='allow'")),
        got("", "return M(x=1)", "M", model("x: int", ", extra='forbid'")),
        ("get()", "M(x=1)"),
        ("get()", "M(x=1)"),
    ),
    "EXTRA_FIELDS_KEPT": (
        got("m: M", "return len(m.model_extra or {})", before=model("x: int")),
        got("m: M", "return len(m.model_extra or {})", before=model("x: int", ", extra='allow'")),
        ("get(M(x=1))", 0),
        ("get(M(x=1, z=2))", 1),
    ),
    "EXTRA_FIELDS_KEPT in a reply": (
        got("", "return M(x=1)", "M", model("x: int")),
        got("", "return M(x=1, z=2)", "M", model("x: int", ", extra='allow'")),
        ("get()", "M(x=1)"),
        ("get()", "M(x=1)"),
    ),
}
ONE_WAY = {
    *("FIELD_ADDED_OPTIONAL in a reply", "FIELD_REMOVED_OPTIONAL in a reply"),
    *("ADDED_FIELD_REFUSED in a reply", "REMOVED_FIELD_REFUSED in a reply"),
}
"""A caller's default in place of a field that is not there yet is no break, and in place of one that was there is one."""


def wire(old: str, new: str) -> set[str]:
    """Whom the changes break there."""
    found = contract_changes(document(old), document(new))
    return {each for change in found for each in change.breaks if each.startswith("wire")}


@pytest.mark.parametrize(
    ("rule", "back"), [(rule, back) for rule in PROOFS for back in (False, True)[: 1 + (rule not in ONE_WAY)]]
)
async def test_what_is_said_of_the_wire_is_what_calls_come_to(rule: str, back: bool) -> None:
    old, new, old_calls, new_calls = PROOFS[rule]
    assert rule.split()[0] in {change.rule for change in contract_changes(document(old), document(new))}
    if back:
        old, new, old_calls, new_calls = new, old, new_calls, old_calls
    breaks = wire(old, new)
    (old_call, old_result), (new_call, new_result) = old_calls, new_calls

    def comes_to(found: object, expected: object) -> bool:
        return found == expected or repr(found) == expected

    assert comes_to(await called(old, old, old_call), old_result) or " in a reply" in rule
    assert comes_to(await called(new, new, new_call), new_result) or " in a reply" in rule
    assert comes_to(await called(old, new, old_call), old_result) == ("wire-callers" not in breaks)
    assert comes_to(await called(new, old, new_call), new_result) == ("wire-servers" not in breaks)


OPTIONAL, REQUIRED = model("x: int = 1"), model("x: int")


@pytest.mark.parametrize(
    ("optional", "required", "read", "body", "reader", "writer"),
    [
        (users(method("a: int = 1")), users(method("a: int")), "load_arguments", b"{}", "wire-servers", "wire-callers"),
        (
            users(method("m: M"), before=OPTIONAL),
            users(method("m: M"), before=REQUIRED),
            *("load_arguments", b'{"m": {}}', "wire-servers", "wire-callers"),
        ),
        (
            users(method(reply="M"), before=OPTIONAL),
            users(method(reply="M"), before=REQUIRED),
            *("load_reply", b"{}", "wire-callers", "wire-servers"),
        ),
    ],
)
def test_what_a_peer_in_another_language_left_out_is_missed_once_it_is_required(
    optional: str, required: str, read: str, body: bytes, reader: str, writer: str
) -> None:
    """As typedrpc itself leaves out nothing, calls do not show it."""

    def load(contract: str) -> object:
        return getattr(names_of(contract)["Users"].get.spec.codec, read)(body)

    load(optional)
    with pytest.raises((InvalidArgument, ReplyError)):
        load(required)
    assert wire(optional, required) == {writer}
    assert wire(required, optional) == {reader}


NO_CALL_SHOWS = {
    *("SERVICE_ADDED", "SERVICE_REMOVED"),  # it is as with its methods
    "DIALECT_CHANGED",  # a server of typedrpc answers every dialect, one of another framework does not
    *("DELIVERY_CHANGED", "IDEMPOTENT_ADDED", "IDEMPOTENT_REMOVED"),  # what happens after a fault
    *("PARAMETER_NOW_REQUIRED", "PARAMETER_NOW_OPTIONAL", "FIELD_NOW_REQUIRED", "FIELD_NOW_OPTIONAL"),  # see above
}


def test_every_rule_is_proven_both_ways_that_values_go() -> None:
    shown: set[tuple[str, bool]] = set()
    for rule, (old, new, _, _) in PROOFS.items():
        for one, other in ((old, new), (new, old)):
            found = contract_changes(document(one), document(other))
            shown |= {(change.rule, " in a reply" in rule) for change in found}
    said = {(rule, False) for rule in RULES} | {(rule, True) for rule in TYPE_RULES}
    assert {rule for rule, _ in said - shown} == NO_CALL_SHOWS


TYPES: dict[str, list[str]] = {  # with values that are written of each
    "None": ["None"],
    "bool": ["True", "False"],
    "int": ["0", "1", "-7", "10**6"],
    "float": ["1.0", "0.5", "float('inf')"],
    "FiniteFloat": ["1.0", "0.5"],
    "complex": ["1 + 2j"],
    "Decimal": ["Decimal('1')", "Decimal('1234.567')"],
    "Annotated[Decimal, Field(allow_inf_nan=True)]": ["Decimal('Infinity')"],
    "Annotated[Decimal, Field(max_digits=4)]": ["Decimal('1234')", "Decimal('.1234')"],
    "Annotated[Decimal, Field(max_digits=4, decimal_places=1)]": ["Decimal('123.4')"],
    "Annotated[Decimal, Field(max_digits=4, decimal_places=2)]": ["Decimal('12.34')"],
    "Annotated[Decimal, Field(decimal_places=2)]": ["Decimal('1234.56')"],
    "Annotated[Decimal, Field(decimal_places=3)]": ["Decimal('1234.567')"],
    "str": ["''", "'a'", "'b'", "'x' * 20"],
    "bytes": ["b''", "b'\\xff\\xfe'"],
    "date": ["date(2024, 1, 2)", "date(2999, 1, 1)"],
    "PastDate": ["date(2024, 1, 2)"],
    "FutureDate": ["date(2999, 1, 1)"],
    "Annotated[date, Field(ge=date(2024, 1, 2))]": ["date(2024, 1, 2)"],
    "Annotated[date, Field(ge=date(2024, 1, 3))]": ["date(2024, 1, 3)"],
    "Annotated[date, Field(lt=date(2024, 1, 3))]": ["date(2024, 1, 2)"],
    "datetime": ["datetime(2024, 1, 2, 3)", "datetime(2999, 1, 1, tzinfo=timezone.utc)"],
    "AwareDatetime": ["datetime(2024, 1, 2, 3, tzinfo=timezone.utc)"],
    "NaiveDatetime": ["datetime(2024, 1, 2, 3)"],
    "PastDatetime": ["datetime(2024, 1, 2, 3)"],
    "FutureDatetime": ["datetime(2999, 1, 2, 3)"],
    "time": ["time(1)", "time(2)"],
    "Annotated[time, Field(gt=time(1))]": ["time(2)"],
    "timedelta": ["timedelta(1)", "timedelta(3)"],
    "Annotated[timedelta, Field(le=timedelta(2))]": ["timedelta(1)"],
    "AnyUrl": ["AnyUrl('x:/')", "AnyUrl('redis:///1')"],
    "AnyHttpUrl": ["AnyHttpUrl('http://x')", "AnyHttpUrl('https://x/' + 'x' * 3000)"],
    "HttpUrl": ["HttpUrl('http://x')"],
    "Annotated[AnyUrl, UrlConstraints(allowed_schemes=['http'])]": ["AnyUrl('http://x')"],
    "FtpUrl": ["FtpUrl('ftp://x')"],
    "RedisDsn": ["RedisDsn('redis://x/1')"],
    "UUID": ["UUID(int=1)"],
    "Literal['a']": ["'a'"],
    "Literal['a', 'b']": ["'a'", "'b'"],
    "Literal[1]": ["1"],
    "Literal[1, 'a', None]": ["1", "'a'", "None"],
    "int | None": ["1", "None"],
    "int | str": ["1", "'a'"],
    "float | str | None": ["0.5", "'b'", "None"],
    "Annotated[int, Field(ge=0, le=1)]": ["0", "1"],
    "Annotated[int, Field(gt=0)]": ["1", "10**6"],
    "Annotated[int, Field(multiple_of=5)]": ["0", "10**6"],
    "Annotated[str, Field(max_length=3)]": ["''", "'a'"],
    "Annotated[str, Field(pattern='^a')]": ["'a'", "'abc'"],
    "list[int]": ["[]", "[1, 1]"],
    "list[int | None]": ["[None, 1]"],
    "set[int]": ["{1, 2}"],
    "tuple[int, int]": ["(1, 2)"],
    "tuple[int, str]": ["(1, 'a')"],
    "Annotated[list[int], Field(max_length=1)]": ["[]", "[1]"],
    "dict[str, int]": ["{}", "{'x': 1}", "{'x': 1, 'y': 2}"],
    "dict[str, int | str]": ["{'x': 'a'}"],
    "dict[Annotated[str, Field(pattern='^x')], int]": ["{'x': 1}"],
    "JsonValue": ["1", "'a'", "None", "[{}]"],
    "A": ["A(x=1)"],
    "B": ["B(x=1, y=2)"],
    "C": ["C(x=1)", "C(x=1, y=3)"],
    "D": ["D(x=1)"],
    "E": ["E(x='a')"],
    "A | None": ["A(x=1)", "None"],
    "A | E": ["A(x=1)", "E(x='a')"],
    "list[A]": ["[A(x=1)]"],
    "list[B]": ["[B(x=1, y=2)]"],
    "T": ["T(kids=[T(kids=[])])"],
}
MODELS = """
class A(BaseModel): x: int
class B(BaseModel): x: int; y: int
class C(BaseModel): x: int; y: int = 0
class D(BaseModel, extra="forbid"): x: int
class E(BaseModel): x: str
class T(BaseModel): kids: "list[T]"
"""

UNSEEN = {"float", "Decimal"}
"""Infinity, which docs/contract-changes.md names among what diff can't see."""


def test_what_is_said_to_break_nobody_on_the_wire_is_read_by_the_other_side() -> None:
    """Of every type to every other: what the one writes, the other reads, or it is said that it does not."""
    names = names_of(MODELS)
    asked = {kind: document(users(method(f"it: {kind}"), before=MODELS)) for kind in TYPES}
    answered = {kind: document(users(method(reply=kind), before=MODELS)) for kind in TYPES}
    adapters = {kind: value_adapter(eval(kind, dict(names))) for kind in TYPES}
    written = {k: [adapters[k].dump_json(eval(v, dict(names)), by_alias=True) for v in vs] for k, vs in TYPES.items()}

    def reads(reader: str, writer: str) -> bool:
        try:
            for body in written[writer]:
                adapters[reader].validate_json(body)
        except ValidationError:
            return False
        return True

    for old, new in itertools.permutations(TYPES, 2):
        if {old, new} == UNSEEN:
            continue
        for documents, old_with_new in ((asked, reads(new, old)), (answered, reads(old, new))):
            found = contract_changes(documents[old], documents[new])
            breaks = {each for change in found for each in change.breaks}
            new_with_old = reads(old, new) if documents is asked else reads(new, old)
            assert old_with_new or "wire-callers" in breaks, f"{old} → {new}: {found}"
            assert new_with_old or "wire-servers" in breaks, f"{old} → {new}: {found}"
