"""Request and reply on bare aiokafka `send`, the ceiling without own batches: `python -m benchmarks.raw ROLE TOPIC`.

The same topics as typedrpc's: twelve request partitions read by a group, one of the reply partitions for the client.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.load import measure, report

SERVERS = os.environ["TYPEDRPC_KAFKA"]
BODY = b'{"msg":{"name":"abc","n":5}}'


async def make_producer() -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, acks=1, linger_ms=0, max_batch_size=262_144)
    await producer.start()
    return producer


async def server(name: str) -> None:
    producer = await make_producer()
    consumer = AIOKafkaConsumer(
        name,
        bootstrap_servers=SERVERS,
        group_id=name,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=250,
        heartbeat_interval_ms=1000,
        session_timeout_ms=10_000,
    )
    await consumer.start()
    print("ready", flush=True)
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                headers = dict(record.headers)
                topic, partition = headers["reply_to"] or b"", int(headers["reply_partition"] or 0)
                correlation = [("correlation_id", headers["correlation_id"])]
                await producer.send(topic.decode(), record.value, partition=partition, headers=correlation)


async def client(topic: str, alone: int, calls: int, at_once: list[int]) -> None:
    producer = await make_producer()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=SERVERS, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=250
    )
    await consumer.start()
    own = TopicPartition("rpc.replies", 7)
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

    async def call() -> bytes | None:
        correlation_id = b"%d-%d" % (os.getpid(), next(numbers))
        future = pending[correlation_id] = loop.create_future()
        headers = [("correlation_id", correlation_id), ("reply_to", b"rpc.replies"), ("reply_partition", b"7")]
        await producer.send(topic, BODY, headers=headers)
        reply: bytes | None = await future
        return reply

    reading = asyncio.create_task(read())
    report(await measure(call, alone=alone, calls=calls, at_once=at_once))
    reading.cancel()
    await producer.stop()
    await consumer.stop()


if __name__ == "__main__":
    role, name = sys.argv[1:3]
    if role == "server":
        uvloop.run(server(name))
    else:
        uvloop.run(client(name, int(sys.argv[3]), int(sys.argv[4]), [int(n) for n in sys.argv[5].split(",")]))
