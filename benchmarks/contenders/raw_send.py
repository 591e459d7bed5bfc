"""Raw aiokafka `send`, the ceiling without own batches: typedrpc's topics, bytes for bodies, no Pydantic.

Requests name no partition. Settings are aiokafka's own (its documentation, "Producer client") but for larger batches.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import count

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream.kafka import KafkaBroker

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls, name
from typedrpc import Topics
from typedrpc.transport.kafka import KafkaTransport, connection_of

KAFKA = os.environ["TYPEDRPC_KAFKA"]
TOPIC = f"{name()}-raw"
REPLIES, OWN = "rpc.replies", 7


async def _make_topics() -> None:
    connection = connection_of(KafkaBroker(KAFKA, logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=20, instance_id=None)
    await transport.ensure_topics([Topics().request_topic(TOPIC), Topics().reply_topic()], create=True)
    await transport.stop()


async def _make_producer() -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=KAFKA, acks=1, linger_ms=0, max_batch_size=262_144)
    await producer.start()
    return producer


async def _stop(task: asyncio.Task[None], *clients: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    for each in clients:
        await each.stop()


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    await _make_topics()
    producer = await _make_producer()
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=KAFKA,
        group_id=TOPIC,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=250,
        heartbeat_interval_ms=1000,
        session_timeout_ms=10_000,
    )
    await consumer.start()
    waiting: set[asyncio.Task[None]] = set()

    async def answer(value: bytes | None, headers: dict[str, bytes | None]) -> None:
        if headers["wait"]:
            await asyncio.sleep(WAIT)
        topic, partition = headers["reply_to"] or b"", int(headers["reply_partition"] or 0)
        correlation = [("correlation_id", headers["correlation_id"])]
        await producer.send(topic.decode(), value, partition=partition, headers=correlation)

    async def read() -> None:
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

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        await _stop(reading, producer, consumer)


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    producer = await _make_producer()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=KAFKA, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=250
    )
    await consumer.start()
    own = TopicPartition(REPLIES, OWN)
    ends = await consumer.end_offsets([own])
    consumer.assign([own])
    consumer.seek(own, ends[own])
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

    async def call(body: bytes, wait: bytes = b"") -> bytes | None:
        correlation_id = b"%d-%d" % (os.getpid(), next(numbers))
        future = pending[correlation_id] = loop.create_future()
        headers = [("correlation_id", correlation_id), ("reply_to", REPLIES.encode()), ("reply_partition", b"%d" % OWN)]
        await producer.send(TOPIC, body, headers=[*headers, ("wait", wait)])
        reply: bytes | None = await future
        return reply

    small, nested = SMALL.model_dump_json().encode(), NESTED.model_dump_json().encode()
    reading = asyncio.create_task(read())
    try:
        yield {
            "small": lambda: call(small),
            "nested": lambda: call(nested),
            "bytes": lambda: call(BYTES),
            "waiting": lambda: call(small, b"1"),
        }
    finally:
        await _stop(reading, producer, consumer)
