"""The calls that wait for a reply, by correlation id: one table and one timer for a whole process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class _HasDeadline(Protocol):
    deadline: float


K = TypeVar("K")
D = TypeVar("D", bound=_HasDeadline)
T = TypeVar("T")

_TICK = 0.02
"""Seconds between two sweeps at least; how late a deadline may fire."""
_LATEST = 0.25
"""Seconds between two sweeps at most, where something expires: how late a deadline may fire among many calls."""


class Deadlines(Generic[K, D]):
    """Calls `expire(key, item)` soon after the item's deadline (loop.time(), seconds), if it is still in `items`.

    One timer for all. A sweep looks at every item, and the next one waits for the earliest deadline that it met: with
    like time-outs that is a sweep per time-out, not per call. Where calls expire all the time, looking
    takes about a tenth of the loop.
    """

    def __init__(self, items: dict[K, D], expire: Callable[[K, D], None]) -> None:
        self._items = items
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self.next: float = float("inf")

    def watch(self, deadline: float) -> None:
        """To be called with each item's deadline, after the item is in `items`."""
        if deadline < self.next:
            self._arm(deadline)

    def stop(self) -> None:
        """Nothing expires from now on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.next = float("inf")

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.next = deadline
        self._timer = self._loop.call_at(max(deadline, self._not_before), self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self.next = float("inf")
        started = self._loop.time()
        earliest = float("inf")
        due: list[tuple[K, D]] = []
        for key, item in self._items.items():
            if item.deadline <= started:
                due.append((key, item))
            elif item.deadline < earliest:
                earliest = item.deadline
        looked = self._loop.time() - started
        for key, item in due:
            self._expire(key, item)
        self._not_before = self._loop.time() + min(max(_TICK, 10 * looked), _LATEST)
        if earliest < self.next:
            self._arm(earliest)


class Pending(Generic[T]):
    """A call that waits: `future` gets the reply or the error. `written`: Kafka has the request."""

    __slots__ = ("correlation_id", "deadline", "future", "written")

    def __init__(self, correlation_id: bytes, deadline: float, future: asyncio.Future[T]) -> None:
        self.correlation_id: bytes = correlation_id
        self.deadline: float = deadline
        self.future: asyncio.Future[T] = future
        self.written: bool = False


class Dispatcher(Generic[T]):
    """Gives each reply to the call that waits for it, once; a call whose deadline passes gets a TimeoutError.

    Counts what came too late or twice (`late`), and what belongs to other processes that share the reply partition
    (`foreign`).
    """

    def __init__(self) -> None:
        self.nonce: bytes = secrets.token_hex(16).encode()
        self.late: int = 0
        self.foreign: int = 0
        self._loop = asyncio.get_running_loop()
        self._pending: dict[bytes, Pending[T]] = {}
        self._deadlines = Deadlines(self._pending, self._expire)
        self._count = 0

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, deadline: float) -> Pending[T]:
        """A new entry, whose future ends at the latest soon after `deadline`. Whoever opens it closes it."""
        correlation_id = self.new_id()
        # not Pending[T](...): typing would make that call three times slower
        pending: Pending[T] = Pending(correlation_id, deadline, self._loop.create_future())
        self._pending[correlation_id] = pending
        if deadline < self._deadlines.next:
            self._deadlines.watch(deadline)
        return pending

    def new_id(self) -> bytes:
        """A correlation id that no other call of any process has."""
        self._count += 1
        return b"%s-%d" % (self.nonce, self._count)

    def close(self, pending: Pending[T]) -> None:
        """Forgets the call, however it ended; what still arrives for it is counted as late."""
        self._pending.pop(pending.correlation_id, None)

    def resolve(self, correlation_id: bytes, reply: T) -> bool:
        """True where a call was waiting for it."""
        pending = self._pending.pop(correlation_id, None)
        if pending is None:
            if correlation_id.startswith(self.nonce):
                self.late += 1
            else:
                self.foreign += 1
            return False
        if not pending.future.done():
            pending.future.set_result(reply)
        return True

    def fail(self, pending: Pending[T], error: BaseException) -> None:
        """Ends one call with an error, where it still waits."""
        if self._pending.pop(pending.correlation_id, None) is not None and not pending.future.done():
            pending.future.set_exception(error)

    def fail_all(self, error: Callable[[], BaseException]) -> None:
        """Ends every call that waits, each with its own error object."""
        for pending in list(self._pending.values()):
            self.fail(pending, error())

    async def wait_empty(self) -> None:
        """Until no call waits."""
        while self._pending:
            await asyncio.wait([p.future for p in self._pending.values()])
            await asyncio.sleep(0)  # the callers close their calls

    def stop(self) -> None:
        """Stops the timer; `fail_all` comes first."""
        self._deadlines.stop()

    def _expire(self, correlation_id: bytes, pending: Pending[T]) -> None:
        self._pending.pop(correlation_id, None)
        if not pending.future.done():
            pending.future.set_exception(TimeoutError())
