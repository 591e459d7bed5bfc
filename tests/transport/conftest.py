"""What the conformance suite runs on: a log in memory, and in a second run of each test the real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio
from faststream.kafka import KafkaBroker

from typedrpc.transport import Reader, Record, TopicPartition, TopicSpec, Transport
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.memory import MemoryLog, MemoryTransport

LOG_APPEND = {"message.timestamp.type": "LogAppendTime"}


@pytest_asyncio.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def connect(request: pytest.FixtureRequest) -> AsyncGenerator[Callable[[], Awaitable[Transport]]]:
    """Makes started transports that see each other as processes on one Kafka do; stops them after the test."""
    log = MemoryLog()
    opened: list[Transport] = []

    async def connect() -> Transport:
        transport: Transport
        if request.param == "memory":
            transport = MemoryTransport(log)
        else:
            connection = connection_of(KafkaBroker(request.getfixturevalue("kafka"), logger=None))
            assert connection is not None
            transport = KafkaTransport(connection, start_timeout=10, instance_id=None)
        opened.append(transport)
        await transport.start()
        return transport

    yield connect
    await asyncio.gather(*(transport.stop() for transport in opened))


@pytest_asyncio.fixture
async def transport(connect: Callable[[], Awaitable[Transport]]) -> Transport:
    return await connect()


@pytest_asyncio.fixture
async def open_reader(
    connect: Callable[[], Awaitable[Transport]],
) -> AsyncGenerator[Callable[[Transport, Sequence[TopicPartition]], Awaitable[Reader]]]:
    """Opens readers and closes them after the test."""
    opened: list[Reader] = []

    async def open_reader(transport: Transport, partitions: Sequence[TopicPartition]) -> Reader:
        opened.append(await transport.open_reader(partitions))
        return opened[-1]

    yield open_reader
    await asyncio.gather(*(reader.close() for reader in opened))


@pytest.fixture
def make_topic(unique: Callable[[str], str]) -> Callable[[Transport, int], Awaitable[str]]:
    """Makes a topic that no other test uses."""

    async def make_topic(transport: Transport, partitions: int) -> str:
        topic = unique("conformance")
        await transport.ensure_topics([TopicSpec(name=topic, partitions=partitions, config=LOG_APPEND)], create=True)
        return topic

    return make_topic


@pytest.fixture
def write() -> Callable[..., Awaitable[list[BaseException | None]]]:
    """Sends a record for each value and waits until each was acknowledged or failed; answers with the errors."""

    async def write(
        transport: Transport,
        at: tuple[str, int | None],
        *values: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, Any]] = (),
        durable: bool = False,
    ) -> list[BaseException | None]:
        outcome: dict[int, list[BaseException | None]] = {index: [] for index in range(len(values))}
        ended = asyncio.Event()
        waiting = len(values)

        def sent(token: int, error: BaseException | None) -> None:
            nonlocal waiting
            outcome[token].append(error)
            waiting -= 1
            if waiting == 0:
                ended.set()

        for index, value in enumerate(values):
            transport.send(at[0], at[1], key, value, headers, sent, index, durable=durable)
        async with asyncio.timeout(30):
            await ended.wait()
        await asyncio.sleep(0)
        assert all(len(errors) == 1 for errors in outcome.values()), "sent is called exactly once for each"
        return [error for errors in outcome.values() for error in errors]

    return write


@pytest.fixture
def read() -> Callable[..., Awaitable[list[Record]]]:
    """Fetches until there are so many records, and fails where there are not within 20 seconds."""

    async def read(reader: Any, count: int) -> list[Record]:
        records: list[Record] = []
        try:
            async with asyncio.timeout(20):
                while len(records) < count:
                    records += await reader.fetch()
                    await asyncio.sleep(0)
        except TimeoutError:
            pytest.fail(f"{len(records)} records of {count} arrived: {records[:10]}")
        return records

    return read
