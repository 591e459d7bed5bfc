"""Cancels: a client says that nobody waits for a reply any more, and servers stop or skip the request."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

from typedrpc.config import Topics
from typedrpc.transport import Reader, Record, TopicPartition, Transport, TransportError
from typedrpc.wire import Address, parse_cancel

_log = logging.getLogger("typedrpc")

_PAUSE = 0.5  # seconds between two attempts to open a broken reader again
_KEPT = 10_000
_KEPT_FOR = 60.0  # seconds that a cancel waits for a request that is still queued


class Cancelled:
    """Cancels of requests not seen yet, bounded by number and time. Pure: `now` is given."""

    def __init__(self) -> None:
        self._until: OrderedDict[Address, float] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def add(self, address: Address, now: float) -> None:
        """Remembers the cancel, and forgets what is too old or too much."""
        self._until[address] = now + _KEPT_FOR
        while self._until and (len(self._until) > _KEPT or next(iter(self._until.values())) < now):
            self._until.popitem(last=False)

    def take(self, address: Address, now: float) -> bool:
        """Whether the request was cancelled; asked once for each request."""
        return self._until.pop(address, 0.0) >= now


class CancelInbox:
    """Reads the cancels of all clients, without a group: every server process sees them all."""

    def __init__(self, topics: Topics, *, create: bool) -> None:
        self._topic = topics.cancel_topic()
        self._create = create
        self._starting: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, transport: Transport, cancel: Callable[[Address], None]) -> None:
        """Reads from now on, once however often it is called. Raises TransportError."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start(transport, cancel))
        await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Stops reading."""
        for task in (self._starting, self._reading):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._starting = self._reading = None

    async def _start(self, transport: Transport, cancel: Callable[[Address], None]) -> None:
        await transport.ensure_topics([self._topic], create=self._create)
        reader = await self._open(transport)
        self._reading = asyncio.create_task(self._run(transport, reader, cancel), name="typedrpc cancels")

    async def _open(self, transport: Transport) -> Reader:
        count = await transport.partitions_of(self._topic.name)
        return await transport.open_reader([TopicPartition(self._topic.name, p) for p in range(count)])

    async def _run(self, transport: Transport, reader: Reader, cancel: Callable[[Address], None]) -> None:
        while True:
            try:
                while True:
                    _take(await reader.fetch(), cancel)
                    await asyncio.sleep(0)
            except TransportError as error:
                _log.warning("cancels cannot be read, handlers run on to their deadlines: %s", error)
            except Exception:  # noqa: BLE001  # whatever it was, the loop must go on
                _log.exception("cancels cannot be read, handlers run on to their deadlines")
            finally:
                await reader.close()
            reader = await self._reopen(transport)

    async def _reopen(self, transport: Transport) -> Reader:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                return await self._open(transport)
            except TransportError as error:
                _log.warning("cancels cannot be read yet: %s", error)


def _take(records: Sequence[Record], cancel: Callable[[Address], None]) -> None:
    for record in records:
        address = parse_cancel(record.headers)
        if address is not None:
            cancel(address)
