"""Calls that are cancelled, or whose deadline passes, at every moment of their lives: nothing leaks, the next ones work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from faststream.kafka import KafkaBroker

from interrupted import Clock, after_turns, at_suspension, cancel
from typedrpc import DeadlineExceeded, Limits, Retry, Rpc, Service, Topics, Unavailable, service

Call = Callable[["Scene"], Coroutine[Any, Any, object]]

TIMEOUT = 100.0  # of the calls that are to time out, the clock jumps by more
LONG = 1e6
PATIENCE = 20.0
TURNS = 400  # of the event loop; no call in memory takes so many
LARGE = "x" * 70_000  # over the 64 KiB from where on another producer sends


@dataclass
class Scene:
    """Clients of one Rpc; `held` keeps a handler running until it is set."""

    rpc: Rpc
    work: Any
    once: Any
    raw_topic: str
    held: asyncio.Event
    failed: set[int]


async def unary(scene: Scene) -> object:
    return await scene.work.twice.with_options(timeout=TIMEOUT)(21)


async def suspended(scene: Scene) -> object:
    return await scene.work.later.with_options(timeout=TIMEOUT)(21)


async def with_reply(scene: Scene) -> object:
    return (await scene.work.twice.with_options(timeout=TIMEOUT).with_reply(21)).value


async def keyed(scene: Scene) -> object:
    return await scene.work.twice.with_options(timeout=TIMEOUT, key="a key")(21)


async def oneway(scene: Scene) -> object:
    await scene.work.note.with_options(timeout=TIMEOUT)("a line")
    return 42


async def plain(scene: Scene) -> object:
    return int(await scene.rpc.request(scene.raw_topic, b"21", timeout=TIMEOUT))


async def retried(scene: Scene) -> object:
    number = len(scene.failed) + 1000
    return await scene.work.shaky.with_options(timeout=TIMEOUT)(number) - 2 * number + 42


async def large(scene: Scene) -> object:
    return await scene.work.length.with_options(timeout=TIMEOUT)(LARGE) - len(LARGE) + 42


async def at_most_once(scene: Scene) -> object:
    return await scene.once.twice.with_options(timeout=TIMEOUT)(21)


WAYS: list[Call] = [unary, suspended, with_reply, keyed, oneway, plain, retried, large, at_most_once]


@asynccontextmanager
async def running(rpc: Rpc, own: str = "") -> AsyncGenerator[Scene]:
    async with prepared(rpc, own) as scene, rpc:
        yield scene


@asynccontextmanager
async def prepared(rpc: Rpc, own: str = "") -> AsyncGenerator[Scene]:
    held, failed = asyncio.Event(), set[int]()

    class Work(Service, service=f"work{own}"):
        @service.method
        async def twice(self, number: int) -> int:
            return 2 * number

        @service.method
        async def later(self, number: int) -> int:
            for _ in range(3):
                await asyncio.sleep(0)
            return 2 * number

        @service.method
        async def hold(self) -> None:
            await held.wait()

        @service.method
        async def length(self, text: str) -> int:
            return len(text)

        @service.method(idempotent=True, retry=Retry(attempts=3, backoff=0.0))
        async def shaky(self, number: int) -> int:
            if number not in failed:
                failed.add(number)
                raise Unavailable("only once")
            return 2 * number

        @service.method(oneway=True)
        async def note(self, line: str) -> None: ...

    class Once(Service, service=f"once{own}", delivery="at_most_once"):
        @service.method
        async def twice(self, number: int) -> int:
            return 2 * number

    class Raw(Service, service=f"raw{own}"):
        @service.method
        async def back(self, body: bytes) -> bytes:
            return b"%d" % (2 * int(body))

    rpc.serve(Work(), Once(), Raw())
    yield Scene(rpc, rpc.client(Work), rpc.client(Once), f"raw{own}", held, failed)


def in_memory(**limits: int) -> Rpc:
    return Rpc.in_memory(topics=Topics(request_partitions=2, reply_partitions=2), limits=Limits(**limits))


def held_by(rpc: Rpc) -> dict[str, object]:
    """What calls leave behind; nothing, where all is well."""
    calls: Any = rpc._calls  # pyright: ignore[reportPrivateUsage]
    bounds, routes = calls._in_flight, calls._routes
    serving: Any = rpc._serving  # pyright: ignore[reportPrivateUsage]
    return {
        "pending": len(calls.dispatcher),
        "in flight": (bounds._calls, bounds._bytes, bounds._large_bytes, len(bounds._small) + len(bounds._large)),
        "outstanding": sum(sum(r.outstanding) for r in [*routes._routes.values(), *routes._doubted.values()]),
        "opening": len(routes._opening),
        "handlers": sum(len(server._execution._running) for server in serving._servers.values()),
    }


NOTHING = {"pending": 0, "in flight": (0, 0, 0, 0), "outstanding": 0, "opening": 0, "handlers": 0}


async def assert_nothing_is_left(scene: Scene, way: Call, tasks: int) -> None:
    async def until(condition: Callable[[], bool]) -> bool:
        for _ in range(500):
            if condition():
                return True
            await asyncio.sleep(0.001)
        return False

    calls: Any = scene.rpc._calls  # pyright: ignore[reportPrivateUsage]
    assert len(calls.dispatcher) == 0  # at once, however the call ended
    await until(lambda: held_by(scene.rpc) == NOTHING)
    assert held_by(scene.rpc) == NOTHING
    assert await way(scene) == 42
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert len(asyncio.all_tasks()) <= tasks, asyncio.all_tasks()
    assert held_by(scene.rpc) == NOTHING


def assert_timely(way: Call, end: object) -> None:
    """How a call may end whose deadline passed meanwhile: the reply may be there first."""
    if way is retried and isinstance(end, Unavailable):
        return  # the error of an attempt after which no time was left
    assert end == 42 or isinstance(end, DeadlineExceeded), end


async def tasks_after(way: Call) -> int:
    """How many tasks there are after a call that nothing befell."""
    async with running(in_memory()) as scene:
        assert await way(scene) == 42
        return len(asyncio.all_tasks())


@pytest.mark.parametrize("cut", [at_suspension, after_turns])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("warm", [False, True], ids=["first call", "later call"])
async def test_a_call_that_is_cancelled_at_any_moment_leaves_nothing(way: Call, warm: bool, cut: Any) -> None:
    tasks = await tasks_after(way)
    for n in range(1, TURNS):
        async with running(in_memory()) as scene:
            if warm:
                assert await way(scene) == 42
            bystander = asyncio.create_task(scene.work.twice(4))
            end, interrupted = await cut(way(scene), n, cancel)
            assert await bystander == 8
            if not interrupted:
                assert end == 42
                assert n > 1
                return
            assert isinstance(end, asyncio.CancelledError), (n, end)
            await assert_nothing_is_left(scene, way, tasks)
    pytest.fail("the call never ended by itself")


@pytest.mark.parametrize("cut", [at_suspension, after_turns])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("warm", [False, True], ids=["first call", "later call"])
async def test_a_call_whose_deadline_passes_at_any_moment_leaves_nothing(way: Call, warm: bool, cut: Any) -> None:
    tasks = await tasks_after(way)
    timed_out = 0
    for n in range(1, TURNS):
        with Clock() as clock:
            async with running(in_memory()) as scene:
                if warm:
                    assert await way(scene) == 42
                bystander = asyncio.create_task(scene.work.twice.with_options(timeout=LONG)(4))
                end, interrupted = await cut(way(scene), n, clock.jump)
                assert await bystander == 8
                if not interrupted:
                    assert end == 42
                    assert timed_out
                    return
                timed_out += isinstance(end, DeadlineExceeded)
                assert_timely(way, end)
                await assert_nothing_is_left(scene, way, tasks)
    pytest.fail("the call never ended by itself")


CROWDED = [unary, keyed, oneway, plain, retried, large]
ROOM = [
    *((way, {"max_in_flight_bytes": 1}) for way in CROWDED),
    *((way, {"max_in_flight": 1}) for way in CROWDED if way is not retried),  # so few may make one retry only
]


@asynccontextmanager
async def crowded(rpc: Rpc) -> AsyncGenerator[tuple[Scene, Callable[[], Awaitable[None]]]]:
    """One call takes all the room until a few turns later; the second value waits for it, and for more behind it."""
    async with running(rpc) as scene:
        for way in CROWDED:
            assert await way(scene) == 42
        patient = scene.work.twice.with_options(timeout=LONG)
        holder = asyncio.create_task(scene.work.hold.with_options(timeout=LONG)())
        await asyncio.sleep(0)
        behind: list[asyncio.Task[int]] = []

        async def release() -> None:
            for turn in range(8):
                if turn == 1:  # behind the call that is cut short
                    behind.extend(asyncio.create_task(patient(4)) for _ in range(3))
                await asyncio.sleep(0)
            scene.held.set()

        releasing = asyncio.create_task(release())

        async def finish() -> None:
            await releasing
            async with asyncio.timeout(PATIENCE):
                await holder
                assert await asyncio.gather(*behind) == [8, 8, 8]

        yield scene, finish


@pytest.mark.parametrize("cut", [at_suspension, after_turns])
@pytest.mark.parametrize(("way", "limits"), ROOM)
async def test_a_call_that_is_cancelled_while_it_waits_for_room_lets_the_ones_behind_it_in(
    way: Call, cut: Any, limits: dict[str, int]
) -> None:
    for n in range(1, TURNS):
        async with crowded(in_memory(**limits)) as (scene, finish):
            end, interrupted = await cut(way(scene), n, cancel)
            await finish()
            if not interrupted:
                assert end == 42
                return
            assert isinstance(end, asyncio.CancelledError), (n, end)
            await assert_nothing_is_left(scene, way, len(asyncio.all_tasks()))
    pytest.fail("the call never ended by itself")


@pytest.mark.parametrize("cut", [at_suspension, after_turns])
@pytest.mark.parametrize(("way", "limits"), ROOM)
async def test_a_call_whose_deadline_passes_while_it_waits_for_room_lets_the_ones_behind_it_in(
    way: Call, cut: Any, limits: dict[str, int]
) -> None:
    for n in range(1, TURNS):
        with Clock() as clock:
            async with crowded(in_memory(**limits)) as (scene, finish):
                end, interrupted = await cut(way(scene), n, clock.jump)
                await finish()
                if not interrupted:
                    assert end == 42
                    return
                assert_timely(way, end)
                await assert_nothing_is_left(scene, way, len(asyncio.all_tasks()))
    pytest.fail("the call never ended by itself")


@pytest.mark.parametrize("cut", [at_suspension, after_turns])
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_is_cancelled_while_the_rpc_starts_leaves_nothing(way: Call, cut: Any) -> None:
    tasks = await tasks_after(way)
    for n in range(1, TURNS):
        rpc = in_memory()
        async with prepared(rpc) as scene:
            starting = asyncio.create_task(rpc.start())
            await asyncio.sleep(0)
            end, interrupted = await cut(way(scene), n, cancel)
            await starting
            try:
                if not interrupted:
                    assert end == 42
                    return
                assert isinstance(end, asyncio.CancelledError), (n, end)
                await assert_nothing_is_left(scene, way, tasks)
            finally:
                await rpc.stop()
    pytest.fail("the call never ended by itself")


def own_tasks() -> int:
    """Without those of aiokafka, which come and go."""
    coroutines: list[Any] = [task.get_coro() for task in asyncio.all_tasks()]
    return sum("aiokafka" not in coroutine.cr_code.co_filename for coroutine in coroutines)


async def after_a_while(call: Coroutine[Any, Any, object], seconds: float) -> object:
    task = asyncio.ensure_future(call)
    await asyncio.sleep(seconds)
    task.cancel()
    ends: Sequence[object] = await asyncio.gather(task, return_exceptions=True)
    return ends[0]


@pytest.mark.kafka
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_is_cut_short_on_kafka_leaves_nothing(
    way: Call, broker: KafkaBroker, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(Rpc(broker, topics=Topics(request_partitions=2)), unique("")) as scene:
        end: object = None
        ends: list[object] = []
        for n in range(1, 50):  # the first one opens topics, and of the plain ones replies
            end, interrupted = await at_suspension(way(scene), n, cancel)
            if not interrupted:
                break
            ends.append(end)
        assert end == 42
        tasks = own_tasks()
        ends += [await after_a_while(way(scene), seconds) for seconds in (0.0, 0.001, 0.003, 0.01)]
        assert all(end == 42 or isinstance(end, asyncio.CancelledError) for end in ends), ends
        for seconds in (0.001, 0.003, 0.01):
            monkeypatch.setattr("test_cancellation.TIMEOUT", seconds)
            late: Sequence[object] = await asyncio.gather(way(scene), return_exceptions=True)
            assert_timely(way, late[0])
        monkeypatch.undo()
        async with asyncio.timeout(PATIENCE):
            while held_by(scene.rpc) != NOTHING or own_tasks() > tasks:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.01)
        assert await way(scene) == 42
