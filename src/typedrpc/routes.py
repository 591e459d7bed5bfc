"""The topics that this process calls, with their partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from typedrpc.balance import Balance
from typedrpc.config import Topics
from typedrpc.transport import Transport, TransportError

_REFRESH = 30.0  # seconds after which partitions that were added get calls


class Route:
    """One topic's partitions. Keyless calls within one tick of the event loop share a partition."""

    def __init__(self, partitions: int) -> None:
        self._balance = Balance(partitions)
        self.outstanding: list[int] = self._balance.outstanding
        self.choose_other: Callable[[set[int]], int] = self._balance.choose_other
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
        self._doubted: dict[str, Route] = {}
        self._opening: dict[str, asyncio.Task[Route]] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self.get: Callable[[str], Route | None] = self._routes.get

    def start(self) -> None:
        """Looks for added partitions from now on."""
        self._refreshing = asyncio.create_task(self._refresh_regularly(), name="typedrpc routes")

    async def open(self, topic: str) -> Route:
        """The route, made once however many ask. Raises TransportError; the next one asks again then."""
        if topic in self._routes:
            return self._routes[topic]
        task = self._opening.get(topic)
        if task is None:
            task = self._opening[topic] = asyncio.create_task(self._make(topic))
            task.add_done_callback(lambda done: self._opened(topic, done))
        await asyncio.wait([task])
        if task.cancelled():
            raise TransportError("this Rpc was stopped")
        return task.result()

    def doubt(self, topic: str) -> None:
        """A request could not be written: the topic may be gone or smaller, so the next call looks it up again."""
        route = self._routes.pop(topic, None)
        if route is not None:
            self._doubted[topic] = route

    async def stop(self) -> None:
        """Gives up what is being opened."""
        tasks: list[asyncio.Task[Any]] = list(self._opening.values())
        if self._refreshing is not None:
            tasks.append(self._refreshing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, topic: str) -> Route:
        counts = await self._transport.ensure_topics([self._topics.request_topic(topic)], create=self._create)
        return _of_size(counts[topic], self._doubted.pop(topic, None))

    def _opened(self, topic: str, task: asyncio.Task[Route]) -> None:
        del self._opening[topic]
        if not task.cancelled() and task.exception() is None:
            self._routes[topic] = task.result()

    async def _refresh_regularly(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            for topic, route in list(self._routes.items()):
                try:
                    self._routes[topic] = _of_size(await self._transport.partitions_of(topic), route)
                except TransportError:
                    self.doubt(topic)


def _of_size(partitions: int, before: Route | None) -> Route:
    """The route of before where it still fits: it knows which partitions have calls that nobody answers."""
    return before if before is not None and len(before.outstanding) == partitions else Route(partitions)
