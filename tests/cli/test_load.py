"""Many calls at once, of a service that is a function here."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest

from typedrpc import NotFound, Status
from typedrpc.cli.bench.load import Load, Tally, measure

OK = (Status.OK, b"{}")


def test_a_closed_loop_begins_the_next_call_when_it_is_asked_for() -> None:
    clock = count(100.0, 2.0).__next__
    assert list(Load(at_once=1, seconds=7).starts(clock)) == [102, 104, 106]
    assert list(Load(at_once=1, calls=2).starts(clock)) == [112, 114]


def test_an_open_loop_begins_calls_at_even_times_whenever_it_is_asked() -> None:
    assert list(Load(at_once=9, seconds=1, rate=4).starts(lambda: 100.0)) == [100, 100.25, 100.5, 100.75]
    assert list(Load(at_once=9, calls=3, rate=2).starts(lambda: 100.0)) == [100, 100.5, 101]


async def test_so_many_calls_are_made_and_so_many_are_under_way_at_once() -> None:
    under_way = most = made = 0

    async def send() -> tuple[Status, bytes]:
        nonlocal under_way, most, made
        made += 1
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return OK

    tally = Tally()
    await measure(send, Load(at_once=7, calls=100), tally)
    assert (made, most, tally.ended, len(tally.latencies)) == (100, 7, 100, 100)
    assert 0.0005 < min(tally.latencies) <= max(tally.latencies) <= tally.seconds


async def test_calls_under_way_at_the_end_are_waited_for() -> None:
    async def send() -> tuple[Status, bytes]:
        await asyncio.sleep(0.3)
        return OK

    tally = Tally()
    await measure(send, Load(at_once=3, seconds=0.05), tally)
    assert (len(tally.latencies), tally.dropped, tally.interrupted) == (3, 0, False)
    assert tally.seconds > 0.25


async def test_an_open_loop_counts_a_calls_time_from_when_it_should_have_begun() -> None:
    """One at once, each 50 ms, 100 a second wanted: the fifth waits for the four before it."""

    async def send() -> tuple[Status, bytes]:
        await asyncio.sleep(0.05)
        return OK

    tally = Tally()
    await measure(send, Load(at_once=1, calls=5, rate=100), tally)
    assert max(tally.latencies) == tally.latencies[4] > 0.2  # it should have begun after 40 ms, and ends after 250


async def test_errors_are_counted_by_status_with_the_first_message_of_each() -> None:
    numbers = count()

    async def send() -> tuple[Status, bytes]:
        await asyncio.sleep(0)
        match next(numbers) % 4:
            case 0:
                raise NotFound("not here")
            case 1:
                return Status.ABORTED, b'{"message": "first"}'
            case 2:
                return Status.UNKNOWN, b"no JSON"
            case _:
                return OK

    tally = Tally()
    await measure(send, Load(at_once=1, calls=8), tally)
    assert tally.errors == {Status.NOT_FOUND: 2, Status.ABORTED: 2, Status.UNKNOWN: 2}
    assert tally.examples == {Status.NOT_FOUND: "not here", Status.ABORTED: "first", Status.UNKNOWN: "no JSON"}
    assert (len(tally.latencies), tally.ended) == (2, 8)


async def test_calls_that_fail_without_a_wait_leave_others_their_turn() -> None:
    async def send() -> tuple[Status, bytes]:
        raise NotFound("at once")

    begin = time.monotonic()
    running = asyncio.create_task(measure(send, Load(at_once=2, seconds=30), Tally()))
    await asyncio.sleep(0.01)
    assert time.monotonic() - begin < 20
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_is_no_error_of_a_call_ends_it_all() -> None:
    async def send() -> tuple[Status, bytes]:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await measure(send, Load(at_once=2, seconds=30), Tally())
