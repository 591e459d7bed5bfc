"""Plain FastStream handlers and clients on one side, typedrpc on the other, on a real Kafka."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel

from real_kafka import FEW
from typedrpc import Call, DeadlineExceeded, InvalidArgument, Rpc, Service, service

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "faststream_recipe"))

from rpc_worker import RPCWorker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


Handler = Callable[..., Awaitable[Any]]


class Point(BaseModel):
    x: int
    label: str = ""


class Names:
    """Names of topics that only this test has, made when first asked for."""

    def __init__(self, unique: Callable[[str], str]) -> None:
        self._unique = unique
        self._topics: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._topics:
            self._topics[name] = self._unique(name)
        return self._topics[name]


@pytest.fixture
def topics(unique: Callable[[str], str]) -> Names:
    return Names(unique)


@pytest.fixture
async def rpc(broker: KafkaBroker) -> AsyncGenerator[Rpc]:
    """Stops the broker too; a test starts both."""
    rpc = Rpc(broker, topics=FEW, timeout=20)
    yield rpc
    await rpc.stop()
    await broker.stop()


# A plain subscriber, called through a typed client.


def plain_handlers(broker: KafkaBroker, topics: Names) -> None:
    def on(name: str) -> Callable[[Handler], Handler]:
        def subscribe(handler: Handler) -> Handler:
            broker.subscriber(topics[name], group_id=topics[name], auto_offset_reset="earliest")(handler)
            return handler

        return subscribe

    @on("model")
    async def model(point: Point) -> Point:
        return Point(x=point.x + 1, label=point.label)

    @on("text")
    async def text(body: str) -> str:
        return body.upper()

    @on("raw")
    async def raw(msg: KafkaMessage) -> bytes:
        return msg.body[::-1]

    @on("number")
    async def number(value: int) -> int:
        return 2 * value

    @on("nothing")
    async def nothing(body: str) -> None:
        return None

    @on("mapping")
    async def mapping(body: dict[str, int]) -> dict[str, int]:
        return {key: -value for key, value in body.items()}

    @on("listing")
    async def listing(body: list[Point]) -> list[Point]:
        return body[::-1]

    @on("fails")
    async def fails(body: str) -> str:
        raise RuntimeError(body)

    @on("seen")
    async def seen(msg: KafkaMessage) -> dict[str, str]:
        record: Any = msg.raw_message
        return {"key": record.key.decode(), **msg.headers}

    assert all(map(callable, (model, text, raw, number, nothing, mapping, listing, fails, seen)))


def plain_client(rpc: Rpc, topics: Names) -> Any:
    """Typed as `Any` here, for one contract has all the shapes."""

    class Plain(Service, Protocol, dialect="faststream"):
        @service.method(topic=topics["model"])
        async def model(self, point: Point) -> Point: ...

        @service.method(topic=topics["text"])
        async def text(self, body: str) -> str: ...

        @service.method(topic=topics["raw"])
        async def raw(self, body: bytes) -> bytes: ...

        @service.method(topic=topics["number"])
        async def number(self, value: int) -> int: ...

        @service.method(topic=topics["nothing"])
        async def nothing(self, body: str) -> None: ...

        @service.method(topic=topics["mapping"])
        async def mapping(self, body: dict[str, int]) -> dict[str, int]: ...

        @service.method(topic=topics["listing"])
        async def listing(self, body: list[Point]) -> list[Point]: ...

        @service.method(topic=topics["fails"])
        async def fails(self, body: str) -> str: ...

        @service.method(topic=topics["seen"])
        async def seen(self) -> dict[str, str]: ...

    return rpc.client(Plain)


@pytest.fixture
async def plain(rpc: Rpc, broker: KafkaBroker, topics: Names) -> Any:
    plain_handlers(broker, topics)
    await broker.start()
    await rpc.start()
    return plain_client(rpc, topics)


async def test_a_plain_subscriber_is_called_through_a_typed_client_with_every_kind_of_body(plain: Any) -> None:
    assert await plain.model(Point(x=1, label="ä")) == Point(x=2, label="ä")
    assert await plain.text("grüße") == "GRÜSSE"
    assert await plain.text("123") == "123"
    assert await plain.raw(b"\x00\xff\xfe") == b"\xfe\xff\x00"
    assert await plain.number(-21) == -42
    assert await plain.nothing("x") is None
    assert await plain.mapping({"a": 1}) == {"a": -1}
    assert await plain.listing([Point(x=1), Point(x=2)]) == [Point(x=2), Point(x=1)]


async def test_a_plain_subscriber_that_fails_ends_its_call_at_the_deadline(plain: Any) -> None:
    with pytest.raises(DeadlineExceeded):
        await plain.fails.with_options(timeout=1)("boom")
    assert await plain.text("still there") == "STILL THERE"


async def test_a_typed_client_of_a_plain_subscriber_refuses_what_does_not_fit(plain: Any) -> None:
    with pytest.raises(InvalidArgument):
        await plain.number.with_options(timeout=2)("two")
    with pytest.raises(InvalidArgument):
        await plain.model.with_options(timeout=2)("a point")
    with pytest.raises(TypeError):
        await plain.number()


async def test_key_and_metadata_arrive_at_a_plain_subscriber(plain: Any) -> None:
    seen = await plain.seen.with_options(key="customer-7", metadata={"tenant": "a"})()
    assert seen["key"] == "customer-7"
    assert seen["tenant"] == "a"


async def test_200_calls_at_once_of_a_plain_subscriber_each_get_their_own_reply(plain: Any) -> None:
    assert await asyncio.gather(*(plain.number(n) for n in range(200))) == [2 * n for n in range(200)]


async def test_rpc_request_carries_bytes_to_a_plain_subscriber(plain: Any, rpc: Rpc, topics: Names) -> None:
    assert await rpc.request(topics["raw"], b"abc") == b"cba"
    assert await rpc.request(topics["raw"], b"\xff\x00", key="k", metadata={"a": "b"}) == b"\x00\xff"
    with pytest.raises(DeadlineExceeded):
        await rpc.request(topics["fails"], b"boom", timeout=1)


# A service, called by plain FastStream.


def make_service(topics: Names) -> Any:
    class Typed(Service, service=topics["typed"]):
        @service.method(topic=topics["t-model"])
        async def model(self, ctx: Call, point: Point) -> Point:
            ctx.reply_metadata["tenant"] = ctx.metadata.get("tenant", "none")
            return Point(x=point.x + 1, label=point.label)

        @service.method(topic=topics["t-text"])
        async def text(self, body: str) -> str:
            return body.upper()

        @service.method(topic=topics["t-raw"])
        async def raw(self, body: bytes) -> bytes:
            return body[::-1]

        @service.method(topic=topics["t-nothing"])
        async def nothing(self, body: str) -> None:
            return None

        @service.method(topic=topics["t-number"])
        async def number(self, value: int) -> int:
            await asyncio.sleep(0)
            return 2 * value

        @service.method(topic=topics["t-fails"])
        async def fails(self, body: str) -> str:
            raise RuntimeError(body)

    return Typed()


@pytest.fixture
async def worker(rpc: Rpc, broker: KafkaBroker, topics: Names) -> RPCWorker:
    rpc.serve(make_service(topics))
    worker = RPCWorker(broker, reply_topic=topics["replies"])
    await broker.start()
    await rpc.start()
    return worker


async def test_the_recipe_calls_a_service_with_every_kind_of_body(worker: RPCWorker, topics: Names) -> None:
    assert await worker.request("grüße", topics["t-text"]) == "GRÜSSE".encode()
    assert await worker.request("123", topics["t-text"]) == b"123"
    assert await worker.request(b"\x00\xff\xfe", topics["t-raw"]) == b"\xfe\xff\x00"
    reply = await worker.request(Point(x=1, label="ä"), topics["t-model"])
    assert Point.model_validate_json(reply) == Point(x=2, label="ä")
    assert await worker.request({"x": 5}, topics["t-model"]) == b'{"x":6,"label":""}'
    assert await worker.request(21, topics["t-number"]) == b"42"
    assert await worker.request("x", topics["t-nothing"]) == b""


async def test_a_recipes_worker_made_after_the_start_works_too(
    worker: RPCWorker, broker: KafkaBroker, topics: Names
) -> None:
    late = RPCWorker(broker, reply_topic=topics["late-replies"])
    await late.start()
    assert await late.request("hi", topics["t-text"]) == b"HI"
    assert await worker.request("hi", topics["t-text"]) == b"HI"
    await late.stop()


async def test_an_error_is_silence_to_the_recipe_until_its_own_time_out(worker: RPCWorker, topics: Names) -> None:
    with pytest.raises(TimeoutError):
        await worker.request("boom", topics["t-fails"], timeout=1)
    with pytest.raises(TimeoutError):
        await worker.request("no number", topics["t-number"], timeout=1)
    assert not worker.responses
    assert await worker.request("hi", topics["t-text"]) == b"HI"


async def test_200_requests_at_once_of_the_recipe_each_get_their_own_reply(worker: RPCWorker, topics: Names) -> None:
    replies = await asyncio.gather(*(worker.request(n, topics["t-number"], timeout=30) for n in range(200)))
    assert [int(r) for r in replies] == [2 * n for n in range(200)]


async def test_rpc_request_carries_bytes_to_a_service(worker: RPCWorker, rpc: Rpc, topics: Names) -> None:
    assert await rpc.request(topics["t-raw"], b"\x00\xff") == b"\xff\x00"
    assert await rpc.request(topics["t-text"], "grüße".encode()) == "GRÜSSE".encode()
    assert await rpc.request(topics["t-number"], b"21") == b"42"
    with pytest.raises(DeadlineExceeded):
        await rpc.request(topics["t-fails"], b"boom", timeout=1)


async def test_a_plain_reply_carries_content_type_and_metadata(rpc: Rpc, broker: KafkaBroker, topics: Names) -> None:
    rpc.serve(make_service(topics))
    heard: asyncio.Queue[KafkaMessage] = asyncio.Queue()

    @broker.subscriber(topics["replies"], group_id=topics["replies"], auto_offset_reset="earliest")
    async def on_reply(msg: KafkaMessage) -> None:
        await heard.put(msg)

    assert callable(on_reply)
    await broker.start()
    await rpc.start()

    async def ask(body: Any, topic: str) -> KafkaMessage:
        await broker.publish(
            body, topics[topic], reply_to=topics["replies"], correlation_id="mine", headers={"tenant": "a"}
        )
        async with asyncio.timeout(20):
            return await heard.get()

    reply = await ask(Point(x=1), "t-model")
    assert (reply.correlation_id, reply.content_type) == ("mine", "application/json")
    assert reply.headers["tenant"] == "a"
    assert await reply.decode() == {"x": 2, "label": ""}
    reply = await ask("hi", "t-text")
    assert (reply.content_type, await reply.decode()) == ("text/plain", "HI")
    reply = await ask(b"ab", "t-raw")
    assert (reply.content_type or "", reply.body) == ("", b"ba")


async def test_null_and_non_utf8_headers_of_strangers_harm_neither_side(
    worker: RPCWorker, kafka: str, rpc: Rpc, topics: Names
) -> None:
    strange: list[tuple[str, Any]] = [("null", None), ("binary", b"\xff\xfe"), ("", b"nameless")]
    asked = [("reply_to", topics["replies"].encode()), ("correlation_id", b"a-stranger's")]
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for headers in (strange, [*strange, *asked], [("correlation_id", None)], [("reply_to", None), *strange]):
            await producer.send_and_wait(topics["t-text"], b"strange", headers=headers)
            await producer.send_and_wait(FEW.plain_replies, b"strange", headers=headers)
            for partition in range(3):
                await producer.send_and_wait(FEW.replies, b"strange", headers=headers, partition=partition)
    finally:
        await producer.stop()
    assert await worker.request("hi", topics["t-text"]) == b"HI"
    assert await rpc.request(topics["t-text"], b"hi") == b"HI"
