"""Cancels: a client says that nobody waits for a reply any more, and servers stop or skip the request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from typedrpc.config import Topics
from typedrpc.reading import Reading, open_whole
from typedrpc.transport import Reader, Record, Transport
from typedrpc.wire import Address, parse_cancel

_KEPT = 10_000
_KEPT_FOR = 60_000  # milliseconds that a cancel waits for a request that is still queued, where it does not say


class Cancelled:
    """Cancels of requests not seen yet, bounded by number and time. Pure: `now` is given."""

    def __init__(self) -> None:
        self._until: OrderedDict[Address, float] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def add(self, address: Address, until: float, now: float) -> None:
        """Remembers the cancel until its request has expired, and forgets what is too old or too much."""
        self._until[address] = until
        while self._until and (len(self._until) > _KEPT or next(iter(self._until.values())) < now):
            self._until.popitem(last=False)

    def has(self, address: Address, now: float) -> bool:
        """Whether the request was cancelled. It may come again: Kafka's clients write it twice where in doubt."""
        return self._until.get(address, 0.0) >= now


class CancelInbox:
    """Reads the cancels of all clients, without a group: every server process sees them all."""

    def __init__(self, topics: Topics, *, create: bool) -> None:
        self._topic = topics.cancel_topic()
        self._create = create
        self._starting: asyncio.Task[None] | None = None
        self._reading: Reading | None = None

    async def start(self, transport: Transport, cancel: Callable[[Address, float], None]) -> None:
        """Reads from now on, once however often it is called. Raises TransportError."""
        if self._starting is None or (self._starting.done() and self._starting.exception() is not None):
            self._starting = asyncio.create_task(self._start(transport, cancel))
        await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Stops reading."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._reading is not None:
            await self._reading.stop()
        self._starting = self._reading = None

    async def _start(self, transport: Transport, cancel: Callable[[Address, float], None]) -> None:
        topic = self._topic

        async def read() -> Reader:
            return await open_whole(transport, topic, create=self._create)

        def take(records: Sequence[Record]) -> None:
            for record in records:
                found = parse_cancel(record.headers)
                if found is not None:
                    address, timeout_ms = found
                    cancel(address, (_KEPT_FOR if timeout_ms is None else timeout_ms) / 1000)

        # A cancel that is missed costs a handler's time, up to its deadline.
        self._reading = Reading(topic.name, read, take, lambda: None)
        await self._reading.start()
