"""Reads this process' replies and hands them to the dispatcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from typedrpc.config import Topics
from typedrpc.dispatcher import Dispatcher
from typedrpc.errors import Unavailable
from typedrpc.transport import Reader, Record, TopicPartition, Transport, TransportError
from typedrpc.wire import correlation_of

_log = logging.getLogger("typedrpc")

_PAUSE = 0.2  # seconds between two attempts to open a broken reader again


class ReplyInbox:
    """One partition of the shared reply topic, chosen by `seed`; on first use also the topic of plain replies."""

    def __init__(
        self, transport: Transport, dispatcher: Dispatcher[Record], topics: Topics, seed: int, *, create: bool
    ) -> None:
        self.plain_open: bool = False
        self._transport = transport
        self._dispatcher = dispatcher
        self._topics = topics
        self._seed = seed
        self._create = create
        self._tasks: list[asyncio.Task[None]] = []
        self._opening_plain = asyncio.Lock()

    async def start(self) -> int:
        """The partition that this process reads, from now on. Raises TransportError."""
        topic = self._topics.reply_topic()
        await self._transport.ensure_topics([topic], create=self._create)
        partition = self._seed % await self._transport.partitions_of(topic.name)
        await self._read([TopicPartition(topic.name, partition)])
        return partition

    async def open_plain(self) -> None:
        """Reads every partition of the plain replies, for their senders choose any. Raises TransportError."""
        async with self._opening_plain:
            if not self.plain_open:
                topic = self._topics.plain_reply_topic()
                await self._transport.ensure_topics([topic], create=self._create)
                count = await self._transport.partitions_of(topic.name)
                await self._read([TopicPartition(topic.name, p) for p in range(count)])
                self.plain_open = True

    async def stop(self) -> None:
        """Stops reading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _read(self, partitions: Sequence[TopicPartition]) -> None:
        reader = await self._transport.open_reader(partitions)
        self._tasks.append(asyncio.create_task(self._run(reader, partitions), name=f"typedrpc {partitions[0].topic}"))

    async def _run(self, reader: Reader, partitions: Sequence[TopicPartition]) -> None:
        while True:
            try:
                while True:
                    self._dispatch(await reader.fetch())
                    await asyncio.sleep(0)  # fetching buffered records never yields by itself
            except TransportError as error:
                _log.warning("replies may be lost, every pending call ends UNAVAILABLE: %s", error)
            except Exception:  # noqa: BLE001  # whatever it was, the loop must go on
                _log.exception("replies may be lost, every pending call ends UNAVAILABLE")
            finally:
                await reader.close()
            self._dispatcher.fail_all(lambda: Unavailable("the connection for replies broke; the call may have run"))
            reader = await self._reopen(partitions)

    async def _reopen(self, partitions: Sequence[TopicPartition]) -> Reader:
        while True:
            try:
                return await self._transport.open_reader(partitions)
            except TransportError as error:
                _log.warning("replies cannot be read yet: %s", error)
                await asyncio.sleep(_PAUSE)

    def _dispatch(self, records: Sequence[Record]) -> None:
        resolve = self._dispatcher.resolve
        for record in records:
            correlation_id = correlation_of(record.headers)
            if correlation_id is not None:
                resolve(correlation_id, record)
