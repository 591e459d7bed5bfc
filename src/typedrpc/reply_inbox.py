"""Reads this process' replies and hands them to the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from typedrpc.config import Topics
from typedrpc.dispatcher import Dispatcher
from typedrpc.errors import Unavailable
from typedrpc.reading import Reading
from typedrpc.transport import Record, Transport
from typedrpc.wire import correlation_of


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
        self._readings: list[Reading] = []
        self._opening_plain = asyncio.Lock()

    async def start(self) -> int:
        """The partition that this process reads, from now on. Raises TransportError."""
        topic = self._topics.reply_topic()
        # The cancels' topic too: this process may write there before any server has made it.
        await self._transport.ensure_topics([topic, self._topics.cancel_topic()], create=self._create)
        partition = self._seed % await self._transport.partitions_of(topic.name)
        await self._read(topic.name, [partition])
        return partition

    async def open_plain(self) -> None:
        """Reads every partition of the plain replies, for their senders choose any. Raises TransportError."""
        async with self._opening_plain:
            if not self.plain_open:
                topic = self._topics.plain_reply_topic()
                await self._transport.ensure_topics([topic], create=self._create)
                await self._read(topic.name, range(await self._transport.partitions_of(topic.name)))
                self.plain_open = True

    async def stop(self) -> None:
        """Stops reading."""
        await asyncio.gather(*(reading.stop() for reading in self._readings))
        self._readings.clear()

    async def _read(self, topic: str, partitions: Sequence[int]) -> None:
        reading = Reading(self._transport, topic, partitions, self._dispatch, self._broken)
        await reading.start()
        self._readings.append(reading)

    def _dispatch(self, records: Sequence[Record]) -> None:
        resolve = self._dispatcher.resolve
        for record in records:
            correlation_id = correlation_of(record.headers)
            if correlation_id is not None:
                resolve(correlation_id, record)

    def _broken(self) -> None:
        """A reply may have been missed: what it answered must not wait for its deadline."""
        self._dispatcher.fail_all(lambda: Unavailable("the connection for replies broke; the call may have run"))
