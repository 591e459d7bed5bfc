"""How batches fail on a real Kafka: one record's fault is no other's, and a producer that broke is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from faststream.kafka import KafkaBroker

from typedrpc.transport import TopicSpec, TransportError
from typedrpc.transport.kafka import KafkaTransport, connection_of

pytestmark = pytest.mark.kafka

Write = Callable[..., Awaitable[list[BaseException | None]]]


@pytest_asyncio.fixture
async def transport(broker: KafkaBroker) -> AsyncGenerator[KafkaTransport]:
    connection = connection_of(broker)
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=10, instance_id=None)
    await transport.start()
    yield transport
    await transport.stop()


@pytest_asyncio.fixture
async def small(transport: KafkaTransport, unique: Callable[[str], str]) -> str:
    """A topic of one partition that takes batches of 20,000 bytes at most."""
    topic = unique("small")
    await transport.ensure_topics(
        [TopicSpec(name=topic, partitions=1, config={"max.message.bytes": "20000"})], create=True
    )
    return topic


def break_sender(transport: KafkaTransport, outbox: str) -> None:
    """Lets aiokafka's background task meet an error that nobody foresaw."""
    producer: Any = getattr(transport, outbox)._producer
    producer._message_accumulator.drain_by_nodes = None


@pytest.mark.parametrize("durable", [False, True])
async def test_records_that_fit_are_written_though_their_topic_refuses_our_batches(
    transport: KafkaTransport, small: str, write: Write, durable: bool
) -> None:
    assert await write(transport, (small, 0), *[b"x" * 1000] * 100, durable=durable) == [None] * 100


@pytest.mark.parametrize("durable", [False, True])
async def test_of_records_sent_at_once_only_the_one_that_is_too_large_fails(
    transport: KafkaTransport, small: str, write: Write, durable: bool
) -> None:
    errors = await write(transport, (small, 0), b"a", b"x" * 30_000, b"b", durable=durable)
    assert isinstance(errors[1], TransportError)
    assert errors == [None, errors[1], None]
    assert await write(transport, (small, 0), b"c", durable=durable) == [None]


@pytest.mark.parametrize("outbox", ["_outbox", "_bulk"])
async def test_a_producer_whose_background_task_died_is_made_anew(
    transport: KafkaTransport, small: str, write: Write, outbox: str
) -> None:
    durable = outbox == "_bulk"
    assert await write(transport, (small, 0), b"before", durable=durable) == [None]
    break_sender(transport, outbox)
    (error,) = await write(transport, (small, 0), b"meets the error", durable=durable)
    assert isinstance(error, TransportError)
    assert await write(transport, (small, 0), b"after", durable=durable) == [None]


@pytest.mark.parametrize("outbox", ["_outbox", "_bulk"])
async def test_a_background_task_that_was_cancelled_is_noticed_at_once(
    transport: KafkaTransport, small: str, write: Write, outbox: str
) -> None:
    durable = outbox == "_bulk"
    assert await write(transport, (small, 0), b"before", durable=durable) == [None]
    getattr(transport, outbox)._producer._sender.sender_task.cancel()
    async with asyncio.timeout(5):
        await write(transport, (small, 0), b"meets the end", durable=durable)
        assert await write(transport, (small, 0), b"after", durable=durable) == [None]
