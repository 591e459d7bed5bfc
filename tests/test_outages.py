"""Kafka that is not there: before the start, at the stop, and in between. On a broker of this module's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from faststream.kafka import KafkaBroker

from real_kafka import FEW, kafka_script
from typedrpc import DeadlineExceeded, Limits, Rpc, RpcError, Service, Unavailable, service

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(120)]


class Work(Service):
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.finish = asyncio.Event()
        self.running = 0
        self.ran: list[float] = []  # seconds of each run of `wait` that ended

    @service.method
    async def twice(self, number: int) -> int:
        return 2 * number

    @service.method(timeout=60)
    async def wait(self) -> str:
        began = time.monotonic()
        self.started.set()
        self.running += 1
        try:
            await self.finish.wait()
        finally:
            self.running -= 1
            self.ran.append(time.monotonic() - began)
        return "done"


@pytest.fixture
def contract(unique: Callable[[str], str]) -> type[Work]:
    """The service under a name of the test's own: what it leaves in the topic runs in no later one."""

    class Named(Work, service=unique("work")):
        pass

    return Named


@pytest.fixture(scope="module")
def cluster() -> Generator[Any]:
    with kafka_script().Cluster() as cluster:
        yield cluster


@pytest.fixture
def node(cluster: Any) -> Generator[Any]:
    """The only broker; it runs again after the test."""
    (node,) = cluster.nodes
    yield node
    node.resume()
    if not node.running:
        node.start()


def make_rpc(node: Any, **limits: float) -> Rpc:
    return Rpc(KafkaBroker(f"127.0.0.1:{node.port}", logger=None), topics=FEW, limits=Limits(**limits))  # type: ignore[arg-type]


async def test_an_rpc_that_starts_before_its_kafka_works_once_that_is_up(node: Any, contract: type[Work]) -> None:
    node.kill()
    rpc = make_rpc(node, start_timeout=60)
    rpc.serve(contract())
    starting = asyncio.create_task(rpc.start())
    await asyncio.sleep(2)
    assert not starting.done()
    early = asyncio.create_task(rpc.client(contract).twice.with_options(timeout=60)(4))
    await asyncio.to_thread(node.start)
    await asyncio.wait_for(starting, 60)
    assert await rpc.client(contract).twice(21) == 42
    assert await early == 8
    await rpc.stop()


@pytest.mark.parametrize("outage", ["kill", "freeze"])
async def test_a_stop_without_kafka_is_bounded_and_ends_what_is_pending(
    node: Any, contract: type[Work], outage: str
) -> None:
    rpc, work = make_rpc(node, drain_timeout=2), contract()
    rpc.serve(work)
    await rpc.start()
    pending = asyncio.create_task(rpc.client(contract).wait())
    await asyncio.wait_for(work.started.wait(), 20)
    getattr(node, outage)()
    written_to_nobody = asyncio.create_task(rpc.client(contract).twice.with_options(timeout=60)(21))
    await asyncio.sleep(0.5)
    started = time.monotonic()
    await rpc.stop()
    took = time.monotonic() - started
    ended = await asyncio.gather(pending, written_to_nobody, return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in ended), ended
    # Good: 11 to 15. Bad: 40, aiokafka's own request time-out; 60, until the calls' deadlines; or never.
    assert took < 25, took
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


async def test_a_call_outlasts_a_broker_that_stands_still_for_longer_than_a_request_to_it_may_take(
    node: Any, contract: type[Work]
) -> None:
    rpc = make_rpc(node)
    rpc.serve(contract())
    async with rpc:
        assert await rpc.client(contract).twice(21) == 42
        node.freeze()
        call = asyncio.create_task(rpc.client(contract).twice.with_options(timeout=30)(21))
        await asyncio.sleep(5)
        assert not call.done()
        node.resume()
        assert await call == 42


async def test_after_an_outage_calls_work_again_by_themselves(node: Any, contract: type[Work]) -> None:
    rpc = make_rpc(node)
    rpc.serve(contract())
    twice = rpc.client(contract).twice.with_options(timeout=1)
    took: list[float] = []
    async with rpc:
        assert await rpc.client(contract).twice(21) == 42  # it may be the first call of a broker that has just started
        node.kill()
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(RpcError):
                await twice(21)
            took.append(time.monotonic() - started)
        # Good: 1 each, and up to 3 where the machine stands still. Bad: 3, the time-out of a request, for all of them.
        assert min(took) < 2, took
        assert max(took) < 5, took
        await asyncio.to_thread(node.start)
        await answered(lambda: twice(21))


async def test_a_call_that_timed_out_before_its_request_was_written_does_not_run_on(
    node: Any, contract: type[Work]
) -> None:
    rpc, work = make_rpc(node), contract()
    rpc.serve(work)
    async with rpc:
        assert await rpc.client(contract).twice(21) == 42
        node.freeze()
        with pytest.raises(DeadlineExceeded):
            await rpc.client(contract).wait.with_options(timeout=8)()
        node.resume()
        await answered(lambda: rpc.client(contract).twice.with_options(timeout=1)(21))
        async with asyncio.timeout(20):
            while work.running:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert max(work.ran, default=0) < 5  # good: nearly nothing; bad: 8, when its deadline ends it


async def answered(call: Callable[[], Any]) -> None:
    """Tries until the call succeeds. Good: in a second or a few, of a JVM that has just started. Bad: never."""
    async with asyncio.timeout(30):
        while True:
            try:
                assert await call() == 42
            except RpcError:
                await asyncio.sleep(0.05)
            else:
                return
