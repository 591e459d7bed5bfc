"""Reads this process' replies and hands them to the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from typedrpc.config import Topics
from typedrpc.dialects import foreign_correlation_of
from typedrpc.dispatcher import Dispatcher
from typedrpc.errors import Unavailable
from typedrpc.reading import Reading, open_whole
from typedrpc.transport import Reader, Record, TopicPartition, Transport
from typedrpc.wire import correlation_of


class ReplyInbox:
    """One partition of the shared reply topic, chosen by `seed`; on first use also the topic of plain replies.

    `opened` is called with that partition whenever it is read from now on, `broken` when it is not read any more.
    """

    def __init__(
        self,
        transport: Transport,
        dispatcher: Dispatcher[Record],
        topics: Topics,
        seed: int,
        *,
        create: bool,
        opened: Callable[[int], None],
        broken: Callable[[], None],
    ) -> None:
        self.plain_open: bool = False
        self._transport = transport
        self._dispatcher = dispatcher
        self._topics = topics
        self._seed = seed
        self._create = create
        self._opened = opened
        self._broken = broken
        self._readings: list[Reading] = []
        self._opening_plain = asyncio.Lock()

    async def start(self) -> None:
        """Reads from now on. Raises TransportError."""
        await self._read(self._topics.replies, self._open, self._lost)

    async def open_plain(self) -> None:
        """Reads every partition of the plain replies, for their senders choose any. Raises TransportError."""
        async with self._opening_plain:
            if not self.plain_open:
                await self._read(self._topics.plain_replies, self._open_plain, self._fail_pending)
                self.plain_open = True

    async def stop(self) -> None:
        """Stops reading."""
        await asyncio.gather(*(reading.stop() for reading in self._readings))
        self._readings.clear()

    async def _read(self, topic: str, open: Callable[[], Awaitable[Reader]], broken: Callable[[], None]) -> None:
        reading = Reading(topic, open, self._dispatch, broken)
        await reading.start()
        self._readings.append(reading)

    async def _open(self) -> Reader:
        topic = self._topics.reply_topic()
        # The cancels' topic too: this process may write there before any server has made it.
        counts = await self._transport.ensure_topics([topic, self._topics.cancel_topic()], create=self._create)
        partition = self._seed % counts[topic.name]
        reader = await self._transport.open_reader([TopicPartition(topic.name, partition)])
        self._opened(partition)
        return reader

    async def _open_plain(self) -> Reader:
        return await open_whole(self._transport, self._topics.plain_reply_topic(), create=self._create)

    def _dispatch(self, records: Sequence[Record]) -> None:
        resolve = self._dispatcher.resolve
        for record in records:
            correlation_id = correlation_of(record.headers) or foreign_correlation_of(record.headers)
            if correlation_id is not None:
                resolve(correlation_id, record)

    def _lost(self) -> None:
        self._broken()
        self._fail_pending()

    def _fail_pending(self) -> None:
        """A reply may have been missed: what it answered must not wait for its deadline."""
        self._dispatcher.fail_all(lambda: Unavailable("the connection for replies broke; the call may have run"))
