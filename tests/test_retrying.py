"""Attempts of one call: where they go, how long they take together, and what they may add to a failing service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real_kafka import FEW
from typedrpc import DeadlineExceeded, Retry, Rpc, Service, Unavailable, service
from typedrpc.retrying import Budget, with_retries
from typedrpc.transport import TopicPartition, Transport


def transport_of(rpc: Rpc) -> Transport:
    transport = rpc._transport  # pyright: ignore[reportPrivateUsage]  # to see what was written
    assert transport is not None
    return transport


@pytest.mark.parametrize("key", [None, "a key"])
async def test_each_attempt_goes_to_another_partition(
    make_rpc: Callable[..., Rpc], unique: Callable[[str], str], key: str | None
) -> None:
    name = unique("nobody")

    class Nobody(Service, Protocol, service=name):
        @service.method(idempotent=True)
        async def ask(self) -> int: ...

        @service.method(oneway=True)
        async def note(self) -> None: ...

    async with make_rpc() as rpc:
        transport = transport_of(rpc)
        await transport.ensure_topics([FEW.request_topic(name)], create=True)
        reader = await transport.open_reader([TopicPartition(name, p) for p in range(3)])
        ask = rpc.client(Nobody).ask.with_options(
            timeout=10, key=key, retry=Retry(attempts=3, attempt_timeout=1, backoff=0)
        )
        # The first send to a topic waits for its leaders, longer than an attempt may take.
        await rpc.client(Nobody).note()
        with pytest.raises(DeadlineExceeded):
            await ask()
        partitions: list[int] = []
        asked = ("rpc-method", f"{name}/ask".encode())
        async with asyncio.timeout(20):
            while len(partitions) < 3:
                partitions += [record.partition for record in await reader.fetch() if asked in record.headers]
        await reader.close()
    assert sorted(partitions) == [0, 1, 2]


async def test_an_attempt_that_times_out_is_tried_again_within_the_calls_deadline(
    make_rpc: Callable[..., Rpc], unique: Callable[[str], str]
) -> None:
    runs = 0

    class Slow(Service, service=unique("slow")):
        @service.method(idempotent=True)
        async def at_first(self) -> int:
            nonlocal runs
            runs += 1
            await asyncio.sleep(30 if runs < 3 else 0)
            return runs

    rpc = make_rpc()
    rpc.serve(Slow())
    async with rpc:
        at_first = rpc.client(Slow).at_first
        runs = 5
        assert await at_first() == 6  # the first call of a topic waits for its leaders
        runs = 0
        assert await at_first.with_options(timeout=30, retry=Retry(attempts=3, attempt_timeout=2))() == 3
        runs = 0
        with pytest.raises(DeadlineExceeded, match=r"within 2 s|ran over the deadline"):  # whoever is first says so
            await at_first.with_options(timeout=30, retry=Retry(attempts=2, attempt_timeout=2))()
        assert runs == 2
        runs = -100  # all of them sleep
        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await at_first.with_options(timeout=0.5, retry=Retry(attempts=100, attempt_timeout=0.1, backoff=0.2))()
        assert asyncio.get_running_loop().time() - started < 8  # a hundred attempts would take thirty


async def attempts_of(calls: int, retry: Retry, budget: Budget, error: Exception) -> int:
    attempts = 0

    async def attempt(_: float) -> None:
        nonlocal attempts
        attempts += 1
        raise error

    for _ in range(calls):
        with pytest.raises(type(error)):
            await with_retries(retry, 10, budget, attempt)
    return attempts


async def test_while_everything_fails_retries_add_no_more_than_a_fifth() -> None:
    retry = Retry(attempts=5, backoff=0)
    assert await attempts_of(1000, retry, Budget(10_000), Unavailable("away")) == 1000 + 100 + 200


async def test_a_call_at_its_first_attempts_deadline_is_not_tried_again_when_that_was_the_calls_own() -> None:
    retry = Retry(attempts=5, backoff=0)
    assert await attempts_of(3, retry, Budget(10_000), DeadlineExceeded("late")) == 3


@given(st.integers(1, 300), st.lists(st.booleans(), max_size=2000))
def test_a_budget_lends_a_hundred_and_then_one_retry_for_five_calls(most: int, steps: list[bool]) -> None:
    budget = Budget(most)
    calls = retries = 0
    for is_call in steps:
        if is_call:
            budget.earn()
            calls += 1
        else:
            retries += budget.spend()
        assert retries <= min(100, most) + calls / 5 + 1e-6
    saved = Budget(most)
    for _ in range(10_000):
        saved.earn()
    spent = 0
    while saved.spend():
        spent += 1
    assert spent == most
