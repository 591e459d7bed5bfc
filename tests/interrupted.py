"""Calls that are cut short at any of their suspensions, or after any number of the event loop's turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any

JUMP = 1000.0  # seconds


Interrupt = Callable[[asyncio.Task[Any]], object]


def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


class Clock:
    """The running loop's time, which can jump: every time-out of less than the jump has passed then."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._ahead = 0.0

    def __enter__(self) -> Clock:
        self._loop.time = lambda: self._time() + self._ahead  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.time = self._time  # type: ignore[method-assign]

    def jump(self, _task: object = None) -> None:
        self._ahead += JUMP


class AtSuspension:
    """Awaits a coroutine and interrupts it when it is suspended for the n-th time, the first one being 1."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], n: int, interrupt: Callable[[], object]) -> None:
        self._coroutine = coroutine
        self._n = n
        self._interrupt = interrupt
        self.interrupted = False

    def __await__(self) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        suspended = 0
        while True:
            try:
                waits_for = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as end:
                return end.value
            suspended += 1
            if suspended == self._n:
                self.interrupted = True
                self._interrupt()
            try:
                yield waits_for
                error = None
            except BaseException as raised:  # noqa: BLE001  # the coroutine gets it
                error = raised


async def at_suspension(call: Coroutine[Any, Any, Any], n: int, interrupt: Interrupt) -> tuple[object, bool]:
    """What the call returned or raised, and whether it was interrupted."""

    async def run() -> Any:
        return await cut

    task = asyncio.ensure_future(run())
    cut = AtSuspension(call, n, lambda: interrupt(task))
    ends: Sequence[object] = await asyncio.gather(task, return_exceptions=True)
    return ends[0], cut.interrupted


async def after_turns(call: Coroutine[Any, Any, Any], n: int, interrupt: Interrupt) -> tuple[object, bool]:
    """The same, from outside: also between the moment when what it waits for is there and its next step."""
    task = asyncio.ensure_future(call)
    for _ in range(n):
        await asyncio.sleep(0)
    interrupted = not task.done()
    if interrupted:
        interrupt(task)
    ends: Sequence[object] = await asyncio.gather(task, return_exceptions=True)
    return ends[0], interrupted
