"""Consumers: of one's own partitions, positioned before they are said to be open, and as a member of a group."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence, Set
from itertools import chain
from typing import Any, Self

import aiokafka
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError

from typedrpc.transport import CHUNK, GroupListener, Record, TopicPartition, TransportError
from typedrpc.transport.kafka.connection import Connection, hasten, stop_within, translated, uncut

_log = logging.getLogger("typedrpc")

_POLL_MS = 1000
_COMMIT_ON_REVOKE = 1.0  # seconds; the whole group waits for it
_STOP_TIMEOUT = 3.0
_CAREFUL = 2.0  # seconds of reading record by record after one that could not be decoded
_CAREFUL_PAUSE = 0.005
_COMMIT_TIMEOUT = 15.0  # above the request time-out
_CHECK_EVERY = 1.0
_GONE = 2.0  # seconds that a topic may be missing: while brokers come and go it may be for a moment
_NEVER_MS = 24 * 3600 * 1000  # a full server does not fetch, and is alive all the same


class _Reader:
    """`after` holds the offset after the last record handed over of each partition, or where reading began."""

    def __init__(self, consumer: AIOKafkaConsumer, name: str, after: dict[Any, int]) -> None:
        self._consumer = consumer
        self._name = name
        self._after = after
        self._careful_until = 0.0
        self._warned = False
        self._closed = False
        self._check_at = 0.0
        self._whole_at = time.monotonic()  # when no topic was missing

    async def fetch(self) -> Sequence[Record]:
        """As `Reader.fetch`."""
        now = time.monotonic()
        if now > self._check_at:
            self._check_at = now + _CHECK_EVERY
            self._check(now)
        async with translated(self._name):
            if self._careful_until and now < self._careful_until:
                return await self._fetch_carefully()
            try:
                found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=CHUNK)
            except UnicodeDecodeError:
                await self._rewind()
                return await self._fetch_carefully()
        for at, records in found.items():
            if records[0].offset < self._after.get(at, 0):
                raise TransportError(f"{self._name}: {at} begins anew; was the topic deleted and made again?")
            self._after[at] = records[-1].offset + 1
        if len(found) == 1:
            return next(iter(found.values()))
        return list(chain.from_iterable(found.values()))

    def _check(self, now: float) -> None:
        """Raises TransportError where nothing more would come, though `getmany` goes on to return nothing."""
        if ended := _ended_task(self._consumer):
            raise TransportError(f"{self._name}: aiokafka's {ended} has ended")
        if missing := self._missing():
            if now > self._whole_at + _GONE:
                raise TransportError(f"{self._name}: {missing}")
        else:
            self._whole_at = now

    def _missing(self) -> str:
        raise NotImplementedError

    async def _rewind(self) -> None:
        """Undoes a `getmany` that raised: it had moved on past records that it did not hand over."""
        self._careful_until = time.monotonic() + _CAREFUL
        for at in self._consumer.assignment():
            after = self._after.get(at)
            if after is None:
                after = await self._consumer.committed(at)
            if after is None:
                after = (await self._consumer.beginning_offsets([at]))[at]
            self._consumer.seek(at, after)

    async def _fetch_carefully(self) -> Sequence[Record]:
        """One record of each partition at most, so that one that aiokafka cannot decode, for its header's name is no
        UTF-8, stands alone. It is skipped, with what follows it in its batch: that can never be decoded either.
        """
        found: list[Record] = []
        for at in self._consumer.assignment():
            try:
                records = await self._consumer.getmany(at, timeout_ms=0, max_records=1)
            except UnicodeDecodeError as error:
                offset = await self._consumer.position(at)
                self._consumer.seek(at, offset + 1)
                self._after[at] = offset + 1
                self._careful_until = time.monotonic() + _CAREFUL
                if not self._warned:
                    _log.warning("%s: skipped %s at offset %d; logged once: %s", self._name, at, offset, error)
                    self._warned = True
                continue
            for record in records.get(at, ()):
                self._after[at] = record.offset + 1
                found.append(record)
        if not found:
            await asyncio.sleep(_CAREFUL_PAUSE)
        return found

    async def close(self) -> None:
        """As `Reader.close`."""
        if not self._closed:
            self._closed = True
            await _stop(self._consumer)


class KafkaReader(_Reader):
    """Partitions assigned by hand. Source of the order of steps: aiokafka resets positions to the latest offset on
    any other way, and skips replies without a word.
    """

    _whole = False  # all partitions of the topic are read: of added ones too, then

    @classmethod
    async def open(cls, connection: Connection, partitions: Sequence[TopicPartition], timeout: float) -> Self:
        """Positioned at the ends when this returns; raises TransportError."""
        own = [aiokafka.TopicPartition(*at) for at in partitions]
        consumer = AIOKafkaConsumer(
            **connection.client_settings(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=250,
        )
        hasten(consumer)
        name = f"replies on {partitions[0].topic!r} at {connection.address}"
        try:
            async with translated(name), asyncio.timeout(timeout):
                await uncut(consumer.start())
                ends = await consumer.end_offsets(own)
                consumer.assign(own)
                for at in own:  # no await since assign: nothing else may choose a position first
                    consumer.seek(at, ends[at])
        except BaseException:
            consumer.assign(own)  # stop() of a consumer that has nothing assigned raises CancelledError
            await _stop(consumer)
            raise
        reader = cls(consumer, name, dict(ends))
        reader._whole = len(own) == len(consumer.partitions_for_topic(own[0].topic) or ())
        return reader

    def _missing(self) -> str:
        for at in self._after:
            found = self._consumer.partitions_for_topic(at.topic) or ()
            if at.partition not in found:
                return f"partition {at.partition} is missing; was the topic deleted?"
            if self._whole and len(found) > len(self._after):
                return "the topic has more partitions now"
        return ""


class KafkaGroupReader(_Reader):
    """A member of a group, by aiokafka's eager rebalance."""

    def __init__(self, consumer: AIOKafkaConsumer, name: str, after: dict[Any, int], commits: _Commits) -> None:
        super().__init__(consumer, name, after)
        self._commits = commits

    @classmethod
    async def join(
        cls,
        connection: Connection,
        group: str,
        topics: Sequence[str],
        listener: GroupListener,
        timeout: float,
        instance_id: str | None,
    ) -> Self:
        """As `Transport.join_group`; raises TransportError."""
        consumer = AIOKafkaConsumer(
            **connection.client_settings(request_timeout_ms=5000),
            group_id=group,
            group_instance_id=instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=250,
            session_timeout_ms=10_000,  # after a kill -9 calls wait so long; 30 s by default
            heartbeat_interval_ms=1000,  # a second member joins only after the first one's heartbeat
            rebalance_timeout_ms=3000,  # a dead member holds up the others so long when one joins
            max_poll_interval_ms=_NEVER_MS,
        )
        hasten(consumer)
        after: dict[Any, int] = {}
        commits = _Commits(consumer)
        consumer.subscribe(list(topics), listener=_Listener(commits, listener, after))
        name = f"group {group!r} at {connection.address}"
        try:
            async with translated(name), asyncio.timeout(timeout):
                await uncut(consumer.start())
        except BaseException:
            await _stop(consumer)
            raise
        return cls(consumer, name, after, commits)

    def _missing(self) -> str:
        consumer = self._consumer
        missing = (t for t in consumer.subscription() if not consumer.partitions_for_topic(t))
        return next((f"topic {topic!r} is missing; was it deleted?" for topic in missing), "")

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> Set[TopicPartition]:
        """As `GroupReader.commit`."""
        return await self._commits.commit(offsets, _COMMIT_TIMEOUT)


class _Listener(ConsumerRebalanceListener):
    def __init__(self, commits: _Commits, listener: GroupListener, after: dict[Any, int]) -> None:
        self._commits = commits
        self._listener = listener
        self._after = after

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        if not revoked:  # before the first assignment, or of a member that had none
            return
        self._commits.cut_off()
        offsets = self._listener.revoked([TopicPartition(at.topic, at.partition) for at in revoked])
        try:
            await self._commits.commit(offsets, _COMMIT_ON_REVOKE)
        except TransportError as error:
            _log.warning("not committed while partitions were given up, these requests run again: %r", error)

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._after.clear()  # others may have read on meanwhile
        self._listener.assigned([TopicPartition(at.topic, at.partition) for at in assigned])


class _Commits:
    """Commits of one member, none of which outlives the assignment that it was made for: aiokafka repeats a commit in
    the name of whatever generation the member has by then, and no broker asks whose a partition is.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._under_way: set[asyncio.Timeout] = set()

    async def commit(self, offsets: Mapping[TopicPartition, int], seconds: float) -> Set[TopicPartition]:
        """As `GroupReader.commit`; bounded, for aiokafka repeats it without end where a topic is gone."""
        own = self._consumer.assignment()
        wanted = {at: offset for at, offset in offsets.items() if aiokafka.TopicPartition(*at) in own}
        if not wanted:
            return wanted.keys()
        limit = asyncio.timeout(seconds)
        self._under_way.add(limit)
        try:
            async with translated("commit"), limit:
                await self._consumer.commit({aiokafka.TopicPartition(*at): offset for at, offset in wanted.items()})
        except TransportError as error:
            if limit in self._under_way and not isinstance(error.__cause__, CommitFailedError):
                raise
            return frozenset()  # a rebalance has begun: who gets the partitions reads on from what was committed
        finally:
            self._under_way.discard(limit)
        return wanted.keys()

    def cut_off(self) -> None:
        """Ends those under way; what is not on its way to the broker yet is not sent any more."""
        for limit in self._under_way:
            limit.reschedule(0)
        self._under_way.clear()


def _ended_task(consumer: Any) -> str:
    """Which background task of aiokafka has ended, "" where all run; nothing public tells (aiokafka #712, #983)."""
    coordinator = consumer._coordinator
    tasks: dict[str, asyncio.Task[None]] = {
        "fetch task": consumer._fetcher._fetch_task,
        "metadata task": consumer._client._sync_task,
        "coordination task": coordinator._coordination_task
        if consumer._group_id
        else coordinator._reset_committed_task,
    }
    return next((name for name, task in tasks.items() if task.done()), "")


async def _stop(consumer: AIOKafkaConsumer) -> None:
    if not await stop_within(_STOP_TIMEOUT, consumer):
        _log.warning("a consumer did not stop cleanly; is Kafka away?")
