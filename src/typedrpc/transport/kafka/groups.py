"""How far consumer groups are behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer

from typedrpc.transport import TransportError
from typedrpc.transport.kafka.connection import Connection, hasten, stop_within, translated, uncut
from typedrpc.transport.kafka.topics import admin_of

_PATIENCE = 10.0
_STOP = 3.0


async def lags(connection: Connection, topics: Mapping[str, Set[str]]) -> dict[str, int]:
    """Of each group that reads those topics the records not yet committed; without it where this user may not ask."""
    found: dict[str, int] = {}
    consumer = AIOKafkaConsumer(**connection.client_settings(), group_id=None)
    hasten(consumer)
    async with translated(f"offsets at {connection.address}"), asyncio.timeout(_PATIENCE):
        try:
            await uncut(consumer.start())
            async with admin_of(connection) as admin:
                for group, names in topics.items():
                    try:
                        found[group] = await _lag(consumer, admin, group, names)
                    except TransportError as error:
                        if not error.denied:
                            raise
        finally:
            consumer.assign([])
            await stop_within(_STOP, consumer)
    return found


async def _lag(consumer: AIOKafkaConsumer, admin: Any, group: str, topics: Set[str]) -> int:
    async with translated(f"group {group!r}"):
        described: list[dict[str, Any]] = await admin.describe_topics(sorted(topics))
        own = [aiokafka.TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"]]
        committed: Mapping[Any, Any] = await admin.list_consumer_group_offsets(group)
        ends, begins = await consumer.end_offsets(own), await consumer.beginning_offsets(own)
    done = {at: committed[at].offset if at in committed else -1 for at in own}
    return sum(max(0, ends[at] - max(done[at], begins[at])) for at in own)
