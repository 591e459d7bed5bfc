"""The work that every contender does, and what is measured of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

Call = Callable[[], Awaitable[object]]


@dataclass
class Result:
    """Of one contender in one round: milliseconds alone, calls/s and client CPU in µs per call at each concurrency."""

    p50_alone: float
    p99_alone: float
    calls_per_second: dict[int, float]
    cpu_per_call: dict[int, float]


async def measure(call: Call, *, alone: int, calls: int, at_once: list[int]) -> Result:
    await asyncio.wait_for(call(), 30)
    latencies: list[float] = []
    for _ in range(alone):
        started = time.perf_counter()
        await call()
        latencies.append((time.perf_counter() - started) * 1000)
    latencies.sort()
    result = Result(latencies[alone // 2], latencies[alone * 99 // 100], {}, {})
    for number in at_once:
        await _together(call, number * 2, number)  # warm
        cpu, started = time.process_time(), time.perf_counter()
        await _together(call, calls, number)
        result.calls_per_second[number] = calls / (time.perf_counter() - started)
        result.cpu_per_call[number] = (time.process_time() - cpu) / calls * 1e6
    return result


async def _together(call: Call, calls: int, at_once: int) -> None:
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(worker() for _ in range(at_once)))


def report(result: Result) -> None:
    print(json.dumps(asdict(result)), flush=True)
