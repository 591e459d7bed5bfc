"""The bound on calls that wait for replies at once, by number and by bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict


class InFlight:
    """Counts calls and the bytes of their bodies. Whoever comes over the bound waits; the first comes in first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._calls = 0
        self._bytes = 0
        self._waiting: OrderedDict[asyncio.Future[None], int] = OrderedDict()

    def has_room(self, size: int) -> bool:
        """Whether a call with a body of `size` bytes may `enter` now, before all that wait. One alone may always."""
        return not self._waiting and self._fits(size)

    def enter(self, size: int) -> None:
        """Counts a call; `leave` follows, however it ends."""
        self._calls += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        """Lets the next ones in."""
        self._calls -= 1
        self._bytes -= size
        if self._waiting:
            self._let_in()

    async def wait(self, size: int) -> None:
        """Enters as soon as there is room; where it raises, it has not."""
        if self.has_room(size):
            self.enter(size)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = size
        try:
            await waiting
        except BaseException:
            if waiting.done() and not waiting.cancelled():
                self.leave(size)  # it was let in, and is cancelled before it could go on
            else:
                self._waiting.pop(waiting, None)
                self._let_in()  # a smaller one behind it may fit
            raise

    def _fits(self, size: int) -> bool:
        return self._calls < self._most and (self._bytes + size <= self._most_bytes or not self._calls)

    def _let_in(self) -> None:
        """Counts them here and now: else whoever calls next would take the room of those that wait."""
        while self._waiting:
            waiting, size = next(iter(self._waiting.items()))
            if not waiting.done():
                if not self._fits(size):
                    return
                self.enter(size)
                waiting.set_result(None)
            del self._waiting[waiting]
