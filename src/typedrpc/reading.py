"""Reads partitions by itself for as long as it is started, and opens them again where reading breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from typedrpc.transport import Reader, Record, TopicPartition, TopicSpec, Transport, TransportError

_log = logging.getLogger("typedrpc")

_PAUSE = 0.2  # seconds between two attempts to open the partitions again


async def open_whole(transport: Transport, topic: TopicSpec, *, create: bool) -> Reader:
    """A reader of every partition of the topic, which is made where it is missing. Raises TransportError."""
    counts = await transport.ensure_topics([topic], create=create)
    return await transport.open_reader([TopicPartition(topic.name, p) for p in range(counts[topic.name])])


class Reading:
    """Gives each chunk of records to `take`; `broken` is called where records may have been missed.

    `open` is called anew after that: the topic may be gone meanwhile, or be another one.
    """

    def __init__(
        self,
        topic: str,
        open: Callable[[], Awaitable[Reader]],
        take: Callable[[Sequence[Record]], None],
        broken: Callable[[], None],
    ) -> None:
        self._topic = topic
        self._open = open
        self._take = take
        self._broken = broken
        self._reader: Reader | None = None
        self._task: asyncio.Task[None] | None = None
        self._said = ""

    async def start(self) -> None:
        """Nothing that is written after this returns is missed. Raises TransportError."""
        self._reader = await self._open()
        self._task = asyncio.create_task(self._run(), name=f"typedrpc {self._topic}")

    async def stop(self) -> None:
        """Stops reading; idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._reader is not None:
            await self._reader.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except TransportError as error:
                if self._said != str(error):  # once, where ACLs do not allow it
                    _log.warning("%s cannot be read: %s", self._topic, error)
                    self._said = str(error)
            except Exception:  # noqa: BLE001  # whatever it was, reading must go on
                _log.exception("%s cannot be read", self._topic)
            self._broken()
            await asyncio.sleep(_PAUSE)

    async def _read(self) -> None:
        """Until it breaks; the next time it opens the partitions anew."""
        if self._reader is None:
            self._reader = await self._open()
        reader = self._reader
        try:
            while True:
                self._take(await reader.fetch())
                self._said = ""
                await asyncio.sleep(0)  # fetching buffered records never yields by itself
        finally:
            self._reader = None
            await reader.close()


class Broadcast:
    """Reads a whole topic, without a group: every process that does sees every record. What is missed while reading
    breaks must not matter.
    """

    def __init__(self, topic: TopicSpec, take: Callable[[Sequence[Record]], None], *, create: bool) -> None:
        self._topic = topic
        self._take = take
        self._create = create
        self._starting: asyncio.Task[None] | None = None
        self._reading: Reading | None = None

    async def start(self, transport: Transport) -> None:
        """Reads from now on, once however often it is called. Raises TransportError."""
        if self._starting is None or (self._starting.done() and self._starting.exception() is not None):
            self._starting = asyncio.create_task(self._start(transport))
        await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Stops reading."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._reading is not None:
            await self._reading.stop()
        self._starting = self._reading = None

    async def _start(self, transport: Transport) -> None:
        async def read() -> Reader:
            return await open_whole(transport, self._topic, create=self._create)

        self._reading = Reading(self._topic.name, read, self._take, lambda: None)
        await self._reading.start()
