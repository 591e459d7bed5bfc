"""What befalls a process of ours: dead tasks of aiokafka, a blocked event loop, a wrong clock, a storm of rebalances."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from faststream.kafka import KafkaBroker

from real_kafka import FEW
from steady import BOUND, DROPPED, Numbers, Steady, named, running
from typedrpc import DeadlineExceeded, Rpc, Unavailable, service

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(120), DROPPED]

BLOCK = 15.0


@pytest.fixture
def numbers(unique: Callable[[str], str]) -> type[Numbers]:
    return named(unique("numbers"))


@asynccontextmanager
async def served_elsewhere(kafka: str, numbers: type[Numbers]) -> AsyncGenerator[asyncio.AbstractEventLoop]:
    """A server on an event loop and thread of its own."""
    serving: asyncio.Future[asyncio.AbstractEventLoop] = asyncio.get_running_loop().create_future()
    here, stop = asyncio.get_running_loop(), asyncio.Event()

    async def serve() -> None:
        rpc = Rpc(KafkaBroker(kafka, logger=None), topics=FEW)
        rpc.serve(numbers())
        async with rpc:
            here.call_soon_threadsafe(serving.set_result, asyncio.get_running_loop())
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="server")
    thread.start()
    there = await asyncio.wait_for(serving, 30)
    try:
        yield there
    finally:
        there.call_soon_threadsafe(stop.set)
        await asyncio.to_thread(thread.join, 30)


@pytest.mark.parametrize(
    "routine",
    [
        "Fetcher._fetch_requests_routine",
        "GroupCoordinator._coordination_routine",
        "AIOKafkaClient._md_synchronizer",
    ],
)
async def test_calls_go_on_after_tasks_of_aiokafka_died(kafka: str, numbers: type[Numbers], routine: str) -> None:
    async with running(kafka, FEW, numbers) as (_, calling), Steady(calling.client(numbers)) as steady:
        await asyncio.sleep(1)
        since = time.monotonic()
        struck = [t for t in asyncio.all_tasks() if getattr(t.get_coro(), "__qualname__", "") == routine]
        assert struck
        for task in struck:
            task.cancel()
        await steady.until_good(since)
    recovery = steady.recovery(since)
    assert recovery.last_bad < BOUND, recovery
    assert recovery.lapses == [], recovery


async def test_calls_go_on_after_the_servers_event_loop_was_blocked(kafka: str, numbers: type[Numbers]) -> None:
    async with (
        served_elsewhere(kafka, numbers) as there,
        Rpc(KafkaBroker(kafka, logger=None), topics=FEW) as rpc,
        Steady(rpc.client(numbers)) as steady,
    ):
        await asyncio.sleep(1)
        there.call_soon_threadsafe(time.sleep, BLOCK)
        since = time.monotonic() + BLOCK
        await asyncio.sleep(BLOCK)
        await steady.until_good(since)
    recovery = steady.recovery(since)
    assert recovery.last_bad < BOUND, recovery
    assert recovery.lapses == [], recovery


async def test_calls_go_on_after_the_clients_event_loop_was_blocked(kafka: str, numbers: type[Numbers]) -> None:
    async with served_elsewhere(kafka, numbers), Rpc(KafkaBroker(kafka, logger=None), topics=FEW) as rpc:
        twice = rpc.client(numbers).twice.with_options(timeout=2)
        assert await twice(1) == 2
        under_way = [asyncio.create_task(twice(number)) for number in range(100)]
        await asyncio.sleep(0)
        time.sleep(BLOCK)  # noqa: ASYNC251  # what is tested
        since = time.monotonic()
        async with asyncio.timeout(10):  # good: less than one, for their deadlines have passed; bad: never
            ends = await asyncio.gather(*under_way, return_exceptions=True)
        assert all(end == 2 * n or isinstance(end, (DeadlineExceeded, Unavailable)) for n, end in enumerate(ends)), ends
        async with Steady(rpc.client(numbers)) as steady:
            await steady.until_good(since)
    recovery = steady.recovery(since)
    assert recovery.last_bad < BOUND, recovery
    assert recovery.lapses == [], recovery


@pytest.mark.parametrize("skew", [60, -60])
@pytest.mark.parametrize("side", ["server", "client"])
async def test_a_clock_that_is_a_minute_off_costs_no_call(
    kafka: str, numbers: type[Numbers], monkeypatch: pytest.MonkeyPatch, side: str, skew: int
) -> None:
    """One event loop and thread is as good as a process: aiokafka takes the time where its loop runs."""
    clock = time.time
    wrong = side == "server"
    monkeypatch.setattr(time, "time", lambda: clock() + skew * ((threading.current_thread().name == "server") == wrong))
    async with (
        served_elsewhere(kafka, numbers),
        Rpc(KafkaBroker(kafka, logger=None), topics=FEW) as rpc,
        Steady(rpc.client(numbers), timeout=10) as steady,  # far from a minute, and from a pause of a busy machine
    ):
        await asyncio.sleep(3)
    assert len(steady.fates) > 10
    assert all(fate.good for fate in steady.fates)


async def test_a_storm_of_rebalances_stalls_no_call_for_a_slow_handlers_time(
    kafka: str, unique: Callable[[str], str]
) -> None:
    handler_time = 12.0

    class Mixed(Numbers, service=unique("mixed")):
        @service.method(timeout=40)
        async def wait(self) -> str:
            await asyncio.sleep(handler_time)
            return "done"

    def server() -> Rpc:
        rpc = Rpc(KafkaBroker(kafka, logger=None), topics=FEW)
        rpc.serve(Mixed())
        return rpc

    async with server(), Rpc(KafkaBroker(kafka, logger=None), topics=FEW) as calling:
        await calling.client(Mixed).twice(1)
        async with Steady(calling.client(Mixed), timeout=handler_time) as steady, asyncio.TaskGroup() as group:
            slow = [group.create_task(calling.client(Mixed).wait()) for _ in range(20)]
            for _ in range(4):
                other = server()
                await other.start()
                slow += [group.create_task(calling.client(Mixed).wait()) for _ in range(20)]
                await asyncio.sleep(1)
                group.create_task(other.stop())
                await asyncio.sleep(1)
    assert {task.result() for task in slow} == {"done"}
    assert all(fate.good for fate in steady.fates)
    slowest = max(fate.ended - fate.began for fate in steady.fates)
    # good: 2, two rebalances that each wait for a heartbeat; bad: 11, where a rebalance waits for the handlers
    assert slowest < handler_time * 2 / 3, slowest
