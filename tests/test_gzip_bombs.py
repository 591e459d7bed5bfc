"""A hundred kilobytes that Kafka takes and that become 120 megabytes in whoever reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker

from typedrpc import Rpc, Service, Topics, service

pytestmark = pytest.mark.kafka

BOMB = 120_000_000
PATIENCE = 30.0


async def test_gzip_bombs_among_requests_replies_and_cancels_are_survived(
    kafka: str, unique: Callable[[str], str]
) -> None:
    name = unique("bombed")
    topics = Topics(request_partitions=1, reply_partitions=1, replies=unique("replies"), cancels=unique("cancels"))

    class Bombed(Service, service=name):
        @service.method
        async def ping(self) -> str:
            return "pong"

    rpc = Rpc(KafkaBroker(kafka, logger=None), topics=topics)
    rpc.serve(Bombed())
    async with rpc:
        client = rpc.client(Bombed)
        assert await client.ping() == "pong"
        for topic in (name, topics.replies, topics.cancels):
            await drop_bomb(kafka, topic)
            calls = [client.ping.with_options(timeout=PATIENCE)() for _ in range(100)]
            assert await asyncio.gather(*calls) == ["pong"] * 100
        refused = rpc._served[name].malformed  # pyright: ignore[reportPrivateUsage]
        assert refused == 1


async def drop_bomb(kafka: str, topic: str) -> None:
    settings: dict[str, Any] = {"max_batch_size": 2 * BOMB, "max_request_size": 2 * BOMB, "compression_type": "gzip"}
    producer = AIOKafkaProducer(bootstrap_servers=kafka, **settings)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=bytes(BOMB), headers=[("correlation_id", b"bomb")])
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()
