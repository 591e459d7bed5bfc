"""The bound on calls that wait for replies at once, by number and by bytes."""

from __future__ import annotations

import asyncio
from collections import deque


class InFlight:
    """Counts calls and the bytes of their bodies. Whoever comes over the bound waits; the first comes in first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._calls = 0
        self._bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def has_room(self, size: int) -> bool:
        """Whether a call with a body of `size` bytes may go now. One alone may always."""
        return self._calls < self._most and (self._bytes + size <= self._most_bytes or not self._calls)

    def enter(self, size: int) -> None:
        """Counts a call; `leave` follows, however it ends."""
        self._calls += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        """Lets the next one in."""
        self._calls -= 1
        self._bytes -= size
        if self._waiting:
            self._wake_next()

    async def wait(self, size: int) -> None:
        """Until there is room."""
        while not self.has_room(size):
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except BaseException:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
                else:
                    self._wake_next()  # this one was let in and went: the next may come
                raise

    def _wake_next(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
