"""Own buffers, one for each partition, sent as whole batches: one future a batch instead of one a record."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    RequestTimedOutError,
)

from typedrpc.transport import Sent, TransportError
from typedrpc.transport.kafka.connection import stop_within, translated
from typedrpc.wire import Header

if TYPE_CHECKING:
    from aiokafka import BatchBuilder

_log = logging.getLogger("typedrpc")

Item = tuple[bytes | None, bytes | None, Sequence[Header], Sent, Any]

_SEND_TIMEOUT = 15.0
"""Seconds for a batch, over all attempts: an idempotent one would never give up by itself."""
_PAUSE = 0.1  # seconds between two attempts
_FLUSH_TIMEOUT = 5.0
_STEP_MS = 20.0  # brokers of a cluster differ by a few milliseconds
_STOP_TIMEOUT = 1.0  # what is buffered was flushed before, or cannot be

_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError)
"""A broker refuses a whole batch for one record, or because its topic allows smaller batches than ours."""
_BROKEN = (OutOfOrderSequenceNumber, ProducerFenced, InvalidProducerEpoch)
"""After these an idempotent producer never writes to the partition again."""
_AGAIN = (
    KafkaConnectionError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
)
"""A broker is away: another one leads soon. Not a topic that is missing: anybody may name one in `reply_to`."""


class _RefusedError(TransportError):
    """What is wrong is a record, not the connection."""


class Clock:
    """The broker's clock, estimated from acknowledgements of records on LogAppendTime topics: within about 1 ms."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # of our monotonic clock, in ms
        self._round_trip = 0.0
        self._at = 0.0

    def sample(self, sent: float, acknowledged: float, timestamp: int) -> None:
        """Times in seconds of time.monotonic(). Of the samples of half a minute the quickest counts."""
        round_trip = acknowledged - sent
        ahead = timestamp - (sent + acknowledged) * 500
        # The broker wrote it between the two, so that samples differ by half of both round trips at most, each known
        # to a millisecond; one that differs by more tells of a clock that was set.
        known = self._ahead is not None and abs(ahead - self._ahead) <= (round_trip + self._round_trip) * 500 + _STEP_MS
        if not known or round_trip < self._round_trip or acknowledged - self._at > 30:
            self._ahead, self._round_trip, self._at = ahead, round_trip, acknowledged

    def broker_time(self) -> float | None:
        """Milliseconds since 1970; None before the first sample."""
        return None if self._ahead is None else time.monotonic() * 1000 + self._ahead


class Outbox:
    """Records on their way. A partition's records are batched while its previous batch is under way, so that a lone
    record goes at once. `start` makes the producer, on first use.

    What a broker did not take in time is sent again, and so may be written twice, unless the producer is `idempotent`,
    which sees to that itself.
    """

    def __init__(self, start: Callable[[], Awaitable[AIOKafkaProducer]], *, idempotent: bool) -> None:
        self.clock: Clock = Clock()
        self._start = start
        self._idempotent = idempotent
        self._starting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._buffers: dict[tuple[str, int | None], list[Item]] = {}
        self._pumps: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[bool]] = set()
        self._closed = False

    async def producer(self) -> AIOKafkaProducer:
        """The started producer."""
        if self._producer is None:
            async with self._starting:
                if self._producer is None:
                    self._producer = await self._start()
        return self._producer

    def put(self, at: tuple[str, int | None], item: Item) -> None:
        """Takes one record for a partition; None is any one of the topic."""
        buffer = self._buffers.get(at)
        if buffer is not None:
            buffer.append(item)
        elif self._closed:
            asyncio.get_running_loop().call_soon(item[3], item[4], TransportError("this process is stopping"))
        else:
            self._buffers[at] = [item]
            pump = asyncio.get_running_loop().create_task(self._pump(at))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def close(self) -> None:
        """Sends what is buffered, waiting at most five seconds, and stops the producer."""
        self._closed = True
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=_FLUSH_TIMEOUT)
        for pump in self._pumps:
            pump.cancel()
        if self._producer is not None:
            await stop_within(_STOP_TIMEOUT, self._producer)
        await asyncio.gather(*self._closing)

    async def _pump(self, at: tuple[str, int | None]) -> None:
        while items := self._buffers[at]:
            self._buffers[at] = []
            try:
                while items:
                    await self._send_some(at, items)
            except BaseException:
                stopped = TransportError("this process stopped before the record was written")
                _settle(items + self._buffers.pop(at), stopped)
                raise
        del self._buffers[at]

    async def _send_some(self, at: tuple[str, int | None], items: list[Item]) -> None:
        """Takes the first of the items and sends them as one batch; what fails it fails no other."""
        count, error = await self._send(at, items)
        if count == 1 or not isinstance(error, _RefusedError):
            _settle(items[:count], error)
            del items[:count]
            return
        for _ in range(count):  # one record is at fault: each alone
            _, error = await self._send(at, items[:1])
            _settle(items[:1], error)
            del items[0]

    async def _send(self, at: tuple[str, int | None], items: list[Item]) -> tuple[int, TransportError | None]:
        """How many of the items went as one batch, and why they could not be written."""
        deadline = time.monotonic() + _SEND_TIMEOUT
        count, error = await self._try(at, items, deadline)
        if error is not None and isinstance(error.__cause__, _BROKEN):  # surely not written: now by a new producer
            return await self._try(at, items, deadline)
        while error is not None and isinstance(error.__cause__, _AGAIN) and not self._idempotent:
            if time.monotonic() + _PAUSE > deadline:
                break
            await asyncio.sleep(_PAUSE)
            count, error = await self._try(at, items, deadline)
        return count, error

    async def _try(
        self, at: tuple[str, int | None], items: list[Item], deadline: float
    ) -> tuple[int, TransportError | None]:
        topic, partition = at
        count, producer = len(items), None
        try:
            left = deadline - time.monotonic()
            async with translated(f"a record for topic {topic!r}"), asyncio.timeout(left):
                producer = await self.producer()
                if partition is None:
                    partition = random.choice(sorted(await producer.partitions_for(topic)))  # noqa: S311
                batch = producer.create_batch()
                count = _fill(batch, items)
                batch.close()
                started = time.monotonic()
                written = await _acknowledged(producer, await producer.send_batch(batch, topic, partition=partition))
        except TransportError as error:
            self._drop_if_broken(producer, error)
            return count, _RefusedError(str(error)) if isinstance(error.__cause__, _REFUSALS) else error
        except Exception as error:  # noqa: BLE001  # say a key that is no bytes
            return count, _RefusedError(f"a record for topic {topic!r} cannot be written: {error!r}")
        if written.timestamp_type == 1:
            self.clock.sample(started, time.monotonic(), written.timestamp)
        return count, None

    def _drop_if_broken(self, producer: AIOKafkaProducer | None, error: TransportError) -> None:
        """The next batch makes a new producer where this one writes no more: aiokafka does not repair it."""
        if producer is None or not (isinstance(error.__cause__, _BROKEN) or _sender_ended(producer)):
            return
        if producer is self._producer:
            _log.warning("a producer is broken and made anew: %s", error)
            self._producer = None
            closing = asyncio.get_running_loop().create_task(stop_within(_FLUSH_TIMEOUT, producer))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _acknowledged(producer: Any, batch: Any) -> Any:
    """The batch's outcome; an error also where aiokafka's background task dies, which then has none.

    The batch is never cancelled: that task dies of it when it comes to its retry.
    """
    await asyncio.wait({batch, producer._sender.sender_task}, return_when=asyncio.FIRST_COMPLETED)
    if not batch.done():
        raise KafkaConnectionError("aiokafka's sender task has ended")
    return batch.result()


def _sender_ended(producer: Any) -> bool:
    """Whether aiokafka's background task is dead, as after an error that it did not foresee."""
    task: asyncio.Task[None] | None = producer._sender.sender_task  # nothing public tells
    return task is not None and task.done()


def _fill(batch: BatchBuilder, items: list[Item]) -> int:
    """Appends as many of the items as the batch takes, one at least; answers how many."""
    count = 0
    for key, value, headers, _, _ in items:
        own = headers if isinstance(headers, list) else list(headers)  # aiokafka takes nothing else
        if batch.append(timestamp=None, key=key, value=value, headers=own) is None:
            break
        count += 1
    return count


def _settle(items: Sequence[Item], error: TransportError | None) -> None:
    """Calls each record's `sent` once; a failing one is reported and keeps no other from being called."""
    for _, _, _, sent, token in items:
        try:
            sent(token, error)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the other records were written all the same
            asyncio.get_running_loop().call_exception_handler(
                {"message": "typedrpc: an acknowledgement's callback failed", "exception": failure}
            )
