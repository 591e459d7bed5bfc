"""Topics that are deleted, made again or given partitions while calls go on: nobody is restarted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from faststream.kafka import KafkaBroker

from steady import BOUND, Steady, named, running
from typedrpc import Rpc, Service, Topics, service

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest_asyncio.fixture
async def admin(kafka: str) -> AsyncGenerator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


@pytest.fixture
def topics(unique: Callable[[str], str]) -> Topics:
    return Topics(replies=unique("replies"), cancels=unique("cancels"), request_partitions=3, reply_partitions=8)


@pytest.fixture
def name(unique: Callable[[str], str]) -> str:
    """Of a service, and so of its topic."""
    return unique("numbers")


async def remake(admin: AIOKafkaAdminClient, name: str, partitions: int) -> None:
    """Deletes the topic and makes it again with so many partitions; a client may be quicker to make it."""
    await admin.delete_topics([name])
    async with asyncio.timeout(20):
        while True:
            made: Any = await admin.create_topics([NewTopic(name, partitions, 1)])
            if made.topic_errors[0][1] == 0:
                return
            await asyncio.sleep(0.02)
            await admin.delete_topics([name])


@pytest.mark.parametrize("partitions", [8, 3])
@pytest.mark.parametrize("which", ["replies", "requests", "cancels"])
async def test_calls_go_on_after_a_topic_was_deleted_and_made_again(
    kafka: str, topics: Topics, name: str, admin: AIOKafkaAdminClient, which: str, partitions: int
) -> None:
    topic = {"replies": topics.replies, "requests": name, "cancels": topics.cancels}[which]
    async with running(kafka, topics, named(name)) as (_, calling), Steady(calling.client(named(name))) as steady:
        await asyncio.sleep(1)
        since = time.monotonic()
        await remake(admin, topic, partitions)
        await steady.until_good(since)
    recovery = steady.recovery(since)
    assert recovery.last_bad < BOUND, recovery
    assert recovery.lapses == [], recovery


@pytest.mark.parametrize("which", ["replies", "requests"])
async def test_calls_go_on_after_partitions_were_added(
    kafka: str, topics: Topics, name: str, admin: AIOKafkaAdminClient, which: str
) -> None:
    topic = {"replies": topics.replies, "requests": name}[which]
    async with running(kafka, topics, named(name)) as (_, calling), Steady(calling.client(named(name))) as steady:
        await asyncio.sleep(1)
        since = time.monotonic()
        made: Any = await admin.create_partitions({topic: NewPartitions(12)})
        assert made.topic_errors[0][1] == 0
        await steady.until_good(since)
    recovery = steady.recovery(since)
    assert recovery.last_bad < BOUND, recovery
    assert recovery.lapses == [], recovery


async def test_a_cancelled_call_stops_its_handler_after_the_topic_of_cancels_was_remade(
    kafka: str, topics: Topics, name: str, admin: AIOKafkaAdminClient
) -> None:
    class Work(Service, service=name):
        def __init__(self) -> None:
            self.running = 0

        @service.method(timeout=60)
        async def wait(self) -> None:
            self.running += 1
            try:
                await asyncio.sleep(60)
            finally:
                self.running -= 1

    work = Work()
    rpc = Rpc(KafkaBroker(kafka, logger=None), topics=topics)
    rpc.serve(work)
    async with rpc:
        await remake(admin, topics.cancels, 3)
        await asyncio.sleep(12)
        for _ in range(5):
            call = asyncio.create_task(rpc.client(Work).wait())
            async with asyncio.timeout(10):
                while not work.running:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            call.cancel()
            async with asyncio.timeout(10):
                while work.running:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
