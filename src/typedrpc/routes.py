"""The topics that this process calls, with their partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from typedrpc.balance import Balance
from typedrpc.config import Topics
from typedrpc.transport import Transport


class Route:
    """One topic's partitions. Keyless calls within one tick of the event loop share a partition."""

    def __init__(self, partitions: int) -> None:
        self._balance = Balance(partitions)
        self.outstanding: list[int] = self._balance.outstanding
        self._chosen = -1
        self._loop = asyncio.get_running_loop()

    def choose(self) -> int:
        """The partition of this tick."""
        if self._chosen < 0:
            self._chosen = self._balance.choose()
            self._loop.call_soon(self._end_tick)
        return self._chosen

    def _end_tick(self) -> None:
        self._chosen = -1


class Routes:
    """Routes by topic. `create`: topics that are missing are made on first use."""

    def __init__(self, transport: Transport, topics: Topics, *, create: bool) -> None:
        self._transport = transport
        self._topics = topics
        self._create = create
        self._routes: dict[str, Route] = {}
        self._opening: dict[str, asyncio.Task[Route]] = {}
        self.get: Callable[[str], Route | None] = self._routes.get

    async def open(self, topic: str) -> Route:
        """The route, made once however many ask. Raises TransportError; the next one asks again then."""
        if topic in self._routes:
            return self._routes[topic]
        task = self._opening.get(topic)
        if task is None:
            task = self._opening[topic] = asyncio.create_task(self._make(topic))
            task.add_done_callback(lambda done: self._opened(topic, done))
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """Gives up what is being opened."""
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)

    async def _make(self, topic: str) -> Route:
        await self._transport.ensure_topics([self._topics.request_topic(topic)], create=self._create)
        return Route(await self._transport.partitions_of(topic))

    def _opened(self, topic: str, task: asyncio.Task[Route]) -> None:
        del self._opening[topic]
        if not task.cancelled() and task.exception() is None:
            self._routes[topic] = task.result()
