"""Request/reply on aiokafka alone, but for how records are sent: typedrpc's topics, bytes for bodies, no Pydantic.

Clients are set up as in aiokafka's documentation ("Producer client", "Consumer client"), but for larger batches.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream.kafka import KafkaBroker

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls
from typedrpc import Topics
from typedrpc.transport.kafka import KafkaTransport, connection_of

KAFKA = os.environ["TYPEDRPC_KAFKA"]
REPLIES, OWN = "rpc.replies", 7
"""The topic of replies, and the client's partition of it."""

Headers = list[tuple[str, bytes]]
Send = Callable[[str, int | None, bytes | None, Headers], Awaitable[object]]
"""Topic, partition (None: any), body, headers. Does not wait until the record is written."""
Sender = Callable[[AIOKafkaProducer], Send]


@asynccontextmanager
async def _sending(sender: Sender) -> AsyncGenerator[Send]:
    producer = AIOKafkaProducer(bootstrap_servers=KAFKA, acks=1, linger_ms=0, max_batch_size=262_144)
    await producer.start()
    try:
        yield sender(producer)
    finally:
        await producer.stop()


@asynccontextmanager
async def _reading(consumer: AIOKafkaConsumer, read: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(read)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await consumer.stop()


async def _make_topics(requests: str) -> None:
    connection = connection_of(KafkaBroker(KAFKA, logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=20, instance_id=None)
    await transport.ensure_topics([Topics().request_topic(requests), Topics().reply_topic()], create=True)
    await transport.stop()


async def _answer_all(consumer: AIOKafkaConsumer, send: Send) -> None:
    waiting: set[asyncio.Task[None]] = set()

    async def answer(value: bytes | None, headers: dict[str, bytes | None]) -> None:
        if headers["wait"]:
            await asyncio.sleep(WAIT)
        topic, partition = headers["reply_to"] or b"", int(headers["reply_partition"] or 0)
        await send(topic.decode(), partition, value, [("correlation_id", headers["correlation_id"] or b"")])

    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                headers = dict(record.headers)
                if headers["wait"]:
                    task = asyncio.create_task(answer(record.value, headers))
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                else:
                    await answer(record.value, headers)


@asynccontextmanager
async def serve(requests: str, sender: Sender) -> AsyncGenerator[None]:
    await _make_topics(requests)
    consumer = AIOKafkaConsumer(
        requests,
        bootstrap_servers=KAFKA,
        group_id=requests,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=250,
        heartbeat_interval_ms=1000,
        session_timeout_ms=10_000,
    )
    async with _sending(sender) as send:
        await consumer.start()
        async with _reading(consumer, _answer_all(consumer, send)):
            yield


async def _reply_consumer() -> AIOKafkaConsumer:
    """At the end of the client's partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=KAFKA, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=250
    )
    await consumer.start()
    own = TopicPartition(REPLIES, OWN)
    ends = await consumer.end_offsets([own])
    consumer.assign([own])
    consumer.seek(own, ends[own])
    return consumer


@asynccontextmanager
async def calls(requests: str, sender: Sender) -> AsyncGenerator[Calls]:
    consumer = await _reply_consumer()
    loop = asyncio.get_running_loop()
    pending: dict[bytes | None, asyncio.Future[bytes | None]] = {}
    numbers = count()

    async def read() -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    future = pending.pop(record.headers[0][1], None)
                    if future is not None and not future.done():
                        future.set_result(record.value)

    small, nested = SMALL.model_dump_json().encode(), NESTED.model_dump_json().encode()
    async with _sending(sender) as send, _reading(consumer, read()):

        async def call(body: bytes, wait: bytes = b"") -> bytes | None:
            correlation_id = b"%d-%d" % (os.getpid(), next(numbers))
            future = pending[correlation_id] = loop.create_future()
            where = [("reply_to", REPLIES.encode()), ("reply_partition", b"%d" % OWN)]
            await send(requests, None, body, [("correlation_id", correlation_id), *where, ("wait", wait)])
            reply: bytes | None = await future
            return reply

        yield {
            "small": lambda: call(small),
            "nested": lambda: call(nested),
            "bytes": lambda: call(BYTES),
            "waiting": lambda: call(small, b"1"),
        }
