"""The bound on calls that wait for replies at once, by number and by bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import count

_SMALL = 64 * 1024
"""Bytes of a body that need not wait behind larger ones: beside 800 KiB at full rate a small call waited 0.96 s."""

_Lane = OrderedDict[asyncio.Future[None], tuple[int, int]]
"""Who waits, with the body's size and the number of its arrival."""


class InFlight:
    """Counts calls and the bytes of their bodies. Whoever comes over the bound waits; the first comes in first.

    Only a small body passes larger ones that wait for bytes, and never takes the room that the first of those needs:
    that one comes in at the latest when the larger ones under way have left.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._calls = 0
        self._bytes = 0
        self._large_bytes = 0
        self._small: _Lane = OrderedDict()
        self._large: _Lane = OrderedDict()
        self._arrivals = count()

    def has_room(self, size: int) -> bool:
        """Whether a call with a body of `size` bytes may `enter` now, before all that wait. One alone may always."""
        if self._small or not self._fits(size):
            return False
        return not self._large or self._may_pass(size)

    def enter(self, size: int) -> None:
        """Counts a call; `leave` follows, however it ends."""
        self._calls += 1
        self._bytes += size
        if size > _SMALL:
            self._large_bytes += size

    def leave(self, size: int) -> None:
        """Lets the next ones in."""
        self._calls -= 1
        self._bytes -= size
        if size > _SMALL:
            self._large_bytes -= size
        if self._small or self._large:
            self._let_in()

    async def wait(self, size: int) -> None:
        """Enters as soon as there is room; where it raises, it has not."""
        if self.has_room(size):
            self.enter(size)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane = self._small if size <= _SMALL else self._large
        lane[waiting] = size, next(self._arrivals)
        try:
            await waiting
        except BaseException:
            if waiting.done() and not waiting.cancelled():
                self.leave(size)  # it was let in, and is cancelled before it could go on
            else:
                lane.pop(waiting, None)
                self._let_in()  # a smaller one behind it may fit
            raise

    def _fits(self, size: int) -> bool:
        return self._calls < self._most and (self._bytes + size <= self._most_bytes or not self._calls)

    def _may_pass(self, size: int) -> bool:
        """Whether a body that fits leaves the first of the large ones its room."""
        first, _ = next(iter(self._large.values()))
        return size <= _SMALL and self._bytes - self._large_bytes + size + first <= self._most_bytes

    def _let_in(self) -> None:
        """Counts them here and now: else whoever calls next would take the room of those that wait."""
        while (lane := self._next_lane()) is not None:
            waiting, (size, _) = lane.popitem(last=False)
            self.enter(size)
            waiting.set_result(None)

    def _next_lane(self) -> _Lane | None:
        """The one whose first comes in now."""
        small, large = _first(self._small), _first(self._large)
        if large is not None and (small is None or large[1] < small[1]):
            if self._fits(large[0]):
                return self._large
            if small is None or not self._may_pass(small[0]):
                return None
        return self._small if small is not None and self._fits(small[0]) else None


def _first(lane: _Lane) -> tuple[int, int] | None:
    """The size and the number of the first that still waits; those cancelled before it are dropped."""
    while lane:
        waiting, found = next(iter(lane.items()))
        if not waiting.done():
            return found
        del lane[waiting]
    return None
