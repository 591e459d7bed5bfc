"""A log in memory with topics, partitions, offsets and groups: for tests and demos, never evidence about Kafka."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Mapping, Sequence, Set
from itertools import chain, islice
from typing import Any, NamedTuple

from typedrpc.transport import (
    CHUNK,
    GroupListener,
    GroupReader,
    Reader,
    Record,
    Sent,
    TopicPartition,
    TopicSpec,
    TransportError,
)
from typedrpc.wire import Header

_KEPT = 20_000
"""Records kept of a partition; the older half goes when there are more."""


class MemoryRecord(NamedTuple):
    """A record of the log in memory."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class MemoryLog:
    """What a broker holds. Transports on one log see each other, as processes on one Kafka do."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._counts: dict[str, int] = {}
        self._readers: set[_Reader] = set()
        self._groups: dict[str, _Group] = {}

    def create(self, topic: str, partitions: int) -> None:
        """Makes the topic where it is missing."""
        if topic not in self._counts:
            self._counts[topic] = partitions
            self._partitions.update({TopicPartition(topic, p): _Partition() for p in range(partitions)})

    def partition_count(self, topic: str) -> int | None:
        """None where there is no such topic."""
        return self._counts.get(topic)

    def end(self, partition: TopicPartition) -> int:
        """The offset that the next record gets."""
        return self._find(partition).end

    def append(
        self, at: TopicPartition, key: bytes | None, value: bytes | None, headers: Sequence[Header]
    ) -> MemoryRecord:
        """Writes one record; raises TransportError where there is no such partition."""
        partition = self._find(at)
        record = MemoryRecord(at.topic, at.partition, partition.end, int(time.time() * 1000), 1, key, value, headers)
        partition.records.append(record)
        partition.trim()
        for reader in self._readers:
            if at in reader.positions:
                reader.wake.set()
        return record

    def read(self, at: TopicPartition, offset: int, most: int) -> Sequence[MemoryRecord]:
        """The records from `offset` on; raises TransportError where they are gone."""
        partition = self._find(at)
        if offset < partition.first:
            raise TransportError(f"{at.topic}[{at.partition}]: offset {offset} is gone, the log begins later")
        return list(islice(partition.records, offset - partition.first, offset - partition.first + most))

    def attach(self, reader: _Reader) -> None:
        """Wakes the reader for new records from now on."""
        self._readers.add(reader)

    def detach(self, reader: _Reader) -> None:
        """No more."""
        self._readers.discard(reader)

    def group(self, name: str) -> _Group:
        """The consumer group of that name."""
        return self._groups.setdefault(name, _Group(self))

    def _find(self, at: TopicPartition) -> _Partition:
        partition = self._partitions.get(at)
        if partition is None:
            raise TransportError(f"there is no partition {at.partition} of topic {at.topic!r}")
        return partition


class _Partition:
    def __init__(self) -> None:
        self.first: int = 0
        self.records: list[MemoryRecord] = []

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def trim(self) -> None:
        if len(self.records) > _KEPT:
            del self.records[: _KEPT // 2]
            self.first += _KEPT // 2


class _Reader:
    """Reads from its positions; the group's member is one whose positions the group sets."""

    def __init__(self, log: MemoryLog, positions: dict[TopicPartition, int]) -> None:
        self.positions: dict[TopicPartition, int] = positions
        self.wake: asyncio.Event = asyncio.Event()
        self._log = log
        log.attach(self)

    async def fetch(self) -> Sequence[Record]:
        if found := self._take():
            return found
        try:
            async with asyncio.timeout(1.0):  # the oldest Python's `wait_for` may swallow a cancellation
                await self.wake.wait()
        except TimeoutError:
            return []
        return self._take()

    def _take(self) -> Sequence[Record]:
        self.wake.clear()
        found: list[MemoryRecord] = []
        for at, offset in self.positions.items():
            records = self._log.read(at, offset, CHUNK - len(found))
            self.positions[at] = offset + len(records)
            found += records
            if len(found) >= CHUNK:
                self.wake.set()
                break
        return found

    async def close(self) -> None:
        self._log.detach(self)
        self.wake.set()


class _Member(_Reader):
    def __init__(self, log: MemoryLog, group: _Group, topics: Sequence[str], listener: GroupListener) -> None:
        super().__init__(log, {})
        self.topics: Sequence[str] = topics
        self.listener: GroupListener = listener
        self._group = group

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> Set[TopicPartition]:
        return self._group.commit(self, offsets)

    async def close(self) -> None:
        await super().close()
        self._group.leave(self)


class _Group:
    """Divides partitions among its members; every change takes all of them away and gives them anew, as Kafka's
    eager protocol does.
    """

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._committed: dict[TopicPartition, int] = {}
        self._members: list[_Member] = []

    def join(self, member: _Member) -> None:
        self._revoke()
        self._members.append(member)
        self._assign()

    def leave(self, member: _Member) -> None:
        if member in self._members:
            self._members.remove(member)
            member.positions.clear()  # as with Kafka: who leaves is not asked what to commit
            self._revoke()
            self._assign()

    def committed(self, partition: TopicPartition) -> int:
        """Where the group's next reader of the partition begins."""
        return self._committed.get(partition, 0)

    def commit(self, member: _Member, offsets: Mapping[TopicPartition, int]) -> Set[TopicPartition]:
        own = {at: offset for at, offset in offsets.items() if at in member.positions}
        self._committed.update(own)
        return own.keys()

    def _revoke(self) -> None:
        for member in self._members:
            if member.positions:
                self.commit(member, member.listener.revoked(list(member.positions)))
                member.positions.clear()

    def _assign(self) -> None:
        topics = dict.fromkeys(chain.from_iterable(m.topics for m in self._members))
        for topic in topics:
            members = [m for m in self._members if topic in m.topics]
            for p in range(self._log.partition_count(topic) or 0):
                at = TopicPartition(topic, p)
                members[p % len(members)].positions[at] = self.committed(at)
        for member in self._members:
            member.listener.assigned(list(member.positions))
            member.wake.set()


class MemoryTransport:
    """A connection to a `MemoryLog`."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.log: MemoryLog = log or MemoryLog()
        self._next = 0

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing is buffered."""

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> Mapping[str, int]:
        """As `Transport.ensure_topics`."""
        missing = [t.name for t in topics if self.log.partition_count(t.name) is None]
        if missing and not create:
            raise TransportError(f"topics are missing: {', '.join(sorted(missing))}")
        for topic in topics:
            self.log.create(topic.name, topic.partitions)
        return {t.name: self.log.partition_count(t.name) or 0 for t in topics}

    async def partitions_of(self, topic: str) -> int:
        """As `Transport.partitions_of`."""
        count = self.log.partition_count(topic)
        if count is None:
            raise TransportError(f"there is no topic {topic!r}")
        return count

    def partition_for_key(self, key: bytes, partitions: int) -> int:
        """Steady, though not Kafka's choice."""
        return zlib.crc32(key) % partitions

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
        """Written at once; `sent` is called by the event loop, as with Kafka."""
        if partition is None:
            self._next += 1
            partition = self._next % (self.log.partition_count(topic) or 1)
        failure: TransportError | None = None
        try:
            self.log.append(TopicPartition(topic, partition), key, value, tuple(headers))  # as aiokafka's
        except TransportError as error:
            failure = error
        asyncio.get_running_loop().call_soon(sent, token, failure)

    async def open_reader(self, partitions: Sequence[TopicPartition]) -> Reader:
        """As `Transport.open_reader`."""
        return _Reader(self.log, {at: self.log.end(at) for at in partitions})

    async def join_group(self, group: str, topics: Sequence[str], listener: GroupListener) -> GroupReader:
        """As `Transport.join_group`."""
        of = self.log.group(group)
        member = _Member(self.log, of, topics, listener)
        of.join(member)
        return member

    def broker_time(self) -> float | None:
        """This process' own clock, which is the log's too."""
        return time.time() * 1000
