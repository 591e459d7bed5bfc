"""What typedrpc needs of a log: records, sending, reading one's own partitions, and a group's shared reading.

Two implementations pass one conformance suite: `typedrpc.transport.kafka` and `typedrpc.transport.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from typedrpc.wire import Header, WireHeaders

CHUNK = 100
"""At most so many records are handed over at once, so that no chunk holds the event loop for long."""


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Record(Protocol):
    """A record as it was read. `timestamp` is milliseconds since 1970 in the broker's clock where `timestamp_type`
    is 1 (LogAppendTime), else in the sender's.
    """

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def timestamp_type(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> WireHeaders: ...  # noqa: D102


Sent = Callable[[Any, BaseException | None], None]
"""Called once for each record sent, with its token and None when the broker acknowledged it, else the error."""


class TransportError(Exception):
    """Kafka could not do what was asked; the text names what, where and the remedy.

    `transient`: the same may work a moment later, as while a broker starts. `denied`: Kafka's ACLs do not allow it.
    """

    def __init__(self, text: str, *, transient: bool = False, denied: bool = False) -> None:
        super().__init__(text)
        self.transient: bool = transient
        self.denied: bool = denied


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic that is needed, and how it is made where it is missing. `config` holds Kafka's topic settings."""

    name: str
    partitions: int
    config: Mapping[str, str]


class Reader(Protocol):
    """Reads partitions by itself, from the end at the moment it was opened; no group."""

    async def fetch(self) -> Sequence[Record]:
        """The next records, at most `CHUNK`; waits at most about a second and may then return none.

        Raises TransportError where records may have been missed or the reader is broken; open a new one then.
        """
        ...

    async def close(self) -> None:
        """Stops reading; idempotent."""
        ...


class GroupListener(Protocol):
    """Hears of changes in what a group member reads. Must not block: every member of the group waits for it."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """These are read from now on, from their committed offsets."""
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """These are read no more; answers with the offsets to commit."""
        ...


class GroupReader(Protocol):
    """One member of a consumer group."""

    async def fetch(self) -> Sequence[Record]:
        """As `Reader.fetch`."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> Set[TopicPartition]:
        """Commits those that this member still reads, and answers which: the others are read again, here or elsewhere.

        Raises TransportError where Kafka did not take it, or nobody knows.
        """
        ...

    async def close(self) -> None:
        """Leaves the group, so that others take over at once; idempotent. Commits nothing."""
        ...


class Transport(Protocol):
    """A connection of one process."""

    async def start(self) -> None:
        """Connects; raises TransportError that names the address within seconds where that fails."""
        ...

    async def stop(self) -> None:
        """Sends what is buffered, waiting a bounded time, and disconnects; idempotent."""
        ...

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> Mapping[str, int]:
        """Makes the missing ones before anything names them, and waits until they can be written to; answers how many
        partitions each has now.

        Raises TransportError where one is missing and `create` is false, or cannot be made.
        """
        ...

    async def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has; raises TransportError where there is no such topic."""
        ...

    def partition_for_key(self, key: bytes, partitions: int) -> int:
        """Where Kafka's own clients put the key."""
        ...

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
        """Takes a record into the buffer of its partition, which goes as one batch when nothing is under way.

        Partition None: any. `durable` waits for all in-sync replicas.
        """
        ...

    async def open_reader(self, partitions: Sequence[TopicPartition]) -> Reader:
        """A reader that misses nothing written after this returns."""
        ...

    async def join_group(self, group: str, topics: Sequence[str], listener: GroupListener) -> GroupReader:
        """Joins; the first assignment has been made when this returns."""
        ...

    def broker_time(self) -> float | None:
        """The broker's clock in milliseconds since 1970, as acknowledgements tell it; None before the first one."""
        ...
