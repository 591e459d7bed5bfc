"""Each reply to its own call, once; every call ends; nothing stays in the table."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typedrpc.dispatcher import Deadlines, Dispatcher, Pending
from typedrpc.errors import Unavailable

LATE = 5.0
"""Seconds that a deadline may fire late on a slow machine; 0.02 is meant."""


def in_s(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def settled(pending: Pending[str]) -> str:
    try:
        return await pending.future
    except (TimeoutError, Unavailable) as error:
        return type(error).__name__


async def test_each_reply_reaches_its_own_call_in_any_order() -> None:
    dispatcher = Dispatcher[str]()
    calls = [dispatcher.open(in_s(10)) for _ in range(100)]
    for call in reversed(calls):
        assert dispatcher.resolve(call.correlation_id, call.correlation_id.decode())
    for call in calls:
        assert await call.future == call.correlation_id.decode()
    assert len(dispatcher) == 0
    assert (dispatcher.late, dispatcher.foreign) == (0, 0)
    dispatcher.stop()


async def test_ids_are_unique_among_calls_and_processes() -> None:
    one, other = Dispatcher[str](), Dispatcher[str]()
    ids = {d.new_id() for d in (one, other) for _ in range(1000)}
    assert len(ids) == 2000
    assert one.nonce != other.nonce
    assert len(one.nonce) == 32
    assert one.open(in_s(10)).correlation_id not in ids


async def test_a_second_reply_is_late_and_changes_nothing() -> None:
    dispatcher = Dispatcher[str]()
    call = dispatcher.open(in_s(10))
    assert dispatcher.resolve(call.correlation_id, "first")
    assert not dispatcher.resolve(call.correlation_id, "second")
    assert await call.future == "first"
    assert (dispatcher.late, dispatcher.foreign) == (1, 0)
    dispatcher.stop()


async def test_replies_to_others_are_foreign() -> None:
    dispatcher, other = Dispatcher[str](), Dispatcher[str]()
    call = dispatcher.open(in_s(10))
    for correlation_id in (other.open(in_s(10)).correlation_id, b"", b"\xff", call.correlation_id[:31], b"x" * 9999):
        assert not dispatcher.resolve(correlation_id, "not yours")
    assert (dispatcher.late, dispatcher.foreign) == (0, 5)
    assert not call.future.done()
    dispatcher.stop()
    other.stop()


async def test_a_reply_after_close_is_late() -> None:
    dispatcher = Dispatcher[str]()
    call = dispatcher.open(in_s(10))
    dispatcher.close(call)
    dispatcher.close(call)
    assert not dispatcher.resolve(call.correlation_id, "too late")
    assert (dispatcher.late, len(dispatcher)) == (1, 0)
    dispatcher.stop()


async def test_a_deadline_fires_after_its_time_and_soon() -> None:
    dispatcher = Dispatcher[str]()
    deadline = in_s(0.1)
    call = dispatcher.open(deadline)
    with pytest.raises(TimeoutError):
        await call.future
    assert deadline <= asyncio.get_running_loop().time() <= deadline + LATE
    assert not dispatcher.resolve(call.correlation_id, "too late")
    assert (dispatcher.late, len(dispatcher)) == (1, 0)
    dispatcher.stop()


async def test_a_deadline_that_has_passed_already_fires_soon() -> None:
    dispatcher = Dispatcher[str]()
    call = dispatcher.open(in_s(-1))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(call.future), LATE)
    dispatcher.stop()


async def test_mixed_deadlines_fire_each_at_its_own_time() -> None:
    dispatcher = Dispatcher[str]()
    loop = asyncio.get_running_loop()
    fired: dict[int, float] = {}
    calls: list[Pending[str]] = []
    for index, seconds in enumerate([0.4, 0.05, 0.3, 60.0, 0.05, 0.2, 0.1, 0.35, 60.0, 0.06]):
        call = dispatcher.open(in_s(seconds))
        call.future.add_done_callback(lambda _, index=index: fired.setdefault(index, loop.time()))  # type: ignore[misc]
        calls.append(call)
    short = [call for call in calls if call.deadline < in_s(10)]
    outcome = await asyncio.gather(*(call.future for call in short), return_exceptions=True)
    assert all(isinstance(error, TimeoutError) for error in outcome)
    for index, at in fired.items():
        assert calls[index].deadline <= at <= calls[index].deadline + LATE
    assert len(fired) == 8
    assert len(dispatcher) == 2
    for call in calls:
        dispatcher.resolve(call.correlation_id, "in time")
    dispatcher.stop()


async def test_an_early_deadline_is_met_though_a_sweep_has_just_been() -> None:
    dispatcher = Dispatcher[str]()
    for _ in range(5):
        call = dispatcher.open(in_s(0.01))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(call.future), LATE)
    assert len(dispatcher) == 0
    dispatcher.stop()


async def test_ten_thousand_calls_expire_at_once_and_leave_an_empty_table() -> None:
    dispatcher = Dispatcher[str]()
    deadline = in_s(0.3)
    calls = [dispatcher.open(deadline) for _ in range(10_000)]
    answered, waiting = calls[::100], [call for index, call in enumerate(calls) if index % 100]
    for call in answered:
        dispatcher.resolve(call.correlation_id, "in time")
    outcome = await asyncio.gather(*(call.future for call in waiting), return_exceptions=True)
    assert all(isinstance(error, TimeoutError) for error in outcome)
    assert deadline <= asyncio.get_running_loop().time() <= deadline + 2 * LATE
    assert {await call.future for call in answered} == {"in time"}
    assert len(dispatcher) == 0
    dispatcher.stop()


async def test_thousands_of_deadlines_all_different_leave_the_loop_responsive() -> None:
    dispatcher = Dispatcher[str]()
    calls = [dispatcher.open(in_s(0.0001 * index)) for index in range(5_000)]
    worst, done = 0.0, asyncio.gather(*(call.future for call in calls), return_exceptions=True)
    while not done.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        worst = max(worst, time.thread_time() - before)
        await asyncio.sleep(0.001)
    assert worst < 1.0  # of this thread's own time
    assert len(dispatcher) == 0
    dispatcher.stop()


async def test_fail_all_ends_every_call_with_an_error_of_its_own() -> None:
    dispatcher = Dispatcher[str]()
    calls = [dispatcher.open(in_s(10)) for _ in range(50)]
    dispatcher.fail_all(lambda: Unavailable("gone"))
    errors = await asyncio.gather(*(call.future for call in calls), return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in errors)
    assert len({id(error) for error in errors}) == 50
    assert len(dispatcher) == 0
    assert not dispatcher.resolve(calls[0].correlation_id, "too late")
    after = dispatcher.open(in_s(10))
    assert dispatcher.resolve(after.correlation_id, "works")
    assert await after.future == "works"
    dispatcher.stop()


async def test_fail_ends_one_call_once() -> None:
    dispatcher = Dispatcher[str]()
    one, other = dispatcher.open(in_s(10)), dispatcher.open(in_s(10))
    dispatcher.fail(one, Unavailable("first"))
    dispatcher.fail(one, Unavailable("second"))
    with pytest.raises(Unavailable, match="first"):
        await one.future
    assert dispatcher.resolve(other.correlation_id, "fine")
    dispatcher.fail(other, Unavailable("too late"))
    assert await other.future == "fine"
    dispatcher.stop()


async def test_a_cancelled_wait_leaves_nothing_and_its_reply_is_harmless() -> None:
    dispatcher = Dispatcher[str]()
    call, other, third = (dispatcher.open(in_s(10)) for _ in range(3))
    task = asyncio.create_task(settled(call))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dispatcher.resolve(call.correlation_id, "nobody listens")
    third.future.cancel()
    dispatcher.fail(third, Unavailable("nobody listens"))
    assert dispatcher.resolve(other.correlation_id, "fine")
    assert await other.future == "fine"
    assert len(dispatcher) == 0
    dispatcher.stop()


async def test_a_cancelled_wait_that_expires_is_harmless() -> None:
    dispatcher = Dispatcher[str]()
    cancelled, waiting = dispatcher.open(in_s(0.02)), dispatcher.open(in_s(0.03))
    cancelled.future.cancel()
    with pytest.raises(TimeoutError):
        await waiting.future
    assert len(dispatcher) == 0
    dispatcher.stop()


async def test_nothing_expires_after_stop() -> None:
    dispatcher = Dispatcher[str]()
    call = dispatcher.open(in_s(0.02))
    dispatcher.stop()
    dispatcher.stop()
    await asyncio.sleep(0.1)
    assert not call.future.done()


async def test_an_expired_item_may_add_and_remove_others() -> None:
    items: dict[int, Pending[str]] = {}
    expired: list[int] = []

    def expire(key: int, _: Pending[str]) -> None:
        expired.append(key)
        items.pop(key, None)
        items.pop(key + 1, None)
        if key == 0:
            items[9] = Pending(b"", in_s(0.05), asyncio.get_running_loop().create_future())
            deadlines.watch(items[9].deadline)

    deadlines = Deadlines(items, expire)
    for key in (0, 1, 2):
        items[key] = Pending(b"", in_s(0.01), asyncio.get_running_loop().create_future())
        deadlines.watch(items[key].deadline)
    for _ in range(200):
        if 9 in expired:
            break
        await asyncio.sleep(0.01)
    assert expired[-1] == 9
    assert not items
    deadlines.stop()


Step = tuple[str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "reply", "reply", "reply", "foreign", "close", "cancel", "fail"]),
        st.integers(0, 30),
    ),
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_whatever_arrives_in_any_order_each_call_ends_once_with_its_own(steps: list[Step]) -> None:
    asyncio.run(replay(steps))


async def replay(steps: list[Step]) -> None:
    dispatcher = Dispatcher[str]()
    calls: list[Pending[str]] = []
    expected: dict[int, str] = {}
    late = foreign = 0
    for do, number in steps:
        at = number % len(calls) if calls else 0
        if do == "open":
            calls.append(dispatcher.open(in_s(60)))
        elif do == "foreign":
            foreign += 1
            assert not dispatcher.resolve(b"%032d-%d" % (number, number), "forged")
        elif not calls:
            continue
        elif do == "reply":
            waits = at not in expected
            assert dispatcher.resolve(calls[at].correlation_id, f"reply {at}") is waits
            late += not waits
            expected.setdefault(at, f"reply {at}")
        elif do == "close":
            dispatcher.close(calls[at])
            expected.setdefault(at, "Unfinished")
        elif do == "cancel":
            calls[at].future.cancel()
            dispatcher.close(calls[at])
            expected.setdefault(at, "CancelledError")
        else:
            dispatcher.fail(calls[at], Unavailable(str(at)))
            expected.setdefault(at, "Unavailable")
    assert len(dispatcher) == len(calls) - len(expected)
    dispatcher.fail_all(lambda: TimeoutError())
    assert (len(dispatcher), dispatcher.late, dispatcher.foreign) == (0, late, foreign)
    for at, call in enumerate(calls):
        outcome = outcome_of(call.future)
        allowed = {expected.get(at, "TimeoutError")}
        if expected.get(at) == "Unfinished":
            allowed.add("CancelledError")  # closed first, cancelled by its own waiter later
        assert outcome in allowed
    dispatcher.stop()


def outcome_of(future: asyncio.Future[str]) -> str:
    if not future.done():
        return "Unfinished"
    if future.cancelled():
        return "CancelledError"
    error = future.exception()
    return future.result() if error is None else type(error).__name__
