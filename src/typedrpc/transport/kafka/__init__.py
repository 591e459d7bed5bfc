"""The transport on a real Kafka, by aiokafka, with the connection and the security of a FastStream broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from typedrpc.transport import GroupListener, Sent, TopicPartition, TopicSpec, TransportError
from typedrpc.transport.kafka.connection import Connection, connection_of, hasten, patiently, translated, uncut
from typedrpc.transport.kafka.outbox import Outbox
from typedrpc.transport.kafka.readers import KafkaGroupReader, KafkaReader
from typedrpc.transport.kafka.refusal import NETWORK, Refusal, refusal
from typedrpc.transport.kafka.topics import ensure_topics
from typedrpc.wire import Header

__all__ = ["KafkaTransport", "Refused", "connection_of"]

_BULK = 64 * 1024
"""Bodies over so many bytes go by a producer of their own: beside a hundred of 800 KiB a small one took 388 ms."""


class Refused(TransportError):
    """No bootstrap server lets this client in; `refusal` says why."""

    def __init__(self, where: str, refusal: Refusal, *, transient: bool) -> None:
        super().__init__(f"{where}: {refusal}", transient=transient)
        self.where: str = where
        self.refusal: Refusal = refusal


class KafkaTransport:
    """`start_timeout` and `send_timeout` are seconds. `instance_id`: static membership of this process' groups."""

    def __init__(self, connection: Connection, *, start_timeout: float, instance_id: str | None) -> None:
        self.connection: Connection = connection
        self._start_timeout = start_timeout
        self._instance_id = instance_id
        self._outbox = Outbox(self._make_producer(durable=False), idempotent=connection.idempotent)
        self._bulk = Outbox(self._make_producer(durable=True), idempotent=True)

    def _make_producer(self, *, durable: bool) -> Any:
        async def start() -> AIOKafkaProducer:
            producer = AIOKafkaProducer(**self.connection.producer_settings(durable=durable))
            hasten(producer)
            try:
                await uncut(producer.start())
            except BaseException:
                await producer.stop()
                raise
            return producer

        return start

    async def start(self) -> None:
        """As `Transport.start`."""
        await patiently(self.connect, self._start_timeout)

    async def connect(self) -> None:
        """The same in one attempt, where nobody waits for a Kafka that is away."""
        where = f"no connection to Kafka at {self.connection.address}"
        try:
            async with translated(where), asyncio.timeout(self._start_timeout):
                await self._outbox.producer()
        except TransportError as error:
            if found := await refusal(self.connection.shared):
                transient = error.transient and found.reason in NETWORK
                raise Refused(where, found, transient=transient) from error
            raise

    async def stop(self) -> None:
        """As `Transport.stop`."""
        await asyncio.gather(self._outbox.close(), self._bulk.close())

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> Mapping[str, int]:
        """As `Transport.ensure_topics`."""
        seconds = self._start_timeout
        return await patiently(lambda: ensure_topics(self.connection, topics, create=create, timeout=seconds), seconds)

    async def partitions_of(self, topic: str) -> int:
        """As `Transport.partitions_of`."""
        where = f"topic {topic!r} at {self.connection.address}"

        async def count() -> int:
            async with translated(where), asyncio.timeout(self._start_timeout):
                producer = await self._outbox.producer()
                return len(await producer.partitions_for(topic))

        return await patiently(count, self._start_timeout)

    def partition_for_key(self, key: bytes, partitions: int) -> int:
        """Murmur2, as Kafka's Java clients and aiokafka do it."""
        return int((murmur2(key) & 0x7FFFFFFF) % partitions)

    def send(
        self,
        topic: str,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header],
        sent: Sent,
        token: Any,
        *,
        durable: bool = False,
    ) -> None:
        """As `Transport.send`."""
        outbox = self._bulk if durable or (value is not None and len(value) > _BULK) else self._outbox
        outbox.put((topic, partition), (key, value, headers, sent, token))

    async def open_reader(self, partitions: Sequence[TopicPartition]) -> KafkaReader:
        """As `Transport.open_reader`."""
        seconds = self._start_timeout
        return await patiently(lambda: KafkaReader.open(self.connection, partitions, seconds), seconds)

    async def join_group(self, group: str, topics: Sequence[str], listener: GroupListener) -> KafkaGroupReader:
        """As `Transport.join_group`."""
        instance_id = f"{self._instance_id}-{group}" if self._instance_id else None
        seconds = self._start_timeout
        return await patiently(
            lambda: KafkaGroupReader.join(self.connection, group, topics, listener, seconds, instance_id), seconds
        )

    def broker_time(self) -> float | None:
        """As `Transport.broker_time`."""
        return self._outbox.clock.broker_time()
