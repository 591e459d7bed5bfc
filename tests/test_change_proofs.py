"""What is said of the wire is proven by calls: of a client with the old contract at a server with the new, and the reverse."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from contract_source import NOBODY, RAISES, document, method, names_of, users
from typedrpc import Rpc, RpcError
from typedrpc.changes import contract_changes


async def outcome(call: Callable[[], Coroutine[Any, Any, object]]) -> object:
    try:
        return await call()
    except RpcError as error:
        return type(error).__name__


async def called(client_of: str, server_of: str, expression: str) -> object:
    """What a call of one contract comes to at a server of another, as text."""
    names, other = names_of(client_of), names_of(server_of)
    rpc = Rpc.in_memory(timeout=0.3)
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


# what a client of the old calls at a server of the new, and what it must get; the same of the new at the old
PROOFS: dict[str, tuple[str, str, tuple[str, object], tuple[str, object]]] = {
    "METHOD_ADDED": (
        served(method(reply="int", body="return 1")),
        served(method(reply="int", body="return 1"), method(name="put", body="return None")),
        ("get()", 1),
        ("put()", None),
    ),
    "METHOD_REMOVED": (
        served(method(reply="int", body="return 1"), method(name="put", body="return None")),
        served(method(reply="int", body="return 1")),
        ("put()", None),
        ("get()", 1),
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
    "ONEWAY_REMOVED": (
        got("", "return None", "None", decorator="oneway=True"),
        got("", "return 1"),
        ("get()", None),
        ("get()", 1),
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
    "PARAMETER_REMOVED_REQUIRED": (
        got("a: int, b: int", "return a + b"),
        got("a: int", "return a"),
        ("get(1, 2)", 3),
        ("get(1)", 1),
    ),
    "PARAMETER_REMOVED_OPTIONAL": (
        got("a: int, b: int = 0", "return a + b"),
        got("a: int", "return a"),
        ("get(1, 2)", 3),
        ("get(1)", 1),
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
    "TYPE_NARROWED": (
        got("a: int | None", "return 1"),
        got("a: int", "return 1"),
        ("get(None)", 1),
        ("get(1)", 1),
    ),
    "TYPE_NARROWED in a reply": (
        got("", "return None", "int | None"),
        got("", "return 1"),
        ("get()", 1),
        ("get()", None),
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
    "ERROR_REMOVED": (
        got("", "raise Nobody('', id=1)", before=NOBODY, decorator=RAISES),
        got("", "raise NotFound('')", before=NOBODY),
        ("get()", "Nobody"),
        ("get()", "NotFound"),
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
}


@pytest.mark.parametrize("rule", PROOFS)
async def test_what_is_said_of_the_wire_is_what_calls_come_to(rule: str) -> None:
    old, new, (old_call, old_result), (new_call, new_result) = PROOFS[rule]
    breaks = {each for change in contract_changes(document(old), document(new)) for each in change.breaks}
    assert rule.split()[0] in {change.rule for change in contract_changes(document(old), document(new))}

    def comes_to(found: object, expected: object) -> bool:
        return found == expected or repr(found) == expected

    assert comes_to(await called(old, old, old_call), old_result) or " in a reply" in rule
    assert comes_to(await called(new, new, new_call), new_result) or " in a reply" in rule
    assert comes_to(await called(old, new, old_call), old_result) == ("wire-callers" not in breaks)
    assert comes_to(await called(new, old, new_call), new_result) == ("wire-servers" not in breaks)
