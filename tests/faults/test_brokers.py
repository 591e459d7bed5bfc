"""One of three brokers is frozen, killed or restarted, or leaders move, while calls go on: nobody is restarted."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Generator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from real_kafka import kafka_script
from steady import BOUND, DROPPED, Steady, named, running
from typedrpc import Topics

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
                await steady.until_good(since)
            recovery = steady.recovery(since)
            _log.warning(
                "%s: good from %.1f s on, last failed %.1f: %s", name, recovery.first_good, recovery.last_bad, recovery
            )
            assert recovery.lapses == [], (name, recovery)
            assert recovery.last_bad < BOUND, (name, recovery)


async def coordinator_of(cluster: Any, group: str) -> Any:
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        number = await admin.find_coordinator(group)
    finally:
        await admin.close()
    return next(node for node in cluster.nodes if node.number == number)


def move_leaders_back(cluster: Any) -> None:
    """Each partition's leader is again the broker that it began with: an ElectLeaders request (v0) for all of them."""
    request = struct.pack(">hhihii", 43, 0, 1, -1, -1, 20_000)
    with socket.create_connection(("127.0.0.1", cluster.nodes[0].port), 20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        assert connection.recv(4)
