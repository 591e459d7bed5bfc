"""How far consumer groups are behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from typedrpc.transport import TransportError
from typedrpc.transport.kafka.connection import Connection, hasten, stop_within, translated, uncut
from typedrpc.transport.kafka.topics import admin_of

_PATIENCE = 10.0
_STOP = 3.0
_AT_ONCE = 50


async def lags(connection: Connection, topics: Mapping[str, Set[str]]) -> dict[str, int]:
    """Of each group that reads those topics the records not yet committed; without those of which Kafka does not tell
    it within ten seconds, or not to this user.
    """
    found: dict[str, int] = {}
    consumer = AIOKafkaConsumer(**connection.client_settings(), group_id=None)
    hasten(consumer)
    with suppress(TransportError):
        async with translated(f"offsets at {connection.address}"), asyncio.timeout(_PATIENCE):
            try:
                await uncut(consumer.start())
                async with admin_of(connection) as admin:
                    await _collect(consumer, admin, topics, found)
            finally:
                consumer.assign([])
                await stop_within(_STOP, consumer)
    return found


async def _collect(
    consumer: AIOKafkaConsumer, admin: Any, topics: Mapping[str, Set[str]], found: dict[str, int]
) -> None:
    there = await _partitions(admin)
    own = {
        group: [at for name in names for at in there[name]] for group, names in topics.items() if names <= there.keys()
    }
    every = list({at for each in own.values() for at in each})
    ends, begins = await asyncio.gather(consumer.end_offsets(every), consumer.beginning_offsets(every))
    limit = asyncio.Semaphore(_AT_ONCE)

    async def ask(group: str) -> None:
        with suppress(TransportError):
            async with limit, translated(f"group {group!r}"):
                committed: Mapping[Any, Any] = await admin.list_consumer_group_offsets(group)
                done = {at: committed[at].offset if at in committed else -1 for at in own[group]}
                found[group] = sum(max(0, ends[at] - max(done[at], begins[at])) for at in own[group])

    async with asyncio.TaskGroup() as asking:
        for group in own:
            asking.create_task(ask(group))


async def _partitions(admin: Any) -> dict[str, list[TopicPartition]]:
    """Those of each topic that has all its leaders: found among all, for naming a topic that is gone might make it."""
    described: list[dict[str, Any]] = await admin.describe_topics()
    return {
        topic["topic"]: [TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]]
        for topic in described
        if all(each["leader"] >= 0 for each in topic["partitions"])
    }
