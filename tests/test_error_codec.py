"""Errors ⇄ bodies: declared ones with typed fields, built-in ones by status, and anything else safely."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, computed_field, field_validator

from typedrpc import (
    Aborted,
    InternalError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RpcError,
    Status,
    Unavailable,
    UnknownError,
)
from typedrpc.codec import ReplyError
from typedrpc.error_codec import ErrorCodec


class Item(BaseModel):
    x: int


@dataclass
class Point:
    data: bytes


class Missing(RpcError, code=Status.NOT_FOUND):
    id: int
    item: Item | None = None
    day: date = date(2024, 1, 1)
    data: bytes = b""
    ratio: int | float = 0
    tags: list[str] = field(default_factory=lambda: ["fresh"])


class MissingHere(Missing, code=Status.DATA_LOSS):
    secret: str = "s3cret"


class Elsewhere(Missing):
    where: str


class Stubborn(RpcError, code=Status.ABORTED):
    id: UUID

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.id = UUID(text)


class Limited(RpcError, code=Status.OUT_OF_RANGE):
    at: Annotated[int, Field(ge=0, alias="position")]
    point: Point = field(default_factory=lambda: Point(b"\xff"))


CODEC = ErrorCodec([Missing, Elsewhere, Stubborn, Limited], {})


def sent(error: RpcError) -> tuple[Status, dict[str, Any]]:
    dumped = CODEC.dump(error)
    assert dumped is not None
    content: dict[str, Any] = json.loads(dumped[1])
    return dumped[0], content


def arrived(error: RpcError, codec: ErrorCodec = CODEC) -> RpcError:
    dumped = CODEC.dump(error)
    assert dumped is not None
    return codec.load(*dumped)


def test_a_declared_error_arrives_as_itself_with_typed_fields() -> None:
    error = arrived(Missing("nobody", id=3, item=Item(x=1), day=date(2020, 2, 2), data=b"\xff", ratio=float("inf")))
    assert type(error) is Missing
    assert (error.message, error.id, error.item, error.day) == ("nobody", 3, Item(x=1), date(2020, 2, 2))
    assert (error.data, error.ratio, error.tags) == (b"\xff", float("inf"), ["fresh"])
    assert str(error) == "NOT_FOUND: nobody"
    assert error.args == ("nobody",)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_its_body_names_the_type_and_holds_the_fields() -> None:
    status, content = sent(Limited("far", at=3))
    assert status is Status.OUT_OF_RANGE
    assert content == {"message": "far", "type": "Limited", "data": {"position": 3, "point": {"data": "_w=="}}}


def test_a_fields_alias_is_its_name_on_the_wire() -> None:
    error = arrived(Limited(at=3))
    assert isinstance(error, Limited)
    assert error.at == 3


def test_it_is_rebuilt_without_its_own_init() -> None:
    error = arrived(Stubborn("00000000-0000-0000-0000-000000000001"))
    assert isinstance(error, Stubborn)
    assert error.id == UUID(int=1)
    assert error.message == "00000000-0000-0000-0000-000000000001"


def test_a_raised_subclass_travels_as_its_nearest_declared_ancestor() -> None:
    error = arrived(MissingHere("gone", id=4))
    assert type(error) is Missing
    assert (error.id, error.code) == (4, Status.NOT_FOUND)
    assert "s3cret" not in str(sent(MissingHere("gone", id=4)))
    nearer = arrived(Elsewhere(id=4, where="there"))
    assert isinstance(nearer, Elsewhere)
    assert nearer.where == "there"


def test_built_in_errors_need_no_declaration() -> None:
    for error in (PermissionDenied("no"), Unavailable("later"), Aborted(), RpcError("odd")):
        assert type(arrived(error)) is (UnknownError if type(error) is RpcError else type(error))
        assert arrived(error).message == error.message
    internal = arrived(InternalError("broken", error_id="e1"))
    assert isinstance(internal, InternalError)
    assert internal.error_id == "e1"
    invalid = arrived(InvalidArgument("bad", errors=[{"type": "t", "loc": ("a", 1), "msg": "m"}]))
    assert isinstance(invalid, InvalidArgument)
    assert invalid.errors == [{"type": "t", "loc": ("a", 1), "msg": "m"}]


def test_an_undeclared_subclass_of_a_built_in_error_travels_as_that() -> None:
    class Mine(PermissionDenied):
        secret: str = "s3cret"

    assert sent(Mine("no")) == (Status.PERMISSION_DENIED, {"message": "no"})


def test_an_undeclared_error_is_not_dumped() -> None:
    class Mine(RpcError, code=Status.ABORTED):
        id: int

    assert CODEC.dump(Mine("no", id=1)) is None


def test_an_unknown_type_arrives_as_the_class_of_its_status() -> None:
    error = arrived(Missing("nobody", id=3), ErrorCodec([], {}))
    assert type(error) is NotFound
    assert error.message == "nobody"


def test_a_type_of_the_same_name_but_another_status_is_not_taken_for_it() -> None:
    error = CODEC.load(Status.ABORTED, b'{"message": "m", "type": "Missing", "data": {"id": 1}}')
    assert type(error) is Aborted


def test_fields_that_were_added_later_get_their_defaults_and_unknown_ones_are_ignored() -> None:
    error = CODEC.load(Status.NOT_FOUND, b'{"message": "m", "type": "Missing", "data": {"id": 1, "new": 2}}')
    assert isinstance(error, Missing)
    assert (error.id, error.day, error.tags) == (1, date(2024, 1, 1), ["fresh"])
    other = CODEC.load(Status.NOT_FOUND, b'{"message": "m", "type": "Missing", "data": {"id": 1}}')
    assert isinstance(other, Missing)
    assert other.tags is not error.tags


@pytest.mark.parametrize(
    "data", [b"{}", b'{"id": "s3cret"}', b"null", b"[]", b"3", b'{"id": ' + b"9" * 4200 + b', "item": 1}']
)
def test_fields_that_do_not_fit_arrive_as_the_class_of_the_status(data: bytes) -> None:
    error = CODEC.load(Status.NOT_FOUND, b'{"message": "m", "type": "Missing", "data": ' + data + b"}")
    assert type(error) is NotFound
    assert error.message.startswith("m (its fields do not fit: ")
    assert "\n" not in error.message
    assert "s3cret" not in error.message


@pytest.mark.parametrize("body", [None, b"", b"null", b"[]", b"3", b'{"message": 3}', b'{"type": ["x"]}'])
def test_an_error_without_a_text_has_its_status(body: bytes | None) -> None:
    error = CODEC.load(Status.UNAVAILABLE, body)
    assert type(error) is Unavailable
    assert error.message == ""


@pytest.mark.parametrize("body", [b"\xff", b"{", b"[" * 100_000, b'{"message": "\\ud800"}'])
def test_a_body_that_is_no_json_says_so(body: bytes) -> None:
    assert CODEC.load(Status.UNAVAILABLE, body).message == "the error's body is no JSON"


@pytest.mark.parametrize("text", ["\ud800", 3, None, ValueError("x")])
def test_a_text_that_is_none_is_written_or_refused(text: Any) -> None:
    if text == "\ud800":
        with pytest.raises(ReplyError, match="text cannot be written"):
            CODEC.dump(NotFound(text))
    else:
        assert arrived(NotFound(text)).message == str(text)


class Fragile(BaseModel):
    number: int = 1

    @computed_field  # type: ignore[prop-decorator]  # https://github.com/python/mypy/issues/14461
    @property
    def half(self) -> int:
        return 1 // self.number

    @field_validator("number")
    @classmethod
    def check(cls, number: int) -> int:
        if number == 2:
            raise LookupError("what a validator should not raise")
        return number


class Broken(RpcError, code=Status.ABORTED):
    item: Fragile
    data: str = ""


@pytest.mark.parametrize("fields", [{"item": Fragile(number=0)}, {"item": Fragile(), "data": "\ud800"}, {"item": "x"}])
def test_fields_that_cannot_be_written_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ReplyError):
        ErrorCodec([Broken], {}).dump(Broken("m", **fields))


def test_a_field_that_was_deleted_is_refused() -> None:
    error = Missing(id=1)
    del error.id
    with pytest.raises(ReplyError, match=r"Missing: .*id"):
        CODEC.dump(error)


def test_a_validator_that_raises_anything_does_not_hide_the_status() -> None:
    error = ErrorCodec([Broken], {}).load(
        Status.ABORTED, b'{"message": "m", "type": "Broken", "data": {"item": {"number": 2}}}'
    )
    assert type(error) is Aborted
    assert "LookupError" in error.message
