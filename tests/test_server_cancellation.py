"""What cancels do on servers, on the real Kafka; client and server are two Rpcs of one process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from faststream.kafka import KafkaBroker

from real_kafka import FEW
from test_cancellation import own_tasks
from typedrpc import DeadlineExceeded, Limits, Rpc, Service, service

Unique = Callable[[str], str]

PATIENCE = 30.0

pytestmark = pytest.mark.kafka


class Notes:
    """What handlers met."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.release = asyncio.Event()

    async def until(self, **least: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while not all(self.counts[name] >= count for name, count in least.items()):  # noqa: ASYNC110  # many change it
                await asyncio.sleep(0.01)


def contract(name: str, notes: Notes, inner: Any = None) -> type[Any]:
    class Held(Service, service=name):
        @service.method
        async def hold(self) -> None:
            """Runs for ever, or calls what does."""
            notes.counts["began"] += 1
            try:
                await (inner.hold() if inner is not None else asyncio.Event().wait())
            except asyncio.CancelledError:
                notes.counts["cancelled"] += 1
                notes.counts[name] += 1
                raise

        @service.method
        async def swallow(self, number: int) -> int:
            notes.counts["began"] += 1
            while not notes.release.is_set():
                try:
                    await notes.release.wait()
                except asyncio.CancelledError:
                    notes.counts["swallowed"] += 1
            notes.counts["went on"] += 1
            return -number

        @service.method
        async def twice(self, number: int) -> int:
            await asyncio.sleep(0)
            return 2 * number

    return Held


@asynccontextmanager
async def serving(kafka: str, unique: Unique, **limits: Any) -> AsyncGenerator[tuple[Any, Notes, Rpc, Rpc]]:
    notes = Notes()
    held = contract(unique("held"), notes)
    server = Rpc(KafkaBroker(kafka, logger=None), topics=FEW, limits=Limits(drain_timeout=0.5, **limits))
    calling = Rpc(KafkaBroker(kafka, logger=None), topics=FEW)
    server.serve(held())
    async with server, calling:
        client = calling.client(held, timeout=PATIENCE)
        assert await client.twice(1) == 2
        yield client, notes, server, calling


async def ends_of(tasks: list[asyncio.Task[Any]]) -> Counter[str]:
    async with asyncio.timeout(PATIENCE):
        return Counter(type(end).__name__ for end in await asyncio.gather(*tasks, return_exceptions=True))


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_a_call_that_ends_ends_the_handlers_of_all_calls_nested_in_it(
    how: str, kafka: str, unique: Unique
) -> None:
    notes = Notes()
    names = [unique(f"depth{n}") for n in (3, 2, 1)]
    async with AsyncExitStack() as stack:
        inner: Any = None
        for name in names:  # each in an Rpc of its own, which calls the one before
            rpc = Rpc(KafkaBroker(kafka, logger=None), topics=FEW)
            held = contract(name, notes, inner)
            rpc.serve(held())
            await stack.enter_async_context(rpc)
            inner = rpc.client(held)
            assert await inner.twice(1) == 2  # the first call of a topic waits for its leaders
        outermost = inner.hold.with_options(timeout=60 if how == "cancelled" else 5.0)
        task = asyncio.create_task(outermost())
        await notes.until(began=3)
        if how == "cancelled":
            task.cancel()
        assert await ends_of([task]) == {"CancelledError" if how == "cancelled" else "DeadlineExceeded": 1}
        await notes.until(cancelled=3)
        assert notes.counts == {"began": 3, "cancelled": 3} | dict.fromkeys(names, 1)


async def test_a_server_that_is_full_obeys_cancels_and_takes_what_waits(kafka: str, unique: Unique) -> None:
    async with serving(kafka, unique, max_concurrency=2) as (client, notes, _, _):
        running = [asyncio.create_task(client.hold()) for _ in range(2)]
        await notes.until(began=2)
        waiting = [asyncio.create_task(client.twice(n)) for n in range(20)]
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in waiting)
        for task in running:
            task.cancel()
        await notes.until(cancelled=2)
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.gather(*waiting) == [2 * n for n in range(20)]


async def test_ten_thousand_cancels_leave_both_sides_as_they_were(kafka: str, unique: Unique) -> None:
    count = 10_000
    async with serving(kafka, unique, max_concurrency=1000) as (client, notes, server, calling):
        tasks_before = own_tasks()
        calls: list[asyncio.Task[Any]] = []
        for _ in range(100):
            calls += [asyncio.create_task(client.hold.with_options(timeout=300)()) for _ in range(count // 100)]
            await asyncio.sleep(0)
        await notes.until(began=1000)
        assert calling.pending_calls == count
        for task in calls:
            task.cancel()
        assert await ends_of(calls) == {"CancelledError": count}
        assert calling.pending_calls == 0
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.gather(*(client.twice(n) for n in range(300))) == [2 * n for n in range(300)]
            while own_tasks() > tasks_before:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.05)
        (served,) = server._served.values()  # pyright: ignore[reportPrivateUsage]
        assert notes.counts["began"] == notes.counts["cancelled"]
        assert 0 < served.cancelled <= count - notes.counts["began"]  # those in the queue never began


async def test_a_handler_that_swallows_its_cancel_holds_nobody_up_and_answers_nobody(
    kafka: str, unique: Unique
) -> None:
    async with serving(kafka, unique, max_concurrency=3) as (client, notes, _, calling):
        cancelled = asyncio.create_task(client.swallow(1))
        timed_out = asyncio.create_task(client.swallow.with_options(timeout=5)(2))
        await notes.until(began=2)
        cancelled.cancel()
        with pytest.raises(DeadlineExceeded):
            await timed_out
        await notes.until(swallowed=2)
        for n in range(10):
            assert await asyncio.gather(*(client.twice(n + m) for m in range(10))) == [2 * (n + m) for m in range(10)]
        notes.release.set()
        await notes.until(**{"went on": 2})
        assert await client.twice(5) == 10
        assert calling.pending_calls == 0
        assert await ends_of([cancelled]) == {"CancelledError": 1}
