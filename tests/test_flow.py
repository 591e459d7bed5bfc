"""What a server takes on: a backlog of requests that nobody waits for, and deadlines by a clock that may be set."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from typedrpc import Limits, Rpc, Service, Topics, service
from typedrpc.transport.kafka.outbox import Clock
from typedrpc.transport.memory import MemoryTransport


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_a_server_works_through_a_backlog_of_expired_requests_without_running_or_keeping_them(kafka: str) -> None:
    command = [sys.executable, "-m", "benchmarks.backlog", "--records", "100000", "--json"]
    root = Path(__file__).parent.parent
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=150, cwd=root).stdout
    figures = json.loads(out.splitlines()[-1])
    assert figures["expired requests skipped"] == 100_000
    assert figures["handlers run"] == 200  # of the fresh calls behind them
    # Good: over 80,000 alone on two cores, and a tenth of it where others run too. That each is passed over and none runs
    # is what the counts prove; bad is a wait for each, as for a reply to be written: a few hundred.
    assert figures["records/s"] > 2_000
    assert figures["RSS peak, MiB"] - figures["RSS before, MiB"] < 80


def clock_error(clock: Clock) -> float:
    """Milliseconds that the clock is ahead of the one that told the last sample."""
    told = clock.broker_time()
    assert told is not None
    return told - time.monotonic() * 1000


def test_of_a_steady_clock_the_quickest_sample_counts() -> None:
    clock, now = Clock(), time.monotonic()
    clock.sample(now, now + 0.200, int(now * 1000) + 10)  # known to 100 ms
    clock.sample(now + 1, now + 1.002, int(now * 1000) + 1001)
    clock.sample(now + 2, now + 2.200, int(now * 1000) + 2190)
    assert abs(clock_error(clock)) < 5


@pytest.mark.parametrize("step", [-60_000, 60_000, -2_000])
def test_a_brokers_clock_that_is_set_is_known_by_the_next_sample(step: int) -> None:
    clock, now = Clock(), time.monotonic()
    clock.sample(now, now + 0.001, int(now * 1000))
    clock.sample(now + 1, now + 1.050, int(now * 1000) + 1025 + step)  # slower, and yet it counts
    assert abs(clock_error(clock) - step) < 60


async def test_calls_are_answered_though_the_clock_was_set_back_while_nobody_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In memory, with a clock that goes on a minute ahead until a record is acknowledged."""

    class Work(Service, service="work"):
        @service.method
        async def do(self) -> int:
            return 1

    rpc = Rpc.in_memory(timeout=2, topics=Topics(request_partitions=1))
    rpc.serve(Work())
    ahead = 0.0
    send = MemoryTransport.send

    def acknowledged(self: MemoryTransport, topic: str, *rest: object, **named: object) -> None:
        nonlocal ahead
        if topic == "rpc.cancels":
            ahead = 0.0
        send(self, topic, *rest, **named)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def broker_time(self: MemoryTransport) -> float:
        return time.time() * 1000 + ahead

    monkeypatch.setattr(MemoryTransport, "send", acknowledged)
    monkeypatch.setattr(MemoryTransport, "broker_time", broker_time)
    async with rpc:
        await asyncio.sleep(1.1)  # the clock was asked at the start
        ahead = 60_000.0
        assert await rpc.client(Work).do() == 1


@pytest.mark.parametrize("bound", [{"max_concurrency": 5}, {"max_concurrency_bytes": 5_000}])
async def test_a_service_that_is_full_does_not_slow_another_one_of_the_process(
    make_rpc: Callable[..., Rpc], unique: Callable[[str], str], bound: dict[str, int]
) -> None:
    running = 0

    class Slow(Service, service=unique("slow")):
        @service.method
        async def wait(self, text: str) -> None:
            nonlocal running
            running += 1
            await asyncio.sleep(60)

    class Quick(Service, service=unique("quick")):
        @service.method
        async def twice(self, number: int) -> int:
            await asyncio.sleep(0)
            return 2 * number

    rpc = make_rpc(limits=Limits(**bound, drain_timeout=0))
    rpc.serve(Slow(), Quick())
    async with rpc:
        waiting = [asyncio.create_task(rpc.client(Slow).wait("x" * 1_000)) for _ in range(50)]
        async with asyncio.timeout(10):
            while running < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert running in (4, 5)
        started = time.monotonic()
        assert await asyncio.gather(*(rpc.client(Quick).twice(n) for n in range(200))) == [2 * n for n in range(200)]
        assert time.monotonic() - started < 5
        assert running in (4, 5)
    await asyncio.gather(*waiting, return_exceptions=True)
