"""A service under fire, on both transports: what the tests of hostile records share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from faststream.kafka import KafkaBroker
from pydantic import BaseModel, field_validator

from typedrpc import (
    Call,
    Rpc,
    Service,
    Status,
    Topics,
    service,
)
from typedrpc.transport import Reader, TopicPartition, TopicSpec, Transport
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.memory import MemoryTransport
from typedrpc.wire import correlation_of, parse_response

PARTITIONS = 3
PATIENCE = 20.0

RawHeaders = list[tuple[str, bytes | None]]


class Tree(BaseModel):
    text: str = ""
    number: int = 0
    below: list[Tree] = []

    @field_validator("text")
    @classmethod
    def break_down(cls, text: str) -> str:
        if text == "break":
            raise KeyError("a validator's own bug")
        return text


@dataclass
class Scene:
    """A service under fire: what is thrown at it, and who can be seen to be answered."""

    rpc: Rpc
    raw: Transport
    client: Any
    topic: str
    other_topic: str
    replies: str
    answers: str
    reader: Reader
    handled: list[str]
    caller_ids: list[str]
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def headers(self, **changes: Any) -> RawHeaders:
        """Of a valid request, with some replaced (`_` for `-`); ... takes one out."""
        headers: dict[str, Any] = {
            "correlation_id": b"hostile",
            "reply_to": self.answers.encode(),
            "reply_partition": b"0",
            "content-type": b"application/json",
            "rpc-protocol": b"1",
            "rpc-method": f"{self.topic}/echo".encode(),
            "rpc-timeout": b"60000",
        }
        headers |= {name if name in headers else name.replace("_", "-"): value for name, value in changes.items()}
        return [(name, value) for name, value in headers.items() if value is not ...]

    async def throw(
        self, headers: Sequence[tuple[str, bytes | None]], body: bytes | None, topic: str = "", partition: int = 0
    ) -> None:
        """Writes a record as it is."""
        written: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        as_they_are: Any = list(headers)
        self.raw.send(topic or self.topic, partition, None, body, as_they_are, lambda _, e: written.set_result(e), None)
        async with asyncio.timeout(PATIENCE):
            assert await written is None

    @property
    def refused(self) -> int:
        """How many records the service refused so far."""
        return self.rpc._served[self.topic].malformed  # pyright: ignore[reportPrivateUsage]

    async def still_serves(self) -> None:
        for partition_key in ("a", "b", "c"):
            assert await self.client.echo.with_options(key=partition_key)(Tree(text="well")) == Tree(text="well")


@pytest.fixture
def allow_list() -> bool:
    """Whether the services of the scene answer to its two topics of replies only; a test parametrizes it."""
    return False


@pytest_asyncio.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def scene(
    request: pytest.FixtureRequest, unique: Callable[[str], str], allow_list: bool
) -> AsyncGenerator[Scene]:
    topic, other_topic, replies, answers = (unique(name) for name in ("hostile", "other", "replies", "answers"))
    reply_to = {replies, answers} if allow_list else None
    topics = Topics(request_partitions=PARTITIONS, reply_partitions=4, replies=replies, reply_to=reply_to)
    rpc, raw = make_rpc(request, topics)
    handled: list[str] = []
    caller_ids: list[str] = []
    release = asyncio.Event()

    class Target(Service, Protocol, service=topic):
        @service.method
        async def echo(self, msg: Tree) -> Tree: ...
        @service.method
        async def slow(self, msg: Tree) -> Tree: ...
        @service.method(oneway=True)
        async def log(self, line: str) -> None: ...

    class TargetServer(Target):
        @service.method
        async def echo(self, msg: Tree) -> Tree:
            handled.append(msg.text)
            return msg

        @service.method
        async def slow(self, ctx: Call, msg: Tree) -> Tree:
            handled.append(msg.text)
            caller_ids.append(ctx.correlation_id)
            await release.wait()
            return msg

        @service.method(oneway=True)
        async def log(self, line: str) -> None:
            handled.append(line)

    class Other(Service, service=other_topic):
        @service.method
        async def echo(self, msg: Tree) -> Tree:
            handled.append("other")
            return msg

    rpc.serve(TargetServer(), Other())
    async with AsyncExitStack() as stack:
        await raw.start()
        stack.push_async_callback(raw.stop)
        await raw.ensure_topics([TopicSpec(name=answers, partitions=1, config={})], create=True)
        reader = await raw.open_reader([TopicPartition(answers, 0)])
        stack.push_async_callback(reader.close)
        await stack.enter_async_context(rpc)
        stack.callback(release.set)
        client = rpc.client(Target)
        yield Scene(rpc, raw, client, topic, other_topic, replies, answers, reader, handled, caller_ids, release)
        release.set()
        await assert_offsets_reach_the_ends(request, raw, [topic, other_topic])


def make_rpc(request: pytest.FixtureRequest, topics: Topics) -> tuple[Rpc, Transport]:
    if request.param == "memory":
        rpc = Rpc.in_memory(topics=topics)
        return rpc, MemoryTransport(rpc._log)  # pyright: ignore[reportPrivateUsage]  # nothing public writes raw records
    kafka: str = request.getfixturevalue("kafka")
    connection = connection_of(KafkaBroker(kafka, logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=10, instance_id=None)
    return Rpc(KafkaBroker(kafka, logger=None), topics=topics), transport


async def assert_offsets_reach_the_ends(request: pytest.FixtureRequest, raw: Transport, groups: list[str]) -> None:
    """A group has its service's name; what is committed must soon be everything."""
    if request.param == "memory":
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=request.getfixturevalue("kafka"))
    await admin.start()
    try:
        for group in groups:
            all_ends = await asyncio.gather(*(end_of(raw, TopicPartition(group, p)) for p in range(PARTITIONS)))
            ends = dict(enumerate(all_ends))
            async with asyncio.timeout(PATIENCE):
                while True:
                    offsets = await admin.list_consumer_group_offsets(group)
                    committed = {at.partition: meta.offset for at, meta in offsets.items()}
                    if all(committed.get(p) == end for p, end in ends.items()):
                        break
                    await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def end_of(raw: Transport, at: TopicPartition) -> int:
    """The end of a partition as one more record tells it, garbage like the others."""
    written: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    reader = await raw.open_reader([at])
    try:
        raw.send(at.topic, at.partition, None, b"", [], lambda _, error: written.set_result(error), None)
        async with asyncio.timeout(PATIENCE):
            assert await written is None
            while not (records := await reader.fetch()):
                pass
        return records[-1].offset + 1
    finally:
        await reader.close()


GOOD = b'{"msg":{"text":"hi"}}'
DEEP = b"[" * 100_000


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # many things change what is waited for
            await asyncio.sleep(0.01)


async def all_answers(scene: Scene, count: int) -> dict[bytes, tuple[Status, bytes]]:
    """By correlation id; fails where one is answered twice, or some are not within a while."""
    answers: dict[bytes, tuple[Status, bytes]] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while len(answers) < count:
                for record in await scene.reader.fetch():
                    id_ = correlation_of(record.headers) or b""
                    assert id_ not in answers
                    answers[id_] = (parse_response(record.headers).status, record.value or b"")
    except TimeoutError:
        pytest.fail(f"{len(answers)} of {count} answered: {sorted(answers)}")
    return answers
