"""Requests as other frameworks write them, byte by byte, against one service on a real Kafka: also hostile ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream.kafka import KafkaBroker

from interop.peer import make_topics
from real_kafka import FEW
from typedrpc import Limits, NotFound, Rpc, Service, service

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

Dialect = Literal["faststream", "spring", "nestjs", "smallrye"]
Headers = list[tuple[str, bytes | None]]

ID = b"\x00\xff\x80binary id"
DIALECTS: list[Dialect] = ["faststream", "spring", "nestjs", "smallrye"]
MARKED: list[Dialect] = ["spring", "nestjs", "smallrye"]


def asking(dialect: Dialect, topic: str, partition: int = 1, id_: bytes = ID) -> Headers:
    """The headers of a request."""
    to, int32 = topic.encode(), partition.to_bytes(4, "big")
    match dialect:
        case "faststream":
            return [("content-type", b"text/plain"), ("correlation_id", id_), ("reply_to", to)]
        case "spring":
            return [("kafka_replyTopic", to), ("kafka_replyPartition", int32), ("kafka_correlationId", id_)]
        case "nestjs":
            digits = str(partition).encode()
            return [("kafka_correlationId", id_), ("kafka_replyTopic", to), ("kafka_replyPartition", digits)]
        case "smallrye":
            return [("REPLY_CORRELATION_ID", id_), ("REPLY_TOPIC", to), ("REPLY_PARTITION", int32)]


@dataclass
class Scene:
    """A service on one topic; `replies` has three partitions."""

    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    topic: str
    replies: str
    seen: list[str]

    async def send(self, headers: Headers, body: bytes | None = b"hi") -> None:
        await self.producer.send_and_wait(self.topic, body, key=b"k", headers=headers)

    async def reply(self) -> Any:
        """The next record of the reply topic."""
        async with asyncio.timeout(20):
            return await self.consumer.getone()


@pytest.fixture
def options() -> dict[str, Any]:
    """What the Rpc is made with; a test has its own by `parametrize`."""
    return {}


@pytest.fixture
async def scene(
    kafka: str, broker: KafkaBroker, unique: Callable[[str], str], options: dict[str, Any]
) -> AsyncGenerator[Scene]:
    topic, replies, seen = unique("upper"), unique("replies"), list[str]()
    await make_topics(kafka, replies)

    class Upper(Service, service=topic):
        @service.method
        async def upper(self, text: str) -> str:
            seen.append(text)
            if text == "nope":
                raise NotFound("no such thing")
            return text.upper()

    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(replies, n) for n in range(3)])
    rpc = Rpc(broker, topics=FEW, **options)
    rpc.serve(Upper())
    try:
        async with rpc:
            yield Scene(producer, consumer, topic, replies, seen)
    finally:
        await producer.stop()
        await consumer.stop()


async def test_one_method_answers_every_dialect_in_its_own_way(scene: Scene) -> None:
    ids = {"faststream": "correlation_id", "smallrye": "REPLY_CORRELATION_ID"}
    for dialect in DIALECTS:
        await scene.send(asking(dialect, scene.replies, 2))
        reply = await scene.reply()
        assert reply.value == b"HI"
        names = [name for name, _ in reply.headers]
        name = ids.get(dialect, "kafka_correlationId")
        assert [value for n, value in reply.headers if n == name] == [ID]
        assert ("kafka_nest-is-disposed" in names) == (dialect == "nestjs")
        assert all(value is not None for _, value in reply.headers)
        if dialect != "faststream":
            assert reply.partition == 2


@pytest.mark.parametrize("dialect", MARKED)
@pytest.mark.parametrize("options", [{"limits": Limits(max_body=1000)}], ids=[""])
async def test_a_body_over_the_limit_is_refused_in_the_dialect_of_its_sender(scene: Scene, dialect: Dialect) -> None:
    await scene.send(asking(dialect, scene.replies), b"x" * 1001)

    reply = await scene.reply()
    assert reply.value is None
    told = {"spring": "kafka_exception-message", "nestjs": "kafka_nest-err", "smallrye": "REPLY_ERROR"}[dialect]
    assert b"over 1000 bytes" in dict(reply.headers)[told]
    assert scene.seen == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_replies_that_may_not_or_cannot_be_sent_stop_nothing(scene: Scene, dialect: Dialect) -> None:
    forbidden = [scene.topic, "__consumer_offsets", "no topic", "", "x" * 250]
    for topic in forbidden:
        await scene.send(asking(dialect, topic), b"forbidden")
    named = next(i for i, (_, value) in enumerate(asking(dialect, scene.replies)) if value == ID)
    for strange in (b"", None, b"x" * 513):
        headers = asking(dialect, scene.replies)
        headers[named] = (headers[named][0], strange)
        await scene.send(headers, b"nameless")
    await scene.send(asking(dialect, scene.replies, 2**31 - 1, b"far"), b"far")
    await scene.send(asking(dialect, scene.replies, 0, b"last"), b"last")

    answered = {b"FAR", b"LAST"} if dialect == "faststream" else {b"LAST"}  # FastStream's requests name no partition
    assert {(await scene.reply()).value for _ in answered} == answered
    assert "nameless" not in scene.seen
    assert scene.seen.count("forbidden") == 1  # the empty topic: no reply is wanted


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("options", [{"dialects": ()}], ids=["none"])
async def test_a_dialect_that_is_not_spoken_runs_nothing(scene: Scene, dialect: Dialect) -> None:
    await scene.send(asking(dialect, scene.replies))
    await scene.send([])
    own = [("correlation_id", b"own"), ("reply_to", scene.replies.encode()), ("rpc-protocol", b"1")]
    method = ("rpc-method", f"{scene.topic}/upper".encode())
    await scene.send([*own, method], b'{"text":"own"}')

    assert (await scene.reply()).value == b'"OWN"'
    assert scene.seen == ["own"]


async def test_an_error_says_the_same_to_every_dialect_that_has_errors(scene: Scene) -> None:
    for dialect in MARKED:
        await scene.send(asking(dialect, scene.replies, 0, uuid4().bytes), b"nope")
        reply = await scene.reply()
        assert reply.value is None
        assert dict(reply.headers)["rpc-status"] == b"NOT_FOUND"
        assert any(b"no such thing" in value for _, value in reply.headers)
