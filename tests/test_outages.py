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


class Work(Service, service="work"):
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.finish = asyncio.Event()
        self.running = 0

    @service.method
    async def twice(self, number: int) -> int:
        return 2 * number

    @service.method(timeout=60)
    async def wait(self) -> str:
        self.started.set()
        self.running += 1
        try:
            await self.finish.wait()
        finally:
            self.running -= 1
        return "done"


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


async def test_an_rpc_that_starts_before_its_kafka_works_once_that_is_up(node: Any) -> None:
    node.kill()
    rpc = make_rpc(node, start_timeout=60)
    rpc.serve(Work())
    starting = asyncio.create_task(rpc.start())
    await asyncio.sleep(2)
    assert not starting.done()
    early = asyncio.create_task(rpc.client(Work).twice.with_options(timeout=60)(4))
    await asyncio.to_thread(node.start)
    await asyncio.wait_for(starting, 60)
    assert await rpc.client(Work).twice(21) == 42
    assert await early == 8
    await rpc.stop()


@pytest.mark.parametrize("outage", ["kill", "freeze"])
async def test_a_stop_without_kafka_is_bounded_and_ends_what_is_pending(node: Any, outage: str) -> None:
    rpc, work = make_rpc(node, drain_timeout=2), Work()
    rpc.serve(work)
    await rpc.start()
    pending = asyncio.create_task(rpc.client(Work).wait())
    await asyncio.wait_for(work.started.wait(), 20)
    getattr(node, outage)()
    written_to_nobody = asyncio.create_task(rpc.client(Work).twice(21))
    await asyncio.sleep(0.5)
    started = time.monotonic()
    await rpc.stop()
    took = time.monotonic() - started
    ended = await asyncio.gather(pending, written_to_nobody, return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in ended), ended
    assert took < 2 + 15, took
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


async def test_a_call_outlasts_a_broker_that_stands_still_for_longer_than_a_request_to_it_may_take(node: Any) -> None:
    rpc = make_rpc(node)
    rpc.serve(Work())
    async with rpc:
        assert await rpc.client(Work).twice(21) == 42
        node.freeze()
        call = asyncio.create_task(rpc.client(Work).twice.with_options(timeout=30)(21))
        await asyncio.sleep(5)
        assert not call.done()
        node.resume()
        assert await call == 42


async def test_after_an_outage_calls_work_again_by_themselves(node: Any) -> None:
    rpc = make_rpc(node)
    rpc.serve(Work())
    twice = rpc.client(Work).twice.with_options(timeout=1)
    async with rpc:
        assert await twice(21) == 42
        node.kill()
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(RpcError):
                await twice(21)
            assert time.monotonic() - started < 2
        await asyncio.to_thread(node.start)
        await answered(lambda: twice(21), within=12)


async def test_a_call_that_timed_out_before_its_request_was_written_does_not_run_on(node: Any) -> None:
    rpc, work = make_rpc(node), Work()
    rpc.serve(work)
    async with rpc:
        assert await rpc.client(Work).twice(21) == 42
        node.freeze()
        with pytest.raises(DeadlineExceeded):
            await rpc.client(Work).wait.with_options(timeout=8)()
        node.resume()
        await answered(lambda: rpc.client(Work).twice.with_options(timeout=1)(21), within=12)
        async with asyncio.timeout(4):  # its deadline would end it after 8
            while work.running:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def answered(call: Callable[[], Any], within: float) -> None:
    """Tries until the call succeeds; fails after so many seconds."""
    async with asyncio.timeout(within):
        while True:
            try:
                assert await call() == 42
            except RpcError:
                await asyncio.sleep(0.05)
            else:
                return
