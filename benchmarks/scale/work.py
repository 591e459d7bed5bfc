"""The service that is measured, and the loads that a client puts on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from benchmarks.work import SMALL, Small
from typedrpc import Rpc, Service, service

LARGE = 800 * 1024
_TICK = 0.005  # seconds between two looks at what is due at a fixed rate
_SMALL_RATE = 50.0  # calls a second beside the large ones


class Work(Service):
    """`hold` waits until it is let go: that is how calls are kept pending."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.holding = 0

    @service.method
    async def echo(self, msg: Small) -> Small:
        return msg

    @service.method
    async def nap(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @service.method
    async def hold(self, number: int) -> int:
        self.holding += 1
        await self.held.wait()
        self.holding -= 1
        return number

    @service.method
    async def take(self, body: str) -> int:
        return len(body)

    @service.method
    async def give(self, size: int) -> str:
        return "x" * size


def named(name: str) -> type[Work]:
    class Named(Work, service=name):
        pass

    return Named


class Load:
    """What the client of one process does, by the order's word."""

    def __init__(self, rpc: Rpc, work: Work) -> None:
        self._rpc = rpc
        self._work = work
        self._pending: list[asyncio.Task[None]] = []
        self._bare: list[asyncio.Future[None]] = []

    async def echo(self) -> None:
        await self._work.echo(SMALL)

    async def do(self, order: dict[str, Any]) -> dict[str, Any]:
        match order["do"]:
            case "together":
                call = self._nap if order.get("nap") else self.echo
                return await together(call, order["at_once"], order["seconds"])
            case "rate":
                return await at_rate(self.echo, order["rate"], order["seconds"])
            case "bodies":
                return await self._bodies(order["kinds"], order["at_once"], order["seconds"])
            case "tasks":
                return await self._bare_tasks(order["calls"])
            case "pend":
                return await self._pend(order["calls"])
            case "gather":
                return await self._gather()
            case unknown:
                raise ValueError(unknown)

    async def _nap(self) -> None:
        await self._work.nap(0.05)

    async def _bodies(self, kinds: list[str], at_once: int, seconds: float) -> dict[str, Any]:
        """Large calls, as many at once as the limits let in, and small ones beside them at a fixed rate."""
        body = "x" * LARGE
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "requests": lambda: self._work.take(body),
            "replies": lambda: self._work.give(LARGE),
        }
        large = asyncio.gather(*(together(calls[kind], at_once, seconds) for kind in kinds))
        small = await at_rate(self.echo, _SMALL_RATE, seconds)
        done = await large
        return {"large": sum(d["calls"] / d["seconds"] for d in done), "small": small["latencies"]}

    async def _bare_tasks(self, number: int) -> dict[str, Any]:
        """Tasks that await a future each: what the callers themselves take, with any RPC."""
        loop = asyncio.get_running_loop()
        self._bare = [loop.create_future() for _ in range(number)]

        async def wait(future: asyncio.Future[None]) -> None:
            await future

        self._pending = [asyncio.create_task(wait(future)) for future in self._bare]
        await asyncio.sleep(0.5)
        return {}

    async def _gather(self) -> dict[str, Any]:
        for future in self._bare:
            future.set_result(None)
        cpu, started = time.process_time(), time.perf_counter()
        await asyncio.gather(*self._pending)
        self._pending, self._bare = [], []
        return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}

    async def _pend(self, number: int) -> dict[str, Any]:
        """Returns when every request is written and none is answered."""
        started, cpu = time.perf_counter(), time.process_time()
        self._pending = [asyncio.create_task(self._call_hold(n)) for n in range(number)]
        dispatcher = self._rpc._calls.dispatcher  # type: ignore[union-attr]  # pyright: ignore
        while len(dispatcher) < number or not all(p.written for p in dispatcher._pending.values()):  # noqa: ASYNC110  # pyright: ignore
            await asyncio.sleep(0.2)
        return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}

    async def _call_hold(self, number: int) -> None:
        assert await self._work.hold(number) == number


async def together(call: Callable[[], Awaitable[object]], at_once: int, seconds: float) -> dict[str, Any]:
    """So many calls at once, each followed by the next, for so long."""
    calls, cpu, started = 0, time.process_time(), time.perf_counter()

    async def worker() -> None:
        nonlocal calls
        while time.perf_counter() < started + seconds:
            await call()
            calls += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return {"calls": calls, "seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}


async def at_rate(call: Callable[[], Awaitable[object]], rate: float, seconds: float) -> dict[str, Any]:
    """So many calls a second whatever becomes of them; a latency, in ms, counts from when the call was due."""
    latencies: list[float] = []
    running: set[asyncio.Task[None]] = set()
    cpu, started = time.process_time(), time.perf_counter()

    async def one(due: float) -> None:
        await call()
        latencies.append((time.perf_counter() - due) * 1000)

    made = 0
    while made < rate * seconds:
        while made < rate * seconds and (due := started + made / rate) <= time.perf_counter():
            task = asyncio.create_task(one(due))
            running.add(task)
            task.add_done_callback(running.discard)
            made += 1
        await asyncio.sleep(max(_TICK, started + made / rate - time.perf_counter()))
    with suppress(ValueError):  # none is left to wait for
        await asyncio.wait(running)
    return {"calls": len(latencies), "cpu": time.process_time() - cpu, "latencies": sorted(latencies)}
