"""One of three brokers is frozen, killed or restarted, or leaders move, while calls go on: nobody is restarted."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import KafkaBroker

from real_kafka import kafka_script
from steady import BOUND, DROPPED, Steady, named, running
from typedrpc import Topics
from typedrpc.transport import TopicPartition
from typedrpc.transport.kafka import KafkaTransport, connection_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300), DROPPED]

_log = logging.getLogger(__name__)

TOPICS = Topics(request_partitions=6, reply_partitions=3)


@pytest.fixture(scope="module")
def cluster() -> Generator[Any]:
    with kafka_script().Cluster(nodes=3) as cluster:
        yield cluster


async def test_calls_go_on_after_each_fault_of_one_broker(cluster: Any) -> None:
    """One after the other, for clients that live through them all: what the last one left behind counts."""
    numbers = named("numbers")
    async with running(cluster.bootstrap, TOPICS, numbers) as (_, calling):
        first = await coordinator_of(cluster, "numbers")  # a fault of it strikes the servers hardest
        second, third = (node for node in cluster.nodes if node is not first)
        for name, strike in {
            "frozen": first.freeze,
            "resumed": first.resume,
            "killed": second.kill,
            "started": second.start,
            "terminated": third.terminate,
            "started again": third.start,
            "leaders moved": lambda: move_leaders_back(cluster),
        }.items():
            async with Steady(calling.client(numbers)) as steady:
                await asyncio.sleep(0.5)
                since = time.monotonic()
                await asyncio.to_thread(strike)
                if name.startswith("started"):
                    since = time.monotonic()  # a JVM takes its time to start, and is no use to anybody until then
                await steady.until_good(since)
            recovery = steady.recovery(since)
            _log.warning(
                "%s: good from %.1f s on, last failed %.1f: %s", name, recovery.first_good, recovery.last_bad, recovery
            )
            assert recovery.lapses == [], (name, recovery)
            assert recovery.last_bad < BOUND, (name, recovery)


async def test_a_reader_opens_when_its_partition_has_a_leader_again(cluster: Any) -> None:
    """A server that starts meanwhile waits: aiokafka gives up asking for the end of the partition, and is asked again."""
    dead = cluster.nodes[-1]
    connection = connection_of(KafkaBroker(cluster.bootstrap.split(","), logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=120, instance_id=None)
    await transport.start()
    async with admin_of(cluster) as admin:
        await admin.create_topics([NewTopic("led.by.one", -1, -1, {0: [dead.number]})])
    await asyncio.to_thread(dead.kill)
    try:
        opening = asyncio.create_task(transport.open_reader([TopicPartition("led.by.one", 0)]))
        await asyncio.wait([opening], timeout=6)
        assert not opening.done()
    finally:
        await asyncio.to_thread(dead.start)
    await (await opening).close()
    await transport.stop()


async def coordinator_of(cluster: Any, group: str) -> Any:
    async with admin_of(cluster) as admin:
        number = await admin.find_coordinator(group)
    return next(node for node in cluster.nodes if node.number == number)


@asynccontextmanager
async def admin_of(cluster: Any) -> AsyncGenerator[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def move_leaders_back(cluster: Any) -> None:
    """Each partition's leader is again the broker that it began with: an ElectLeaders request (v0) for all of them."""
    request = struct.pack(">hhihii", 43, 0, 1, -1, -1, 20_000)
    with socket.create_connection(("127.0.0.1", cluster.nodes[0].port), 20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        assert connection.recv(4)
