"""Errors as Python objects: their fields, their text, pickle, copy and chains."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Annotated, Any, cast

import pytest
from pydantic import Field

import typedrpc
from class_source import refusal
from typedrpc import InternalError, InvalidArgument, NotFound, RpcError, Status


class Missing(RpcError, code=Status.NOT_FOUND):
    id: int
    hint: str = ""
    tags: list[str] = dataclasses.field(default_factory=list[str])


class Stubborn(RpcError, code=Status.ABORTED):
    """Has an `__init__` of its own."""

    id: int

    def __init__(self, first: int, second: int) -> None:
        super().__init__("made")
        self.id = first + second


def test_fields_are_keyword_only_and_the_message_comes_first() -> None:
    error = Missing("nobody", id=3)
    assert (error.message, error.id, error.hint, error.tags) == ("nobody", 3, "", [])
    assert Missing(id=3).message == ""
    assert Missing(id=3).tags is not Missing(id=4).tags
    for args, fields in (((), {}), (("x", 3), {}), (("x",), {"id": 3, "other": 1})):
        with pytest.raises(TypeError, match="__init__"):
            cast("Any", Missing)(*args, **fields)


def test_an_errors_text_names_its_status() -> None:
    assert str(Missing("nobody", id=3)) == "NOT_FOUND: nobody"
    assert str(Missing(id=3)) == "NOT_FOUND"
    assert repr(Missing("nobody", id=3)) == "Missing(message='nobody', id=3, hint='', tags=[])"
    assert RpcError("x").code is Status.UNKNOWN


def test_a_subclass_has_its_parents_status_unless_it_says_otherwise() -> None:
    class Narrow(Missing):
        where: str

    class Other(Missing, code=Status.DATA_LOSS):
        pass

    assert Narrow(id=1, where="here").code is Status.NOT_FOUND
    assert Other(id=1).code is Status.DATA_LOSS
    assert Missing(id=1).code is Status.NOT_FOUND


def test_every_status_but_ok_has_a_built_in_class() -> None:
    names = {name: getattr(typedrpc, name) for name in typedrpc.__all__}
    codes = {
        cls.code
        for cls in names.values()
        if isinstance(cls, type) and issubclass(cls, RpcError) and cls is not RpcError
    }
    assert codes == set(Status) - {Status.OK}
    assert InvalidArgument("x").errors == []
    assert InternalError("x", error_id="1").error_id == "1"


@pytest.mark.parametrize(
    "error",
    [
        Missing("nobody", id=3, hint="look"),
        Stubborn(1, 2),
        NotFound("gone"),
        InternalError(error_id="e1"),
        Missing(id=1),
    ],
)
def test_errors_can_be_pickled_and_copied(error: RpcError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert vars(again) == vars(error)
        assert str(again) == str(error)
        assert again.args == error.args


def test_errors_chain_and_take_notes() -> None:
    cause = ValueError("why")
    with pytest.raises(Missing) as caught:
        raise Missing("nobody", id=3) from cause
    assert caught.value.__cause__ is cause
    assert caught.value.__traceback__ is not None
    caught.value.add_note("a note")
    assert pickle.loads(pickle.dumps(caught.value)).__notes__ == ["a note"]


def test_errors_are_equal_only_to_themselves_and_can_be_hashed() -> None:
    error = Missing(id=1)
    assert error != Missing(id=1)
    assert len({error, error, Missing(id=1)}) == 2


@pytest.mark.parametrize("name", ["code", "message", "args", "with_traceback", "add_note"])
def test_a_fields_name_that_every_error_has_is_refused(name: str) -> None:
    text = refusal(f"class Odd(RpcError):\n    {name}: str")
    assert text == f"Odd.{name}: every error has an attribute of this name; rename the field"


def test_a_pydantic_field_as_default_is_refused() -> None:
    text = refusal("class Odd(RpcError):\n    id: int = Field(3)")
    assert text == "Odd.id: write `Annotated[..., Field(...)]` or `dataclasses.field(...)`"

    class Fine(RpcError):
        id: Annotated[int, Field(gt=0)] = 3

    assert Fine().id == 3
