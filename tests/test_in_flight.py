"""The bound on calls that wait for replies: who waits comes in, in turn."""

from __future__ import annotations

import asyncio
import time

import pytest

from typedrpc import Limits, Rpc, Service, Unavailable, service
from typedrpc.in_flight import InFlight

SMALL, LARGE = 64 * 1024, 800 * 1024


class Held(Service, service="held"):
    @service.method
    async def forever(self) -> None:
        await asyncio.Event().wait()

    @service.method
    async def soon(self) -> None:
        await asyncio.sleep(0.01)

    @service.method(oneway=True)
    async def note(self) -> None: ...


async def test_a_call_that_waits_is_let_in_before_one_that_comes_later() -> None:
    bound = InFlight(1, 100)
    bound.enter(1)
    waiting = asyncio.create_task(bound.wait(1))
    await asyncio.sleep(0)
    bound.leave(1)
    assert not bound.has_room(1)  # though its task had no turn yet
    await asyncio.wait_for(waiting, 1)


async def test_as_many_are_let_in_as_fit_where_a_large_one_leaves() -> None:
    bound = InFlight(10, 100)
    bound.enter(100)
    waiting = [asyncio.create_task(bound.wait(25)) for _ in range(5)]
    await asyncio.sleep(0)
    bound.leave(100)
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, True, True, True, False]
    bound.leave(25)
    await asyncio.wait_for(waiting[4], 1)


async def test_a_large_one_that_gives_up_lets_in_the_smaller_ones_behind_it() -> None:
    bound = InFlight(10, 100)
    bound.enter(50)
    large, small = asyncio.create_task(bound.wait(80)), asyncio.create_task(bound.wait(20))
    await asyncio.sleep(0)
    assert not small.done()  # the first comes in first
    large.cancel()
    await asyncio.wait_for(small, 1)


async def test_a_call_that_is_cancelled_when_it_was_just_let_in_gives_its_room_back() -> None:
    bound = InFlight(1, 100)
    bound.enter(1)
    first, second = asyncio.create_task(bound.wait(1)), asyncio.create_task(bound.wait(1))
    await asyncio.sleep(0)
    bound.leave(1)
    first.cancel()
    await asyncio.wait_for(second, 1)
    bound.leave(1)
    assert bound.has_room(1)


async def test_a_small_call_does_not_wait_behind_large_ones_that_wait_for_bytes() -> None:
    bound = InFlight(1000, 3 * LARGE)
    for _ in range(3):
        bound.enter(LARGE)
    bound.leave(LARGE)
    bound.enter(LARGE - 1000)  # almost full
    large = asyncio.create_task(bound.wait(LARGE))
    await asyncio.sleep(0)
    assert bound.has_room(100)
    await asyncio.wait_for(bound.wait(100), 1)
    assert not large.done()
    bound.leave(LARGE)
    await asyncio.wait_for(large, 1)


async def test_a_large_call_comes_in_though_small_ones_never_cease() -> None:
    bound = InFlight(1000, 2 * LARGE)
    bound.enter(LARGE)
    bound.enter(LARGE - SMALL)
    large = asyncio.create_task(bound.wait(LARGE))
    await asyncio.sleep(0)
    entered = 0
    while bound.has_room(SMALL):
        bound.enter(SMALL)
        entered += 1
    assert entered == 1  # as many as fit
    bound.leave(LARGE)  # the first that waits comes in, though small ones would fill it up
    await asyncio.wait_for(large, 1)


async def test_small_calls_leave_the_first_large_one_its_room_while_others_are_under_way() -> None:
    bound = InFlight(1000, 2 * LARGE)
    bound.enter(LARGE)
    bound.leave(LARGE)  # what has ended counts no more
    bound.enter(LARGE)
    for _ in range(3):
        bound.enter(SMALL)
    first = asyncio.create_task(bound.wait(2 * LARGE - 4 * SMALL))
    await asyncio.sleep(0)
    assert bound.has_room(SMALL)  # three and this one leave it its room, once the large one has left
    bound.enter(SMALL)
    assert not bound.has_room(SMALL)
    second = asyncio.create_task(bound.wait(SMALL))
    await asyncio.sleep(0)
    bound.leave(LARGE)
    await asyncio.wait_for(first, 1)
    assert not second.done()
    bound.leave(SMALL)
    await asyncio.wait_for(second, 1)


async def test_large_calls_do_not_keep_out_a_small_one_that_waits_for_its_turn() -> None:
    bound = InFlight(1, 100 * LARGE)
    bound.enter(LARGE)
    small, large = asyncio.create_task(bound.wait(1)), asyncio.create_task(bound.wait(LARGE))
    await asyncio.sleep(0)
    assert not bound.has_room(LARGE)
    bound.leave(LARGE)
    await asyncio.wait_for(small, 1)
    assert not large.done()


async def test_small_calls_that_wait_leave_the_first_large_one_its_room_when_another_large_one_gives_up() -> None:
    bound = InFlight(1000, 2 * LARGE)
    bound.enter(LARGE)
    for _ in range(3):
        bound.enter(SMALL)
    sizes = (2 * LARGE - 3 * SMALL, SMALL, LARGE)
    first, small, gives_up = [asyncio.create_task(bound.wait(size)) for size in sizes]
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.gather(gives_up, return_exceptions=True)
    await asyncio.sleep(0)
    assert not small.done()  # there is room for it now, but not for it and the first
    bound.leave(LARGE)
    await asyncio.wait_for(first, 1)
    bound.leave(SMALL)
    await asyncio.wait_for(small, 1)


async def test_small_calls_that_ended_take_no_room_of_those_that_pass_large_ones() -> None:
    bound = InFlight(1000, 2 * LARGE)
    for _ in range(100):
        bound.enter(SMALL)
        bound.leave(SMALL)
    bound.enter(LARGE)
    bound.enter(LARGE - SMALL)
    large = asyncio.create_task(bound.wait(LARGE))
    await asyncio.sleep(0)
    assert bound.has_room(SMALL)
    bound.leave(LARGE)
    await asyncio.wait_for(large, 1)


async def test_a_body_larger_than_the_bound_comes_in_alone() -> None:
    bound = InFlight(10, 100)
    assert bound.has_room(1000)
    bound.enter(1)
    large = asyncio.create_task(bound.wait(1000))
    await asyncio.sleep(0)
    assert not large.done()
    bound.leave(1)
    await asyncio.wait_for(large, 1)


async def test_calls_that_follow_on_one_another_do_not_keep_out_one_that_waits() -> None:
    rpc = Rpc.in_memory(limits=Limits(max_in_flight=2))
    rpc.serve(Held())
    async with rpc:
        held = rpc.client(Held)

        async def go_on() -> None:
            while True:
                await held.soon()

        busy = [asyncio.create_task(go_on()) for _ in range(2)]
        await asyncio.sleep(0.05)
        for _ in range(10):
            await held.soon.with_options(timeout=2)()
            await held.note.with_options(timeout=2)()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def test_calls_that_wait_for_room_end_with_unavailable_when_their_rpc_stops() -> None:
    rpc = Rpc.in_memory(limits=Limits(max_in_flight=1, drain_timeout=0.1))
    rpc.serve(Held())
    await rpc.start()
    waiting = [asyncio.create_task(rpc.client(Held).forever()) for _ in range(20)]
    await asyncio.sleep(0.1)
    await rpc.stop()
    began = time.monotonic()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert time.monotonic() - began < 1
    assert [type(end) for end in ends] == [Unavailable] * 20


@pytest.mark.parametrize("limits", [Limits(max_in_flight=3), Limits(max_in_flight_bytes=8)], ids=["calls", "bytes"])
async def test_many_calls_through_a_narrow_bound_all_come_to_their_end(limits: Limits) -> None:
    rpc = Rpc.in_memory(limits=limits)
    rpc.serve(Held())
    async with rpc:
        held = rpc.client(Held)
        async with asyncio.timeout(20):
            await asyncio.gather(*(held.soon() for _ in range(200)), *(held.note() for _ in range(200)))
