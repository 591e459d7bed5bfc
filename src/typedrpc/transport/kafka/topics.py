"""Makes the topics that are missing, before any client names them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from typedrpc.transport import TopicSpec, TransportError
from typedrpc.transport.kafka.connection import Connection, hasten, translated, uncut

_log = logging.getLogger("typedrpc")

# https://kafka.apache.org/protocol#protocol_error_codes
_TOPIC_EXISTS = 36
_DENIED = 29  # to make it; whether it exists is not told then
_PATIENCE_MS = 5000  # making a topic with many partitions may take so long
_TRANSIENT = (7, 38, 41)  # timed out; fewer brokers than replicas, as while they start; not the controller


async def ensure_topics(
    connection: Connection, topics: Sequence[TopicSpec], *, create: bool, timeout: float
) -> Mapping[str, int]:
    """As `Transport.ensure_topics`.

    aiokafka's admin request that names a missing topic makes it, with the broker's default partitions and settings,
    where auto.create.topics.enable is on; so the missing ones are found among all topics instead.
    """
    where = f"the topics {', '.join(t.name for t in topics)} at {connection.address}"
    async with translated(where), asyncio.timeout(timeout), admin_of(connection) as admin:
        existing = await _partitions(admin, None)
        missing = [t for t in topics if t.name not in existing]
        for topic in topics:
            count = existing.get(topic.name, topic.partitions)
            if count != topic.partitions:
                _log.info("topic %s has %d partitions, not the configured %d", topic.name, count, topic.partitions)
        if not missing:
            return {t.name: existing[t.name] for t in topics}
        if not create:
            names = ", ".join(sorted(t.name for t in missing))
            remedy = "make them (`typedrpc topics apply`), let Rpc do it, or allow this user to see them"
            raise TransportError(f"topics are missing at {connection.address}: {names}; {remedy}")
        await _create(admin, missing)
        made = [t.name for t in missing]
        while len(counts := await _partitions(admin, made)) < len(made):  # noqa: ASYNC110  # only asking tells
            await asyncio.sleep(0.02)
        existing.update(counts)
        return {t.name: existing[t.name] for t in topics}


async def found_topics(connection: Connection, names: Sequence[str], timeout: float) -> dict[str, TopicSpec]:
    """Those of the names that exist, with their partitions and the settings that were made for them."""
    async with translated(f"topics at {connection.address}"), asyncio.timeout(timeout), admin_of(connection) as admin:
        existing = await _partitions(admin, None)
        there = [name for name in names if name in existing]
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        answers = await admin.describe_configs(asked) if asked else []
        settings = {name: config for answer in answers for name, config in _settings(answer)}
        return {n: TopicSpec(name=n, partitions=existing[n], config=settings.get(n, {})) for n in there}


def _settings(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """Source: DescribeConfigs, version 1: code, text, type and name of a resource, then its settings."""
    return [(resource[3], {entry[0]: entry[1] for entry in resource[4]}) for resource in answer.resources]


@asynccontextmanager
async def admin_of(connection: Connection) -> AsyncGenerator[AIOKafkaAdminClient]:
    """One of aiokafka's admin clients, started."""
    admin = AIOKafkaAdminClient(**connection.client_settings(request_timeout_ms=_PATIENCE_MS))
    hasten(admin)
    try:
        await uncut(admin.start())
        yield admin
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient, names: list[str] | None) -> dict[str, int]:
    """Partition counts of the topics that can be written to: no error, every partition has a leader."""
    described: list[dict[str, Any]] = await admin.describe_topics(names)
    return {
        t["topic"]: len(t["partitions"])
        for t in described
        if names is None
        or (t["error_code"] == 0 and t["partitions"] and all(p["leader"] >= 0 for p in t["partitions"]))
    }


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[TopicSpec]) -> None:
    # Replication -1 is the cluster's default; aiokafka takes it only beside an assignment, which may be empty.
    made = await admin.create_topics([NewTopic(t.name, t.partitions, -1, {}, dict(t.config)) for t in topics])
    for name, code, *rest in made.topic_errors:
        if code not in (0, _TOPIC_EXISTS):
            reason = next((r for r in rest if r), f"error {code}")
            raise TransportError(
                f"topic {name!r} cannot be made: {reason}; make it yourself and set create_topics=False",
                transient=code in _TRANSIENT,
                denied=code == _DENIED,
            )
