"""Whatever the values and the bytes: what was sent arrives, and hostile bodies raise only what is documented."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from inspect import Parameter, Signature
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from typedrpc import InvalidArgument, RpcError, Status
from typedrpc.codec import BareCodec, MethodCodec, ReplyError
from typedrpc.error_codec import ErrorCodec


class Leaf(BaseModel):
    text: str
    number: int | None
    ratio: Decimal
    marks: set[int]


@dataclass
class Branch:
    id: UUID
    data: bytes
    at: datetime
    took: timedelta
    leaves: dict[str, Leaf]


class Broken(RpcError, code=Status.ABORTED):
    branch: Branch
    ratio: float
    note: str | None = None


def of_type(annotation: Any) -> MethodCodec:
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return MethodCodec("m", Signature([Parameter("x", kind, annotation=annotation)], return_annotation=annotation))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
leaves = st.builds(
    Leaf,
    text=texts,
    number=st.none() | st.integers(),
    ratio=st.decimals(allow_nan=False, allow_infinity=False),
    marks=st.sets(st.integers(), max_size=3),
)
microseconds = st.timedeltas(timedelta(days=-1000), timedelta(days=1000))
branches = st.builds(
    Branch,
    id=st.uuids(),
    data=st.binary(max_size=50),
    at=st.datetimes(),
    took=microseconds,
    leaves=st.dictionaries(texts, leaves, max_size=2),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
BRANCH, FLOATS, JSON = of_type(Branch), of_type(list[float]), of_type(JsonValue)
BYTES = of_type(dict[str, bytes | None])


def round_trips(codec: MethodCodec, value: Any) -> None:
    assert codec.load_arguments(codec.dump_arguments((value,), {}))[1]["x"] == value
    assert codec.load_reply(codec.dump_reply(value)) == value


@given(branches)
def test_nested_dataclasses_and_models_arrive_equal(branch: Branch) -> None:
    round_trips(BRANCH, branch)


@given(st.lists(st.floats(allow_nan=False)))
def test_floats_arrive_equal(floats: list[float]) -> None:
    round_trips(FLOATS, floats)


@given(st.dictionaries(texts, st.none() | st.binary()))
def test_bytes_arrive_equal(data: dict[str, bytes | None]) -> None:
    round_trips(BYTES, data)


@given(json_values)
def test_json_arrives_equal(value: Any) -> None:
    round_trips(JSON, value)


ERRORS = ErrorCodec([Broken], {})


@given(branches, texts, st.floats(allow_nan=False), st.none() | texts)
def test_fields_of_errors_arrive_equal(branch: Branch, message: str, ratio: float, note: str | None) -> None:
    dumped = ERRORS.dump(Broken(message, branch=branch, ratio=ratio, note=note))
    assert dumped is not None
    arrived = ERRORS.load(*dumped)
    assert isinstance(arrived, Broken)
    assert (arrived.message, arrived.branch, arrived.ratio, arrived.note) == (message, branch, ratio, note)


near_misses = st.one_of(
    st.binary(),
    json_values.map(lambda v: json.dumps(v).encode()),
    st.fixed_dictionaries({"x": json_values}).map(lambda v: json.dumps(v).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "message": json_values,
            "type": st.just("Broken") | json_values,
            "data": st.fixed_dictionaries({}, optional={"branch": json_values, "ratio": json_values}) | json_values,
            "details": st.fixed_dictionaries({}, optional={"errors": json_values}) | json_values,
        },
    ).map(lambda v: json.dumps(v).encode()),
    st.sampled_from([b'{"x":1e999}', b'{"x":NaN}', b'{"x":"\\ud800"}', b"9" * 5000, b'{"x":' + b"9" * 5000 + b"}"]),
    st.sampled_from([b"[" * 10_000, b'{"x":' * 10_000, b'{"type":"Broken","data":' + b"[" * 190 + b"]" * 190 + b"}"]),
)


@pytest.mark.parametrize("annotation", [Branch, JsonValue, list[float], dict[str, bytes], int, Any], ids=str)
@settings(max_examples=60)
@given(body=near_misses)
def test_a_hostile_body_raises_only_what_is_documented(annotation: Any, body: bytes) -> None:
    codec, bare = of_type(annotation), BareCodec(annotation)
    with contextlib.suppress(InvalidArgument):
        codec.load_arguments(body)
    with contextlib.suppress(ReplyError):
        codec.load_reply(body)
    for content_type in ("", "text/plain", "application/json", "ü"):
        with contextlib.suppress(InvalidArgument):
            bare.load_argument("m", body, content_type)
        with contextlib.suppress(ReplyError):
            bare.load_reply(body, content_type)


@given(st.sampled_from(Status), st.none() | near_misses)
def test_a_hostile_error_body_is_an_error_of_its_status(status: Status, body: bytes | None) -> None:
    error = ERRORS.load(status, body)
    assert isinstance(error, RpcError)
    assert error.code is (Status.UNKNOWN if status is Status.OK else status)
    assert isinstance(error.message, str)
    str(error)
