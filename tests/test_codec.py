"""Arguments and replies ⇄ JSON bodies: which types travel and how, and what is refused on either side."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from inspect import signature
from math import inf, isnan, nan
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, computed_field, model_validator
from typing_extensions import TypedDict

from typedrpc import InvalidArgument
from typedrpc.codec import BareCodec, MethodCodec, ReplyError, refuse_by_filter


@pytest.fixture(params=["by Pydantic", "by a filter", "by Pydantic, since others are filtered first"], autouse=True)
def refused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """How values of another type are refused: the same whatever comes of Python's filters of warnings."""
    monkeypatch.setattr("typedrpc.codec._refusal", object())
    with warnings.catch_warnings():
        if request.param != "by Pydantic":
            refuse_by_filter()
        if request.param == "by Pydantic, since others are filtered first":
            warnings.simplefilter("ignore")
        yield request.param


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = "rex"


class SecretCat(Cat):
    secret: str = "s3cret"


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Aliased(BaseModel):
    long_name: int = Field(alias="longName")


class Raw(BaseModel):
    data: bytes


class RawAsBase64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


@dataclass
class Point:
    x: int
    data: bytes = b""


@dataclass
class SecretPoint(Point):
    secret: str = "s3cret"


class Options(TypedDict):
    x: int
    data: bytes


class Pair(NamedTuple):
    x: int
    data: bytes


class Tree(BaseModel):
    children: list[Tree] = []


def codec_of(function: Callable[..., Coroutine[Any, Any, Any]]) -> MethodCodec:
    return codec(function.__name__, **get_type_hints(function, include_extras=True), _function=function)


def codec(name: str, _function: Callable[..., object], **hints: Any) -> MethodCodec:
    of = signature(_function)
    parameters = [p.replace(annotation=hints[p.name]) for p in of.parameters.values()]
    return MethodCodec(name, of.replace(parameters=parameters, return_annotation=hints["return"]))


def of_type(annotation: Any) -> MethodCodec:
    async def method(value: Any) -> Any: ...

    return codec("method", method, value=annotation, **{"return": annotation})


FF = b"\xff"

VALUES: list[tuple[Any, Any, Any]] = [
    (Cat, Cat(lives=3), {"kind": "cat", "lives": 3}),
    (Cat | Dog, Dog(), {"kind": "dog", "name": "rex"}),
    (Pet, Dog(), {"kind": "dog", "name": "rex"}),
    (list[Pet], [Cat(), Dog()], [{"kind": "cat", "lives": 9}, {"kind": "dog", "name": "rex"}]),
    (Cat | None, None, None),
    (dict[str, Cat], {"a": Cat()}, {"a": {"kind": "cat", "lives": 9}}),
    (RootModel[list[int]], RootModel[list[int]]([1]), [1]),
    (Aliased, Aliased(longName=1), {"longName": 1}),
    (Point, Point(1, FF), {"x": 1, "data": "_w=="}),
    (list[Point], [Point(1, FF)], [{"x": 1, "data": "_w=="}]),
    (Options, Options(x=1, data=FF), {"x": 1, "data": "_w=="}),
    (Pair, Pair(1, FF), [1, "_w=="]),
    (Annotated[int, Field(gt=0)], 1, 1),
    (date, date(2024, 2, 29), "2024-02-29"),
    (time, time(1, 2), "01:02:00"),
    (datetime, datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00Z"),
    (timedelta, timedelta(seconds=1.5), "PT1.5S"),
    (UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Colour, Colour.RED, "red"),
    (Level, Level.LOW, 1),
    (Decimal, Decimal("1.10"), "1.10"),
    (bool, True, True),
    (int, 2**70, 2**70),
    (str, "é\0\U0001f600", "é\0\U0001f600"),
    (None, None, None),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (set[int], {1}, [1]),
    (dict[int, str], {1: "a"}, {"1": "a"}),
    (JsonValue, {"a": [1, None, "b"]}, {"a": [1, None, "b"]}),
    (bytes, FF, "_w=="),
    (bytes | None, FF, "_w=="),
    (list[bytes], [FF], ["_w=="]),
    (dict[str, bytes], {"a": FF}, {"a": "_w=="}),
    (Annotated[bytes, Field(max_length=3)], FF, "_w=="),
    (Raw, Raw(data=b"abc"), {"data": "abc"}),
    (list[Raw], [Raw(data=b"abc")], [{"data": "abc"}]),
    (RawAsBase64, RawAsBase64(data=FF), {"data": "_w=="}),
    (float, inf, "Infinity"),
    (float, -inf, "-Infinity"),
    (float | None, inf, "Infinity"),
    (int | float, inf, "Infinity"),
    (list[float], [1.5, inf], [1.5, "Infinity"]),
]


@pytest.mark.parametrize(("annotation", "value", "as_json"), VALUES, ids=lambda v: str(v)[:40])
def test_a_value_arrives_equal_and_of_its_type(annotation: Any, value: Any, as_json: Any) -> None:
    of = of_type(annotation)
    body, reply = of.dump_arguments((value,), {}), of.dump_reply(value)
    assert json.loads(body) == {"value": as_json}
    assert json.loads(reply) == as_json
    for arrived in (of.load_arguments(body)[1]["value"], of.load_reply(reply)):
        assert arrived == value
        assert type(arrived) is type(value)


def test_nan_arrives_as_nan() -> None:
    of = of_type(float)
    assert isnan(of.load_arguments(of.dump_arguments((nan,), {}))[1]["value"])
    assert isnan(of.load_reply(of.dump_reply(nan)))


@pytest.mark.parametrize(
    ("annotation", "value", "as_json"),
    [
        (Cat, SecretCat(), {"kind": "cat", "lives": 9}),
        (Cat | Dog, SecretCat(), {"kind": "cat", "lives": 9}),
        (list[Cat], [SecretCat()], [{"kind": "cat", "lives": 9}]),
        (Point, SecretPoint(1), {"x": 1, "data": ""}),
        (list[Point], [SecretPoint(1)], [{"x": 1, "data": ""}]),
        (Options, {"x": 1, "data": b"", "secret": "s3cret"}, {"x": 1, "data": ""}),
    ],
    ids=str,
)
def test_fields_beyond_the_contracts_type_do_not_leak(annotation: Any, value: Any, as_json: Any) -> None:
    assert json.loads(of_type(annotation).dump_arguments((value,), {})) == {"value": as_json}
    assert json.loads(of_type(annotation).dump_reply(value)) == as_json


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (int, "s3cret", "a str does not fit its type, int"),
        (int, 3.5, "a float does not fit its type, int"),
        (str, 3, "an int does not fit its type, str"),
        (str, None, "a NoneType does not fit its type, str"),
        (Cat, None, "a NoneType does not fit its type"),
        (list[int], None, "a NoneType does not fit its type, list[int]"),
        (Cat, {"lives": 3}, "a dict does not fit its type"),
        (Cat, Dog(), "a Dog does not fit its type"),
        (Cat | None, Dog(), "a Dog does not fit its type"),
        (Pet, Aliased(longName=1), "a Aliased does not fit its type"),
        (Annotated[Cat, Field(title="cat")], Dog(), "a Dog does not fit its type"),
        (Cat, Point(1), "a Point does not fit its type"),
        (list[int], ["s3cret"], "a list does not fit its type, list[int]"),
        (list[int], (1,), "a tuple does not fit its type, list[int]"),
        (datetime, "2024-01-01", "a str does not fit its type"),
        (Raw, Raw(data=FF), "this Raw cannot be written as JSON"),
        (str, "\ud800", "this str cannot be written as JSON"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_on_its_way_out(annotation: Any, value: Any, reason: str) -> None:
    of = of_type(annotation)
    with pytest.raises(InvalidArgument) as caught:
        of.dump_arguments((value,), {})
    text = caught.value.message
    assert text.startswith(f"method: value: {reason}")
    assert text.endswith("; nothing was sent")
    assert "\n" not in text
    assert "s3cret" not in text
    assert [d["loc"] for d in caught.value.errors] == [("value",)]
    with pytest.raises(ReplyError):
        of.dump_reply(value)


def test_the_filter_is_relied_on_where_no_other_comes_before_it(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def dump(value: object, *, by_alias: bool, warnings: object) -> bytes:
        asked.append(warnings)
        return b""

    of = of_type(Cat)
    for name in ("_dump", "_dump_reply"):
        monkeypatch.setattr(of, name, dump)
    of.dump_arguments((Cat(),), {})
    of.dump_reply(Cat())
    assert asked == [True if refused == "by a filter" else "error"] * 2


def test_a_value_that_contains_itself_or_is_too_deep_is_refused() -> None:
    loop, deep = Tree(), Tree()
    loop.children.append(loop)
    for _ in range(3000):
        deep = Tree.model_construct(children=[deep])
    for value in (loop, deep):
        with pytest.raises(InvalidArgument, match=r"value: .*nothing was sent"):
            of_type(Tree).dump_arguments((value,), {})
        with pytest.raises(ReplyError):
            of_type(Tree).dump_reply(value)


class Fragile(BaseModel):
    number: int = 1

    @computed_field  # type: ignore[prop-decorator]  # https://github.com/python/mypy/issues/14461
    @property
    def half(self) -> int:
        return 1 // self.number

    @model_validator(mode="after")
    def check(self) -> Fragile:
        if self.number == 2:
            raise LookupError("what a validator should not raise")
        return self


def test_whatever_a_models_own_code_raises_the_reply_is_refused() -> None:
    of = of_type(Fragile)
    with pytest.raises(ReplyError, match="division"):
        of.dump_reply(Fragile(number=0))
    with pytest.raises(ReplyError, match="LookupError"):
        of.load_reply(b'{"number": 2}')


CAT = Cat()


async def example(
    first: int, /, item: Cat = CAT, items: tuple[int, ...] = (1, 2), *, mode: Literal["a", "b"] = "a"
) -> Cat:
    """Has each kind of parameter."""
    return item


EXAMPLE = codec_of(example)


def test_unknown_keys_are_ignored_and_missing_ones_get_their_default() -> None:
    positional, named = EXAMPLE.load_arguments(b'{"first": 1, "unknown": {"x": []}, "mode": "b"}')
    assert positional == [1]
    assert named == {"item": Cat(), "items": (1, 2), "mode": "b"}
    assert EXAMPLE.load_reply(b'{"unknown": 1}') == Cat()


def test_each_call_gets_its_own_copy_of_a_default() -> None:
    first, second = (EXAMPLE.load_arguments(b'{"first": 1}')[1]["item"] for _ in range(2))
    first.lives = 0
    assert second.lives == 9
    assert EXAMPLE.load_arguments(b'{"first": 1}')[1]["item"].lives == 9


def test_defaults_travel_with_the_request() -> None:
    body = json.loads(EXAMPLE.dump_arguments((1,), {"mode": "b"}))
    assert body == {"first": 1, "item": {"kind": "cat", "lives": 9}, "items": [1, 2], "mode": "b"}


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((), {}, "missing a required argument: 'first'"),
        ((1, Cat(), (), "a"), {}, "too many positional arguments"),
        ((1,), {"unknown": 2}, "unexpected keyword argument 'unknown'"),
        ((1, Cat()), {"item": Cat()}, "multiple values for argument 'item'"),
        ((), {"first": 1}, "first"),
    ],
)
def test_wrong_arguments_are_pythons_own_type_error(args: tuple[Any, ...], kwargs: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        EXAMPLE.dump_arguments(args, kwargs)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "body: Invalid JSON: EOF"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b"null", "body: Input should be an object"),
        (b"[1]", "body: Input should be an object"),
        (b"{}", "first: Field required"),
        (b'{"first": "x"}', "first: Input should be a valid integer"),
        (b'{"first": 1, "item": {"lives": []}, "mode": "c"}', "item.lives: .*; mode: Input should be 'a' or 'b'"),
        (b'{"first": 1, "items": ["a","b","c","d","e"]}', r"items\.2: .* \(and 2 more\)"),
        (b'{"first": ' + b"[" * 100_000, "body: Invalid JSON: recursion limit exceeded"),
    ],
)
def test_a_body_that_does_not_fit_says_where_on_one_line(body: bytes, found: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^INVALID_ARGUMENT: example: .*{found}") as caught:
        EXAMPLE.load_arguments(body)
    assert "\n" not in caught.value.message


def test_at_most_twenty_findings_travel_and_never_an_input() -> None:
    of = of_type(list[int])
    with pytest.raises(InvalidArgument) as caught:
        of.load_arguments(json.dumps({"value": ["s3cret"] * 1000}).encode())
    assert len(caught.value.errors) == 20
    assert caught.value.errors[0]["loc"] == ("value", 0)
    assert caught.value.errors[0]["type"] == "int_parsing"
    assert "s3cret" not in repr(caught.value)


wrong: list[Any] = [
    int,
    float,
    bool,
    Colour,
    Level,
    Cat,
    Pet,
    Cat | Dog,
    UUID,
    date,
    datetime,
    Decimal,
    Literal["a"],
    list[int],
]
wrong += [Annotated[str, Field(max_length=3)], Annotated[str, Field(pattern="^a$")], tuple[int, int], bytes, Point]


@pytest.mark.parametrize("annotation", wrong, ids=str)
def test_an_input_that_does_not_fit_is_in_no_finding(annotation: Any) -> None:
    for value in ("s3cret!", {"kind": "s3cret!"}, ["s3cret!"]):
        with pytest.raises(InvalidArgument) as caught:
            of_type(annotation).load_arguments(json.dumps({"value": value}).encode())
        assert "s3cret" not in repr(caught.value)
        with pytest.raises(ReplyError) as reply:
            of_type(annotation).load_reply(json.dumps(value).encode())
        assert "s3cret" not in str(reply.value)


@pytest.mark.parametrize("annotation", [JsonValue, Tree, dict[str, JsonValue], list[Any]], ids=str)
def test_json_that_is_too_deep_is_refused(annotation: Any) -> None:
    for opening in (b"[", b'{"children": [', b'{"a":'):
        with pytest.raises(InvalidArgument):
            of_type(annotation).load_arguments(b'{"value": ' + opening * 50_000)
        with pytest.raises(ReplyError):
            of_type(annotation).load_reply(opening * 50_000)


def test_mutable_fields_of_defaults_are_copied_too() -> None:
    @dataclass
    class Basket:
        things: list[int] = field(default_factory=list[int])

    async def fill(basket: Any = Basket()) -> None: ...  # noqa: B008

    of = codec("fill", fill, basket=Basket, **{"return": None})
    of.load_arguments(b"{}")[1]["basket"].things.append(1)
    assert of.load_arguments(b"{}")[1]["basket"].things == []


@pytest.mark.parametrize(
    ("annotation", "value", "body", "content_type"),
    [
        (None, None, b"", ""),
        (bytes, FF, FF, ""),
        (str, "é", "é".encode(), "text/plain"),
        (int, 3, b"3", "application/json"),
        (Cat, Cat(), b'{"kind":"cat","lives":9}', "application/json"),
        (Point, Point(1, FF), b'{"x":1,"data":"_w=="}', "application/json"),
    ],
    ids=str,
)
def test_a_bare_body_is_as_plain_faststream_writes_it(
    annotation: Any, value: Any, body: bytes, content_type: str
) -> None:
    bare = BareCodec(annotation)
    assert bare.dump(value) == (body, content_type)
    assert bare.load_reply(body, content_type) == bare.load_argument("m", body, content_type) == value


@pytest.mark.parametrize(("annotation", "value"), [(int, "3"), (Cat, "x"), (bytes, "x"), (str, "\ud800"), (str, 3)])
def test_a_bare_body_is_of_its_type(annotation: Any, value: Any) -> None:
    with pytest.raises(ReplyError):
        BareCodec(annotation).dump(value)
