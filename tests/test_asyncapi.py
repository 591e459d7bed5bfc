from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast
from uuid import UUID

import pytest
from jsonschema import Draft7Validator, ValidationError
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    FiniteFloat,
    HttpUrl,
    Json,
    JsonValue,
    PastDate,
    PlainSerializer,
    create_model,
)
from typing_extensions import TypedDict

from typedrpc import ContractDocument, RpcError, Service, Status, UsageError, contract_schema, service
from typedrpc.asyncapi import asyncapi, asyncapi_html
from typedrpc.errors import BUILT_IN

OFFICIAL: Any = Draft7Validator(json.loads((Path(__file__).parent / "data" / "asyncapi" / "3.0.0.json").read_text()))


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    friend: Cat | None = None


class Message(BaseModel):
    """What is said."""

    text: str
    size: Annotated[int, Field(gt=0, description="in bytes")] = 3
    child: Message | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat()
    at: tuple[int, str] = (1, "a")


QUESTION = Message(text="?")


class Nobody(RpcError, code=Status.NOT_FOUND):
    """There is no such person."""

    id: int


class Echo(Service, Protocol, service="echo"):
    """Says it again."""

    @service.method(raises=[Nobody])
    async def echo(self, msg: Message, other: Message = QUESTION, raw: bytes = b"\xff") -> Message:
        """Answer with the message.

        As it came.
        """
        ...

    @service.method(oneway=True, topic="lines")
    async def log(self, line: str) -> None: ...


class Spring(Service, Protocol, service="spring", dialect="spring"):
    @service.method(topic="pay")
    async def pay(self, id: str) -> bytes: ...


class Nest(Service, Protocol, service="nest", dialect="nestjs"):
    @service.method(topic="ask")
    async def ask(self, order: Message) -> Message: ...

    @service.method(topic="happened", oneway=True)
    async def happened(self) -> None: ...


class Smallrye(Service, Protocol, service="smallrye", dialect="smallrye"):
    @service.method(topic="smile")
    async def smile(self, order: Cat) -> None: ...


class Plain(Service, Protocol, service="plain", dialect="faststream"):
    @service.method(topic="plainly")
    async def plainly(self, order: Dog) -> int: ...


EVERY = [Echo, Spring, Nest, Smallrye, Plain]


def described(*contracts: Any, server: str | None = None) -> dict[str, Any]:
    return asyncapi([contract_schema(each) for each in contracts], title="Ours", version="1.2", server=server)


def at(document: Any, reference: str) -> Any:
    """What a reference leads to; KeyError where it leads nowhere."""
    assert reference.startswith("#/")
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            if key == "$ref":
                yield each
            yield from references(each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):  # type: ignore[redundant-cast]  # pyright sees list[Unknown]
            yield from references(each)


def reply_messages(document: dict[str, Any], operation: str) -> dict[str, Any]:
    found = [at(document, m["$ref"]) for m in document["operations"][operation]["reply"]["messages"]]
    return {message["name"]: message for message in found}


def accepts(document: dict[str, Any], schema: Any, value: Any) -> bool:
    validator: Any = Draft7Validator({**schema, "components": document["components"]})
    return bool(validator.is_valid(value))


def test_a_document_of_every_dialect_is_valid_by_the_official_schema() -> None:
    OFFICIAL.validate(described(*EVERY, server="localhost:9092"))
    OFFICIAL.validate(described(Echo))
    OFFICIAL.validate(described())


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("#/operations/echo.echo", {"action": "answer"}),
        ("#/operations/echo.echo/reply/address", {"location": "reply_to"}),
        ("#/channels/echo/messages/echo.echo.request", {"payload": {"type": "a message"}}),
        ("#/channels/echo", {"topic": "echo"}),
        ("#/servers/kafka", {"host": 9092}),
    ],
)
def test_the_official_schema_refuses_a_document_that_is_broken_in_one_place(place: str, wrong: dict[str, Any]) -> None:
    document = described(*EVERY, server="localhost:9092")
    at(document, place).update(wrong)
    with pytest.raises(ValidationError):
        OFFICIAL.validate(document)


def test_every_reference_leads_somewhere_in_the_document() -> None:
    document = described(*EVERY)
    found = set(references(document))
    assert {"#/channels/echo", "#/channels/rpc.replies", "#/components/schemas/Message"} <= found
    for reference in found:
        at(document, reference)


def test_messages_of_operations_are_those_of_their_channels() -> None:
    document = described(*EVERY)
    for operation in document["operations"].values():
        for part in [operation, *([operation["reply"]] if "reply" in operation else [])]:
            for message in part["messages"]:
                assert message["$ref"].startswith(part["channel"]["$ref"] + "/messages/")


def test_a_method_is_received_and_answered_where_its_request_says() -> None:
    document = described(Echo, server="localhost:9092")
    operation = document["operations"]["echo.echo"]
    assert (operation["action"], operation["title"]) == ("receive", "echo/echo")
    assert operation["summary"] == "Answer with the message."
    assert operation["bindings"]["kafka"]["groupId"]["const"] == "echo"
    assert at(document, operation["channel"]["$ref"])["address"] == "echo"
    assert operation["reply"]["address"] == {"location": "$message.header#/reply_to"}
    assert operation["reply"]["channel"] == {"$ref": "#/channels/rpc.replies"}
    assert document["channels"]["rpc.replies"]["address"] is None  # as a reply that has an address wants it
    assert document["servers"] == {"kafka": {"host": "localhost:9092", "protocol": "kafka"}}
    assert document["info"]["tags"] == [{"name": "echo", "description": "Says it again."}]
    assert document["info"]["description"] == "Says it again."


def test_a_request_has_the_headers_and_the_body_of_protocol_1() -> None:
    document = described(Echo)
    request = at(document, "#/channels/echo/messages/echo.echo.request")
    assert request["correlationId"] == {"location": "$message.header#/correlation_id"}
    headers = {"correlation_id": "a-1", "reply_to": "rpc.replies", "rpc-protocol": "1", "rpc-method": "echo/echo"}
    assert accepts(document, request["headers"], {**headers, "reply_partition": "7", "rpc-timeout": "5000", "x": "y"})
    for wrong in ({"rpc-method": "echo/log"}, {"rpc-timeout": "soon"}, {"rpc-protocol": "2"}, {"correlation_id": ""}):
        assert not accepts(document, request["headers"], {**headers, **wrong})
    for name in headers:
        assert not accepts(document, request["headers"], {k: v for k, v in headers.items() if k != name})
    assert accepts(document, request["payload"], {"msg": {"text": "hi", "child": {"text": "there"}}, "raw": "_w=="})
    assert not accepts(document, request["payload"], {"msg": {"text": "hi", "child": {"text": 1}}})
    assert not accepts(document, request["payload"], {})


def test_a_oneway_has_no_reply() -> None:
    document = described(Echo)
    assert "reply" not in document["operations"]["echo.log"]
    request = at(document, "#/channels/lines/messages/echo.log.request")
    assert "correlationId" not in request
    assert request["headers"]["required"] == ["rpc-protocol", "rpc-method"]


OK = {"correlation_id": "a-1", "rpc-status": "OK"}
NOT_FOUND = {"correlation_id": "a-1", "rpc-status": "NOT_FOUND"}


@pytest.mark.parametrize(
    ("headers", "body", "name"),
    [
        (OK, {"text": "hi"}, "echo.echo.reply"),
        (NOT_FOUND, {"message": "nobody", "type": "Nobody", "data": {"id": 1}}, "echo.echo.error.Nobody"),
        (NOT_FOUND, {"message": "not here"}, "error.typedrpc"),
        ({"correlation_id": "a-1", "rpc-status": "INTERNAL"}, {"message": "", "details": {}}, "error.typedrpc"),
    ],
)
def test_a_reply_is_one_and_only_one_of_its_messages(headers: dict[str, str], body: Any, name: str) -> None:
    document = described(Echo)
    messages = reply_messages(document, "echo.echo")
    fitting = [
        key
        for key, message in messages.items()
        if accepts(document, message["headers"], headers) and accepts(document, message["payload"], body)
    ]
    assert fitting == [name]
    assert not accepts(document, messages["echo.echo.reply"]["headers"], NOT_FOUND)
    assert messages["echo.echo.error.Nobody"]["summary"] == "There is no such person."
    assert {"NOT_FOUND", *(status.value for status in BUILT_IN)} <= {
        *messages["error.typedrpc"]["headers"]["properties"]["rpc-status"]["enum"]
    }


@pytest.mark.parametrize(
    ("operation", "headers", "kinds", "errors"),
    [
        ("spring.pay", ["kafka_correlationId", "kafka_replyTopic"], ("text/plain", "application/octet-stream"), True),
        ("nest.ask", ["kafka_correlationId", "kafka_replyTopic"], ("application/json", "application/json"), True),
        ("smallrye.smile", ["REPLY_CORRELATION_ID", "REPLY_TOPIC"], ("application/json", "application/json"), True),
        ("plain.plainly", ["correlation_id", "reply_to"], ("application/json", "application/json"), False),
    ],
)
def test_a_method_in_another_dialect_has_its_headers_and_bare_bodies(
    operation: str, headers: list[str], kinds: tuple[str, str], errors: bool
) -> None:
    document = described(*EVERY)
    described_as = document["operations"][operation]
    (request,) = [at(document, m["$ref"]) for m in described_as["messages"]]
    assert request["headers"]["required"] == headers
    assert described_as["reply"]["address"]["location"] == f"$message.header#/{headers[1]}"
    assert request["correlationId"]["location"] == f"$message.header#/{headers[0]}"
    value, *others = reply_messages(document, operation).values()
    assert (request["contentType"], value["contentType"]) == kinds
    assert [list(other["headers"]["required"]) for other in others] == ([[headers[0], "rpc-status"]] if errors else [])


def test_nothing_as_a_value_is_told_from_an_error_by_the_header_with_the_status() -> None:
    document = described(Smallrye)
    messages = reply_messages(document, "smallrye.smile")
    for headers, name in (({}, "smallrye.smile.reply"), ({"rpc-status": "NOT_FOUND"}, "error.smallrye")):
        sent = {"REPLY_CORRELATION_ID": "a-1", **headers}
        fitting = [
            key
            for key, m in messages.items()
            if accepts(document, m["headers"], sent) and accepts(document, m["payload"], None)
        ]
        assert fitting == [name]


def test_bare_values_are_the_body_itself() -> None:
    document = described(*EVERY)
    ask = at(document, "#/channels/ask/messages/nest.ask.request")
    assert ask["payload"] == {"$ref": "#/components/schemas/Message"}
    assert ask["headers"]["properties"]["kafka_replyPartition"]["pattern"] == "^[0-9]+$"
    pay = at(document, "#/channels/pay/messages/spring.pay.request")
    assert pay["payload"] == {"type": "string"}
    assert pay["headers"]["properties"]["kafka_replyPartition"]["format"] == "binary"


models: Any = create_model
OTHER_CAT: Any = models("Cat", whiskers=int)
OTHER_DOG: Any = models("Dog", kind=(Literal["dog"], "dog"), friend=(OTHER_CAT | None, None))
"""Of the same text as the other Dog, but for what it refers to."""


def test_models_of_one_name_are_one_if_they_are_alike_all_the_way_down_and_else_two() -> None:
    class One(Service, Protocol, service="one"):
        @service.method
        async def walk(self, dog: Dog) -> None: ...

    class Same(Service, Protocol, service="same"):
        @service.method
        async def walk(self, dog: Dog) -> None: ...

    class Two(Service, Protocol, service="two"):
        @service.method
        async def walk(self, dog: OTHER_DOG) -> None: ...  # pyright: ignore[reportInvalidTypeForm, reportUnknownParameterType]

    document = described(One, Same, Two)
    assert sorted(document["components"]["schemas"]) == ["Cat", "Dog", "two.Cat", "two.Dog"]
    for reference in references(document["components"]["schemas"]["two.Dog"]):
        assert reference == "#/components/schemas/two.Cat"
    for name, place in (("one", "Dog"), ("same", "Dog"), ("two", "two.Dog")):
        payload = at(document, f"#/channels/{name}/messages/{name}.walk.request/payload")
        assert payload["properties"]["dog"] == {"$ref": f"#/components/schemas/{place}"}
    OFFICIAL.validate(document)


def test_schemas_are_of_draft_7() -> None:
    document = described(Echo)
    message = document["components"]["schemas"]["Message"]["properties"]
    assert message["at"]["items"] == [{"type": "integer"}, {"type": "string"}]
    assert "discriminator" not in message["pet"]
    other = at(document, "#/channels/echo/messages/echo.echo.request")["payload"]["properties"]["other"]
    assert other["allOf"] == [{"$ref": "#/components/schemas/Message"}]  # a default beside a reference is ignored
    assert other["default"]["text"] == "?"


T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: Cat


class Options(TypedDict, total=False):
    depth: int


class Box(BaseModel, Generic[T]):
    content: T
    more: list[Box[T]] = []


class Everything(Service, Protocol, service="everything"):
    @service.method
    async def all(
        self,
        numbers: tuple[Decimal, ...],
        when: datetime | date | timedelta,
        ids: set[UUID],
        colour: Colour,
        pair: Pair,
        options: Options,
        box: Box[Annotated[int, Field(ge=0, examples=[3], deprecated=True)]],
        parsed: Annotated[Json[Cat], PlainSerializer(Cat.model_dump_json)],
        by_name: dict[Annotated[str, Field(pattern="^a")], Cat | Dog],
        empty: tuple[()],
        anything: JsonValue,
        cats: list[Annotated[Cat, Field(description="a cat")]],
        at: AwareDatetime,
        born: Annotated[PastDate, Field(ge=date(2000, 1, 1))],
        ratio: FiniteFloat,
        price: Annotated[Decimal, Field(max_digits=5, decimal_places=2)],
        wave: complex,
        page: HttpUrl,
    ) -> Box[Box[str]] | None: ...


def test_types_of_every_kind_are_valid_by_the_official_schema() -> None:
    document = described(Everything)
    OFFICIAL.validate(document)
    for reference in references(document):
        at(document, reference)
    properties = at(document, "#/channels/everything/messages/everything.all.request")["payload"]["properties"]
    assert properties["pair"]["items"] == [{"type": "integer"}, {"$ref": "#/components/schemas/Cat"}]
    assert properties["cats"]["items"] == {"allOf": [{"$ref": "#/components/schemas/Cat"}], "description": "a cat"}


def test_a_default_or_a_name_that_looks_like_a_reference_stays_as_it_is() -> None:
    schema: Any = {
        "type": "object",
        "properties": {"$ref": {"type": "string"}, "default": {"$ref": "#/definitions/Cat"}},
        "default": {"$ref": "#/definitions/Cat"},
    }
    document = contract_schema(Echo)
    changed = {**document.model_dump(), "definitions": {**document.definitions, "Odd": schema}}
    made: Any = asyncapi([ContractDocument.model_validate(changed)], title="", version="")
    odd = made["components"]["schemas"]["Odd"]
    assert odd["default"] == {"$ref": "#/definitions/Cat"}
    assert odd["properties"]["$ref"] == {"type": "string"}
    assert odd["properties"]["default"] == {"$ref": "#/components/schemas/Cat"}


def test_names_that_asyncapi_does_not_allow_become_keys_that_it_does() -> None:
    document = contract_schema(Echo).model_dump()
    first, second = document["methods"]
    document["methods"] = [{**first, "name": "a/b"}, {**second, "name": "a~b", "topic": "a b"}]
    made: Any = asyncapi([ContractDocument.model_validate(document)], title="", version="")
    assert sorted(made["operations"]) == ["echo.a_b", "echo.a_b_2"]
    assert [operation["title"] for operation in made["operations"].values()] == ["echo/a/b", "echo/a~b"]
    assert made["channels"]["a_b"]["address"] == "a b"
    for reference in references(made):
        at(made, reference)


def test_two_documents_of_one_service_are_refused() -> None:
    with pytest.raises(UsageError, match="two documents of the service 'echo'"):
        described(Echo, Spring, Echo)


def test_an_error_that_a_document_names_and_does_not_describe_is_left_out() -> None:
    document = contract_schema(Echo)
    assert asyncapi([document.model_copy(update={"errors": {}})], title="", version="1")["asyncapi"] == "3.0.0"


class Elements(HTMLParser):
    """The elements of a page, and the text inside its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = ""
        self.title = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1] == "script":
            self.scripts += data
        if self.found and self.found[-1] == "title":
            self.title += data.strip()


HOSTILE = "</script></title><script>alert(1)</script><img src=x onerror=alert(2)>&lt;<!-- \u2028 '\"`${x}\\"


def test_a_page_holds_the_whole_document_and_nothing_in_it_is_read_as_html() -> None:
    document = contract_schema(Echo)
    hostile = document.model_copy(update={"doc": HOSTILE, "service": HOSTILE})
    made = asyncapi([hostile], title=HOSTILE, version=HOSTILE, server=HOSTILE)
    calm = Elements(asyncapi_html(asyncapi([document], title="t", version="1")))
    page = asyncapi_html(made)
    assert '<meta charset="utf-8">' in page
    found = Elements(page)
    assert found.found == calm.found
    assert found.title == f"{HOSTILE} AsyncAPI"
    assert "<img" not in page
    assert "alert(1)</script" not in page
    inside = re.search(r"AsyncApiStandalone\.render\(\s*(\{.*\}),\s*document", found.scripts, re.DOTALL)
    assert inside is not None
    assert json.loads(json.loads(inside[1])["schema"]) == made
