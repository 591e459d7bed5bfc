"""Many calls, and what they came to."""

from __future__ import annotations

import asyncio
import signal
import time
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from typedrpc.cli.request import decoded, message_in
from typedrpc.errors import RpcError, Status

Send = Callable[[], Awaitable[tuple[Status, bytes]]]

_COARSE = 0.001
"""Seconds by which the timers of event loops are early or late. The service did not cause them: they are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`calls` in all, or as many as begin within `seconds`; never more than `at_once`.

    Without a `rate` the next call begins when one has ended: a closed loop. With one, so many begin per second.
    """

    at_once: int
    calls: int | None = None
    seconds: float | None = None
    rate: float | None = None

    def starts(self, now: Callable[[], float]) -> Generator[float]:
        """When each call is to begin, by the clock `now`."""
        begin = now()
        for number in count() if self.calls is None else range(self.calls):
            start = now() if self.rate is None else begin + number / self.rate
            if self.seconds is not None and start >= begin + self.seconds:
                return
            yield start


@dataclass(slots=True, kw_only=True)
class Tally:
    """What calls came to. `latencies` are seconds, one for each that ended OK; `cpu` is seconds of this process.

    `dropped` calls were under way when a signal ended it all: nobody knows what came of them.
    """

    latencies: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[Status] = field(default_factory=Counter[Status])
    examples: dict[Status, str] = field(default_factory=dict[Status, str])
    interrupted: bool = False
    dropped: int = 0
    seconds: float = 0.0
    cpu: float = 0.0

    @property
    def ended(self) -> int:
        """How many calls."""
        return len(self.latencies) + self.errors.total()


async def measure(send: Send, load: Load, tally: Tally) -> None:
    """Makes the calls, and waits for the last to end; SIGINT and SIGTERM end it early.

    A call that raises RpcError counts as one that ended so; what else it raises is raised here.
    """
    starts = load.starts(time.perf_counter)
    cpu, begin = time.process_time(), time.perf_counter()
    workers = [asyncio.create_task(_work(send, starts, tally)) for _ in range(load.at_once)]

    def interrupt() -> None:
        tally.interrupted = True
        for worker in workers:
            worker.cancel()

    try:
        with _signals(interrupt):
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        tally.seconds, tally.cpu = time.perf_counter() - begin, time.process_time() - cpu
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
    for worker in workers:
        if not worker.cancelled():
            worker.result()


async def _work(send: Send, starts: Iterator[float], tally: Tally) -> None:
    """One call after another. All workers share `starts`: whoever is free takes the next."""
    now = time.perf_counter
    for start in starts:
        if (ahead := start - now()) > 0:
            await asyncio.sleep(ahead)
            start += min(now() - start, _COARSE)
        try:
            status, reply = await send()
        except RpcError as error:
            _count(tally, error.code, error.message)
            await asyncio.sleep(0)  # it may have ended without a wait, and the others must come to their turn
        except asyncio.CancelledError:
            tally.dropped += 1
            raise
        else:
            if status is Status.OK:
                tally.latencies.append(now() - start)
            else:
                _count(tally, status, "" if status in tally.examples else str(message_in(decoded(reply))))


def _count(tally: Tally, status: Status, message: str) -> None:
    tally.errors[status] += 1
    tally.examples.setdefault(status, message)


@contextmanager
def _signals(interrupt: Callable[[], None]) -> Generator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
