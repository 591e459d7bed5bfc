"""Samples: closed and open loops of calls, and what is told of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import TypedDict

from benchmarks.work import Call

PATIENCE = 10.0
"""Seconds after the end of a sample, within which the calls that were begun are to end. Others count as errors."""


class Sample(TypedDict):
    """Latencies in ms; `error`: the last; `seconds` that it took; `cpu` seconds of the client; `late` if the open loop
    fell behind."""

    calls: int
    errors: int
    error: str | None
    seconds: float
    p50: float | None
    p99: float | None
    p999: float | None
    cpu: float
    late: bool


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered values that at least `share` of them do not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def intended_times(rate: float, seconds: float) -> Iterator[float]:
    """Seconds from the start at which the calls of an open loop begin."""
    return (n / rate for n in range(int(rate * seconds)))


class _Tally:
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self.error: str | None = None
        self.late = False

    async def one(self, call: Call, since: float) -> None:
        try:
            await call()
        except BaseException as error:  # counted: whatever a contender raises is a call that failed
            self.errors += 1
            self.error = (repr(error).splitlines() or [""])[0][:100]
            if not isinstance(error, Exception):
                raise
        else:
            self.latencies.append((time.perf_counter() - since) * 1000)


async def _within_patience(tasks: set[asyncio.Task[None]], seconds: float) -> None:
    _, late = await asyncio.wait(tasks, timeout=seconds + PATIENCE)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=PATIENCE)


async def _closed(tally: _Tally, call: Call, at_once: int, seconds: float) -> None:
    end = time.perf_counter() + seconds

    async def worker() -> None:
        while (now := time.perf_counter()) < end:
            await tally.one(call, now)

    await _within_patience({asyncio.create_task(worker()) for _ in range(at_once)}, seconds)


async def _open(tally: _Tally, call: Call, rate: float, seconds: float) -> None:
    start = time.perf_counter()
    tasks: set[asyncio.Task[None]] = set()
    for offset in intended_times(rate, seconds):
        ahead = start + offset - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        tally.late |= ahead < -0.1
        tasks.add(asyncio.create_task(tally.one(call, start + offset)))
    await _within_patience(tasks, 0)


async def take(call: Call, at_once: int, seconds: float, rate: float | None) -> Sample:
    """A sample of calls by `at_once` workers, or at `rate` a second, whose latency counts from the intended start."""
    tally = _Tally()
    cpu, started = time.process_time(), time.perf_counter()
    if rate is None:
        await _closed(tally, call, at_once, seconds)
    else:
        await _open(tally, call, rate, seconds)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    ordered = sorted(tally.latencies)
    count = len(ordered)
    return Sample(
        calls=count,
        errors=tally.errors,
        error=tally.error,
        seconds=took,
        p50=percentile(ordered, 0.5) if count else None,
        p99=percentile(ordered, 0.99) if count else None,
        p999=percentile(ordered, 0.999) if count >= 1000 else None,
        cpu=cpu,
        late=tally.late,
    )
