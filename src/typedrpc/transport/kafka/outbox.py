"""Own buffers, one for each partition, sent as whole batches: one future a batch instead of one a record."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer

from typedrpc.transport import Sent, TransportError
from typedrpc.transport.kafka.connection import translated
from typedrpc.wire import Header

Item = tuple[bytes | None, bytes | None, Sequence[Header], Sent, Any]

_SEND_TIMEOUT = 15.0
"""Seconds for a batch, above aiokafka's request time-out: an idempotent batch would never give up by itself."""
_FLUSH_TIMEOUT = 5.0


class Clock:
    """The broker's clock, estimated from acknowledgements of records on LogAppendTime topics: within about 1 ms."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # of our monotonic clock, in ms
        self._round_trip = 0.0
        self._at = 0.0

    def sample(self, sent: float, acknowledged: float, timestamp: int) -> None:
        """Times in seconds of time.monotonic(). Of the samples of half a minute the quickest counts."""
        round_trip = acknowledged - sent
        if self._ahead is None or round_trip < self._round_trip or acknowledged - self._at > 30:
            self._ahead = timestamp - (sent + acknowledged) * 500
            self._round_trip, self._at = round_trip, acknowledged

    def broker_time(self) -> float | None:
        """Milliseconds since 1970; None before the first sample."""
        return None if self._ahead is None else time.monotonic() * 1000 + self._ahead


class Outbox:
    """Records on their way. A partition's records are batched while its previous batch is under way, so that a lone
    record goes at once. `start` makes the producer, on first use.
    """

    def __init__(self, start: Callable[[], Awaitable[AIOKafkaProducer]]) -> None:
        self.clock: Clock = Clock()
        self._start = start
        self._starting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._buffers: dict[tuple[str, int | None], list[Item]] = {}
        self._pumps: set[asyncio.Task[None]] = set()
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
            with suppress(TimeoutError):  # Kafka is away; aiokafka would wait for it for ever
                await asyncio.wait_for(self._producer.stop(), _FLUSH_TIMEOUT)

    async def _pump(self, at: tuple[str, int | None]) -> None:
        while items := self._buffers[at]:
            self._buffers[at] = []
            done = 0
            try:
                while done < len(items):
                    sent = await self._send(at, items, done)
                    _settle(items[done : done + sent], None)
                    done += sent
            except TransportError as error:
                _settle(items[done:], error)
            except Exception as error:  # noqa: BLE001  # say a key that is no bytes; later records still go
                _settle(items[done:], TransportError(f"a record for topic {at[0]!r} cannot be written: {error!r}"))
            except BaseException:
                stopped = TransportError("this process stopped before the record was written")
                _settle(items[done:] + self._buffers.pop(at), stopped)
                raise
        del self._buffers[at]

    async def _send(self, at: tuple[str, int | None], items: list[Item], first: int) -> int:
        """One batch of the items from `first` on; answers how many went."""
        topic, partition = at
        async with translated(f"a record for topic {topic!r}"), asyncio.timeout(_SEND_TIMEOUT):
            producer = await self.producer()
            if partition is None:
                partition = random.choice(sorted(await producer.partitions_for(topic)))  # noqa: S311
            batch = producer.create_batch()
            after = first
            for key, value, headers, _, _ in items[first:] if first else items:
                own = headers if isinstance(headers, list) else list(headers)  # aiokafka takes nothing else
                if batch.append(timestamp=None, key=key, value=value, headers=own) is None:
                    break
                after += 1
            batch.close()
            started = time.monotonic()
            written = await (await producer.send_batch(batch, topic, partition=partition))
            if written.timestamp_type == 1:
                self.clock.sample(started, time.monotonic(), written.timestamp)
        return after - first


def _settle(items: Sequence[Item], error: TransportError | None) -> None:
    """Calls each record's `sent` once; a failing one is reported and keeps no other from being called."""
    for _, _, _, sent, token in items:
        try:
            sent(token, error)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the other records were written all the same
            asyncio.get_running_loop().call_exception_handler(
                {"message": "typedrpc: an acknowledgement's callback failed", "exception": failure}
            )
