from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Flag, StrEnum
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, Field, create_model

from typedrpc import (
    ContractDocument,
    NotFound,
    Retry,
    Rpc,
    RpcError,
    Service,
    Status,
    UsageError,
    contract_schema,
    service,
)
from typedrpc.codec import value_adapter
from typedrpc.document import MethodDocument, contract_hash, request_schema


class Message(BaseModel):
    """What is said."""

    text: str
    size: Annotated[int, Field(gt=0, description="in bytes")] = 3
    child: Message | None = None


class Nobody(RpcError, code=Status.NOT_FOUND):
    id: int


class Gone(NotFound):
    """It was there."""

    since: datetime


@dataclass
class Point:
    x: float
    raw: bytes = b"?"


@pydantic.dataclasses.dataclass
class Typed:
    raw: bytes = b"?"


class Model(BaseModel):
    raw: bytes = b"?"


class Rights(Flag):
    READ = 1
    WRITE = 2


HERE = Point(1.0)


class Echo(Service, Protocol, service="echo", topic="echoes"):
    """Says it again."""

    @service.method
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        """Answer with the message.

        Louder with `mode`.
        """
        ...

    @service.method(raises=[Nobody, Gone], timeout=5, idempotent=True, retry=Retry(), name="fetch", topic="gets")
    async def get(self, id: int, /, at: Point = HERE, raw: bytes = b"\xff") -> list[Message] | None: ...

    @service.method(oneway=True, delivery="at_most_once", topic="lines")
    async def log(self, line: str) -> None: ...


def method(document: ContractDocument, name: str) -> MethodDocument:
    return next(m for m in document.methods if m.name == name)


def test_a_document_says_of_a_method_all_that_its_contract_says() -> None:
    document = contract_schema(Echo)
    assert (document.service, document.doc) == ("echo", "Says it again.")
    echo = method(document, "echo")
    assert echo.doc == "Answer with the message.\n\nLouder with `mode`."
    assert echo.reply == {"$ref": "#/definitions/Message"}
    assert [(p.name, p.kind, p.required, p.json_schema) for p in echo.parameters] == [
        ("msg", "positional_or_keyword", True, {"$ref": "#/definitions/Message"}),
        ("mode", "keyword_only", False, {"type": "string", "enum": ["plain", "shout"], "default": "plain"}),
    ]
    assert (echo.topic, echo.delivery, echo.timeout, echo.oneway) == ("echoes", "at_least_once", None, False)
    get = method(document, "fetch")
    assert (get.python_name, get.topic, get.timeout, get.idempotent) == ("get", "gets", 5.0, True)
    assert get.retry is not None
    assert (get.retry.attempts, get.retry.on) == (3, [Status.UNAVAILABLE])
    assert get.parameters[0].kind == "positional_only"
    log = method(document, "log")
    assert (log.oneway, log.reply, log.delivery) == (True, None, "at_most_once")


def test_models_are_definitions_with_their_descriptions_and_constraints() -> None:
    message = contract_schema(Echo).definitions["Message"]
    assert message["description"] == "What is said."
    assert message["required"] == ["text"]
    assert message["properties"] == {
        "text": {"type": "string"},
        "size": {"type": "integer", "exclusiveMinimum": 0, "default": 3, "description": "in bytes"},
        "child": {"anyOf": [{"$ref": "#/definitions/Message"}, {"type": "null"}], "default": None},
    }


def test_a_named_type_is_a_definition_wherever_it_stands() -> None:
    class Mood(StrEnum):
        GOOD = "good"

    class Moods(BaseModel):
        all: list[Mood]

    class Named(Service, Protocol, service="named"):
        @service.method
        async def use(self, mood: Annotated[Mood, Field(description="of today")], moods: Moods, at: Point) -> Mood: ...

    document = contract_schema(Named)
    refs = [p.json_schema["$ref"] for p in document.methods[0].parameters]
    assert refs == ["#/definitions/Mood", "#/definitions/Moods", "#/definitions/Point"]
    assert document.methods[0].reply == {"$ref": "#/definitions/Mood"}
    assert sorted(document.definitions) == ["Mood", "Moods", "Point"]
    assert document.definitions["Point"]["required"] == ["x"]


def test_two_types_of_one_name_are_two_definitions() -> None:
    def another() -> type[StrEnum]:
        class Mood(StrEnum):
            BAD = "bad"

        return Mood

    class Mood(StrEnum):
        GOOD = "good"

    Bad = another()

    class Named(Service, Protocol, service="named"):
        @service.method
        async def use(self, one: Mood, other: Bad) -> None: ...  # type: ignore[valid-type]  # pyright: ignore[reportInvalidTypeForm]

    document = contract_schema(Named)
    assert [document.definitions[key]["enum"] for key in ("Mood", "Mood_2")] == [["good"], ["bad"]]


def test_bytes_and_their_defaults_are_base64_as_on_the_wire() -> None:
    _, at, raw = method(contract_schema(Echo), "fetch").parameters
    assert raw.json_schema == {"type": "string", "format": "base64url", "default": "_w=="}
    assert at.json_schema["default"] == {"x": 1.0, "raw": "Pw=="}


def test_bytes_of_a_type_with_a_configuration_of_its_own_are_text_as_on_the_wire() -> None:
    class Raw(Service, Protocol, service="raw"):
        @service.method
        async def put(self, point: Point, typed: Typed, model: Model) -> None: ...

    definitions: Any = contract_schema(Raw).definitions
    for cls, value, text in ((Point, Point(1.0, b"?"), "Pw=="), (Typed, Typed(b"?"), "?"), (Model, Model(), "?")):
        assert value_adapter(cls).dump_python(value, mode="json")["raw"] == text
        assert definitions[cls.__name__]["properties"]["raw"]["default"] == text
    formats = [definitions[name]["properties"]["raw"]["format"] for name in ("Point", "Typed", "Model")]
    assert formats == ["base64url", "binary", "binary"]


def test_a_flag_is_any_number_that_its_members_make() -> None:
    class Files(Service, Protocol, service="files"):
        @service.method
        async def open(self, rights: Rights = Rights.READ | Rights.WRITE) -> Rights: ...

    rights = method(contract_schema(Files), "open").parameters[0].json_schema
    assert (rights["type"], rights["default"], "enum" in rights) == ("integer", 3, False)


def test_errors_have_their_status_fields_and_built_in_class() -> None:
    errors = contract_schema(Echo).errors
    assert {key: (e.type, e.code, e.base, e.doc) for key, e in errors.items()} == {
        "Gone": ("Gone", Status.NOT_FOUND, "NotFound", "It was there."),
        "Nobody": ("Nobody", Status.NOT_FOUND, "RpcError", ""),
    }
    assert [(f.name, f.json_schema) for f in errors["Nobody"].fields] == [("id", {"type": "integer"})]


def test_two_errors_of_one_name_in_two_methods_are_both_there() -> None:
    def nobody() -> type[RpcError]:
        class Nobody(RpcError, code=Status.ABORTED):
            name: str

        return Nobody

    class Two(Service, Protocol):
        @service.method(raises=[Nobody])
        async def a(self) -> None: ...

        @service.method(raises=[nobody()])
        async def b(self) -> None: ...

    document = contract_schema(Two)
    assert [document.errors[m.raises[0]].code for m in document.methods] == [Status.NOT_FOUND, Status.ABORTED]
    assert {e.type for e in document.errors.values()} == {"Nobody"}


T = TypeVar("T", bound=BaseModel)


class Crud(Service, Protocol, Generic[T]):
    @service.method
    async def put(self, item: T) -> T: ...


class Messages(Crud[Message]):
    @service.method
    async def put(self, item: Message) -> Message:
        return item


@pytest.mark.parametrize("contract", [Crud[Message], Messages])
def test_a_generic_contract_has_the_types_that_it_is_given(contract: Any) -> None:
    (put,) = contract_schema(contract).methods
    assert put.reply == {"$ref": "#/definitions/Message"}


def test_a_document_is_read_back_as_it_was_written_also_by_an_older_version() -> None:
    document = contract_schema(Echo)
    assert ContractDocument.model_validate_json(document.model_dump_json()) == document
    newer = {**document.model_dump(), "invented_later": 1}
    assert ContractDocument.model_validate(newer) == document


def test_the_body_of_a_request_has_a_schema() -> None:
    assert request_schema(method(contract_schema(Echo), "echo")) == {
        "type": "object",
        "properties": {
            "msg": {"$ref": "#/definitions/Message"},
            "mode": {"type": "string", "enum": ["plain", "shout"], "default": "plain"},
        },
        "required": ["msg"],
    }

    class Plain(Service, Protocol, dialect="faststream"):
        @service.method
        async def say(self, line: str) -> None: ...

    assert request_schema(contract_schema(Plain).methods[0]) == {"type": "string"}


def test_a_type_that_only_its_validator_knows_has_a_schema_that_allows_anything() -> None:
    class Odd(Service, Protocol):
        @service.method
        async def call(self, fn: Callable[[], int] | int) -> None: ...

    assert contract_schema(Odd).methods[0].parameters[0].json_schema == {"anyOf": [{}, {"type": "integer"}]}


def variant(doc: str = "", size: int = 3, description: str = "", order: bool = True, timeout: float = 5) -> Any:
    sized = Annotated[int, Field(description=description)]
    fields = {"size": (sized, size), "text": (str, ...)} if order else {"text": (str, ...), "size": (sized, size)}
    model: Any = create_model("Message", **fields)  # type: ignore[call-overload]  # pyright: ignore

    class Made(Service, Protocol, service="made"):
        @service.method(timeout=timeout)
        async def say(self, msg: model) -> None: ...  # pyright: ignore

    Made.__doc__ = doc
    return Made


def test_the_hash_changes_with_what_matters_and_with_nothing_else() -> None:
    same = [variant(), variant(doc="d"), variant(description="d"), variant(order=False)]
    assert len({contract_schema(each).hash for each in same}) == 1
    others = [variant(), variant(size=4), variant(timeout=6)]
    assert len({contract_schema(each).hash for each in others}) == 3


def test_a_field_may_be_called_as_a_word_that_does_not_matter() -> None:
    class A(BaseModel):
        title: int

    class B(BaseModel):
        title: str

    documents = [contract_schema(Crud[A]).model_dump(), contract_schema(Crud[B]).model_dump()]
    in_common = [json.loads(json.dumps(d).replace('"B"', '"A"').replace("/B", "/A")) for d in documents]
    assert contract_hash(in_common[0]) != contract_hash(in_common[1])


def test_what_is_no_service_is_refused() -> None:
    with pytest.raises(UsageError, match="no service"):
        contract_schema(Message)


def test_an_rpc_has_the_documents_of_its_services_with_the_types_of_their_servers() -> None:
    class Store(Service, Generic[T], service="store"):
        @service.method
        async def put(self, item: T) -> None: ...

    class Messages(Store[Message]):
        @service.method
        async def put(self, item: Message) -> None: ...

    rpc = Rpc.in_memory()
    rpc.serve(Messages())
    (document,) = rpc.contracts
    assert document == contract_schema(Messages)
    assert document.methods[0].parameters[0].json_schema == {"$ref": "#/definitions/Message"}


SETS = """
from dataclasses import dataclass
from pydantic import BaseModel
from typedrpc import Service, contract_schema, service

WORDS = frozenset({"a", "b", "c", "dd", "eee", "ffff"})

class Tags(BaseModel):
    some: set[str] | None = set(WORDS)
    nested: list[frozenset[str]] = [WORDS]

class Words(Service):
    @service.method
    async def f(self, t: frozenset[str] = WORDS, u: tuple[frozenset[str], ...] = (WORDS,)) -> Tags: ...

print(contract_schema(Words).hash)
"""


def test_a_contract_with_sets_for_defaults_has_one_hash_in_all_processes() -> None:
    def hash_with(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SETS]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    assert len({hash_with(seed) for seed in ("1", "2", "3")}) == 1
