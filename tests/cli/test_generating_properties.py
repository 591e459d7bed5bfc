"""`generate`: a package of any contract is the same contract, and writes what the original reads."""

from __future__ import annotations

import json
import keyword
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated_source import imported
from typedrpc import contract_schema
from typedrpc.cli.generate.package import sources
from typedrpc.codec import MethodCodec
from typedrpc.method import Method

HEAD = """
import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Protocol
from uuid import UUID
from pydantic import BaseModel, Field
from typedrpc import Service, service

define = service.method

class Colour(enum.Enum):
    RED = "red"
    TWO = 2

@dataclass(frozen=True)
class Point:
    x: int
    raw: bytes = b"\\xff"

class Span(NamedTuple):
    start: int
    end: int = 3
"""
SCALARS = r"""
int: 0; int: -1; int: 10**30; float: -0.0; float: 1e300; float: float("inf"); bool: True; bool: False
str: ""; str: "\"\\"; str: "\n\x00"; str: "é"; bytes: b""; bytes: b"\xff\x00"; Decimal: Decimal("1.10")
date: date(2020, 1, 1); datetime: datetime(2020, 1, 1, 3); time: time(1, 2); timedelta: timedelta(-1, 3)
UUID: UUID(int=7); Path: Path("a/b"); Colour: Colour.RED; Colour: Colour.TWO; Point: Point(1); Point: Point(2, b"\x00")
Span: Span(1); Span: Span(1, 2); Literal["a", 1, None]: "a"; Literal["a", 1, None]: None; Annotated[int, Field(gt=0)]: 5
"""
NAMES = st.from_regex(r"[a-z][a-zA-Z0-9_]{0,6}", fullmatch=True) | st.sampled_from(
    ["list", "date", "str", "json", "copy", "self", "cls", "type", "Path", "typing", "typedrpc", "Point", "Field"]
)
FREE = NAMES.filter(lambda name: not keyword.iskeyword(name))
Typed = tuple[str, str]
"""A type and a value of it, as Python writes them."""

scalars: st.SearchStrategy[Typed] = st.sampled_from(re.findall(r"([A-Z]?[\w.]+(?:\[.*?\])?): (.+?)(?:; |\n)", SCALARS))


def nested(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(
        inner.map(lambda each: (f"tuple[{each[0]}, ...]", f"({each[1]},)")),
        st.tuples(inner, inner).map(lambda two: (f"tuple[{two[0][0]}, {two[1][0]}]", f"({two[0][1]}, {two[1][1]})")),
        inner.map(lambda each: (f"{each[0]} | None", each[1])),
        inner.map(lambda each: (f"{each[0]} | None", "None")),
    )


values = st.recursive(scalars, nested, max_leaves=4)


@st.composite
def contracts(draw: st.DrawFn) -> str:
    """A module. Types are in quotes and defaults before the class, as a method may have the name of a type."""
    constants: list[str] = []
    methods: list[str] = []
    for name in draw(st.lists(FREE, min_size=1, max_size=4, unique=True)):
        parameters: list[str] = []
        for parameter in draw(st.lists(FREE, max_size=4, unique=True)):
            kind, value = draw(values)
            constants.append(f"_{len(constants)} = {value}")
            parameters.append(f"{parameter}: {kind!r} = _{len(constants) - 1}")
        if parameters:
            parameters.insert(draw(st.integers(0, len(parameters) - 1)), "*")
        kind, value = draw(values)
        constants.append(f"REPLY_{name} = {value}")
        methods.append(f"    @define\n    async def {name}({', '.join(['_self', *parameters])}) -> {kind!r}: ...")
    return "\n".join([HEAD, *constants, "class Any_(Service, Protocol, service='any'):", *methods])


def codec(contract: type[Any], method: str) -> MethodCodec:
    found: Method[Any] = vars(contract)[method]
    assert found.spec.codec
    return found.spec.codec


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(contracts())
def test_a_package_of_any_contract_writes_and_reads_as_the_contract_does(text: str) -> None:
    original = imported({"any_contract.py": text}, "any_contract")
    document = contract_schema(original.Any_)
    api = imported({f"any_api/{name}": made for name, made in sources(document).items()}, "any_api")
    contract: Any = getattr(api, next(name for name in api.__all__ if f"{name}Client" in api.__all__))
    for old, new in zip(document.methods, contract_schema(contract).methods, strict=True):
        for p, q in zip(old.parameters, new.parameters, strict=True):
            assert (q.name, q.kind, q.json_schema.get("default")) == (p.name, p.kind, p.json_schema.get("default"))
        ours, theirs = codec(contract, old.python_name), codec(original.Any_, old.python_name)
        sent = ours.dump_arguments((), {})
        assert json.loads(sent) == json.loads(theirs.dump_arguments((), {}))
        theirs.load_arguments(sent)
        reply = theirs.dump_reply(getattr(original, f"REPLY_{old.python_name}"))
        assert json.loads(ours.dump_reply(ours.load_reply(reply))) == json.loads(reply)
