"""Options of calls: which of several places comes first, blocks of them, and what handlers see."""

from __future__ import annotations

import asyncio
from inspect import signature
from typing import Any, Protocol, cast

import pytest

from typedrpc import (
    Call,
    DeadlineExceeded,
    Reply,
    Retry,
    Rpc,
    Service,
    Status,
    Unavailable,
    UsageError,
    client,
    current_call,
    options,
    service,
)
from typedrpc.options import CallOptions


class Probe(Service, Protocol, service="probe"):
    @service.method
    async def left(self) -> float | None: ...

    @service.method(timeout=3)
    async def left_of_three(self) -> float | None: ...

    @service.method
    async def metadata(self) -> dict[str, str]: ...

    @service.method(idempotent=True)
    async def flaky(self, fails: int) -> int: ...

    @service.method
    async def fragile(self) -> int: ...

    @service.method(oneway=True)
    async def tell(self) -> None: ...


def left(call: Call) -> float | None:
    return None if call.deadline is None else call.deadline - asyncio.get_running_loop().time()


class ProbeServer(Probe):
    def __init__(self) -> None:
        self.calls = 0
        self.told: asyncio.Queue[float | None] = asyncio.Queue()

    @service.method
    async def left(self, ctx: Call) -> float | None:
        return left(ctx)

    @service.method
    async def left_of_three(self, ctx: Call) -> float | None:
        return left(ctx)

    @service.method
    async def metadata(self, ctx: Call) -> dict[str, str]:
        ctx.reply_metadata["seen"] = str(len(ctx.metadata))
        return dict(ctx.metadata)

    @service.method
    async def flaky(self, fails: int) -> int:
        self.calls += 1
        if self.calls <= fails:
            raise Unavailable("not now")
        return self.calls

    @service.method
    async def fragile(self) -> int:
        self.calls += 1
        raise Unavailable("not now")

    @service.method(oneway=True)
    async def tell(self, ctx: Call) -> None:
        self.told.put_nowait(left(ctx))


ProbeClient = client(Probe)


def about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=0.3)


async def test_the_nearest_timeout_counts() -> None:
    rpc = Rpc.in_memory(timeout=9)
    rpc.serve(ProbeServer())
    slow = client(Probe, timeout=7)
    async with rpc:
        assert await ProbeClient.left() == about(9)
        assert await slow.left() == about(7)
        assert await rpc.client(Probe, timeout=8).left() == about(8)
        assert await slow.left_of_three() == about(3)
        with options(timeout=5):
            assert await ProbeClient.left() == about(5)
            assert await slow.left() == about(5)
            assert await slow.left_of_three() == about(5)
            with options(timeout=4), options(metadata={"a": "b"}), options(timeout=None):
                assert await slow.left_of_three() == about(4)
            assert await slow.left_of_three.with_options(timeout=2)() == about(2)
            assert await slow.left_of_three.with_options(timeout=None)() == about(5)
            assert await slow.left.with_options(timeout=2).with_options(timeout=6)() == about(6)
            assert await slow.left.with_options(timeout=2).with_options(key="k")() == about(2)
        assert await slow.left_of_three() == about(3)


async def test_metadata_of_all_places_is_merged_and_the_nearest_counts() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(ProbeServer())
    named = client(Probe, metadata={"a": "client", "b": "client", "c": "client"})
    async with rpc:
        assert await ProbeClient.metadata() == {}
        with options(metadata={"b": "outer", "c": "outer", "d": "outer"}), options(metadata={"d": "inner"}):
            call = named.metadata.with_options(metadata={"c": "call", "traceparent": "00-1"})
            expected = {"a": "client", "b": "outer", "c": "call", "d": "inner", "traceparent": "00-1"}
            assert await call() == expected
            reply = await call.with_reply()
    assert reply.value == expected
    assert reply.metadata == {"seen": "5"}
    assert reply.exec_time >= 0
    assert reply.queue_time >= 0


def test_a_reply_is_made_by_name_and_does_not_change() -> None:
    reply = Reply(value=3, metadata={})
    assert (reply.value, reply.metadata, reply.queue_time, reply.exec_time) == (3, {}, 0.0, 0.0)
    with pytest.raises(AttributeError):
        cast("Any", reply).value = 4


async def test_options_belong_to_their_block_and_the_tasks_started_in_it() -> None:
    rpc = Rpc.in_memory(timeout=9)
    rpc.serve(ProbeServer())

    async def ask() -> float | None:
        await asyncio.sleep(0)
        return await ProbeClient.left()

    async with rpc:
        with options(timeout=5):
            inside = asyncio.create_task(ask())
        outside = asyncio.create_task(ask())
        assert await inside == about(5)
        assert await outside == about(9)


async def test_one_options_object_may_be_used_again_and_inside_itself() -> None:
    rpc = Rpc.in_memory(timeout=9)
    rpc.serve(ProbeServer())
    hurry = options(timeout=5)
    async with rpc:
        for _ in range(2):
            with hurry, options(timeout=4), hurry:
                assert await ProbeClient.left() == about(5)
            assert await ProbeClient.left() == about(9)
        with pytest.raises(ValueError, match="on purpose"), hurry:
            raise ValueError("on purpose")
        assert await ProbeClient.left() == about(9)


@pytest.mark.parametrize("first_out", [0, 1])
async def test_one_options_object_may_be_used_by_tasks_that_leave_in_any_order(first_out: int) -> None:
    rpc = Rpc.in_memory(timeout=9)
    rpc.serve(ProbeServer())
    hurry = options(timeout=5)
    leave = [asyncio.Event(), asyncio.Event()]

    async def ask(number: int) -> tuple[float | None, float | None]:
        with hurry:
            await leave[number].wait()
            inside = await ProbeClient.left()
        return inside, await ProbeClient.left()

    async with rpc:
        tasks = [asyncio.create_task(ask(0)), asyncio.create_task(ask(1))]
        await asyncio.sleep(0)
        for number in (first_out, 1 - first_out):
            leave[number].set()
            inside, after = await tasks[number]
            assert inside == about(5)
            assert after == about(9)


def test_options_are_no_decorator() -> None:
    with pytest.raises(TypeError, match="not callable"):
        cast("Any", options(timeout=2))(lambda: None)


def test_options_of_a_block_and_of_a_call_are_the_same() -> None:
    names = ["timeout", "key", "metadata", "retry"]
    assert list(signature(options).parameters) == names
    assert list(signature(ProbeClient.left.with_options).parameters) == names
    assert list(signature(CallOptions).parameters) == names


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), -0.0, "2", 10**10])
def test_a_timeout_is_a_positive_number_of_seconds(timeout: Any) -> None:
    match = r"timeout=.*: give a positive number of seconds; every call has a deadline"
    for given in (
        lambda: options(timeout=timeout),
        lambda: ProbeClient.left.with_options(timeout=timeout),
        lambda: client(Probe, timeout=timeout),
        lambda: Rpc.in_memory(timeout=timeout),
        lambda: Retry(attempt_timeout=timeout),
    ):
        with pytest.raises(UsageError, match=match):
            given()


@pytest.mark.parametrize("key", [3, ["k"], object()])
def test_a_key_is_text_or_bytes(key: Any) -> None:
    with pytest.raises(UsageError, match="a key is text or bytes"):
        ProbeClient.left.with_options(key=key)


@pytest.mark.parametrize("name", ["correlation_id", "reply_to", "reply_partition", "content-type", "rpc-x", "rpc-", ""])
async def test_reserved_names_of_metadata_are_refused_before_anything_is_sent(name: str) -> None:
    rpc = Rpc.in_memory()
    server = ProbeServer()
    rpc.serve(server)
    async with rpc:
        with pytest.raises(UsageError, match=f"metadata '{name}': the protocol reserves this name; choose another"):
            await ProbeClient.flaky.with_options(metadata={name: "x"})(0)
        with pytest.raises(UsageError, match="reserves this name"), options(metadata={name: "x"}):
            await ProbeClient.flaky(0)
    with pytest.raises(UsageError, match="reserves this name"):
        client(Probe, metadata={name: "x"})
    assert server.calls == 0


@pytest.mark.parametrize("metadata", [{"a": 3}, {3: "a"}, {"a": None}, {"a": b"x"}, {"a": "\ud800"}])
async def test_metadata_is_text(metadata: Any) -> None:
    rpc = Rpc.in_memory()
    rpc.serve(ProbeServer())
    async with rpc:
        with pytest.raises(UsageError, match="text"):
            await ProbeClient.metadata.with_options(metadata=metadata)()


async def test_only_idempotent_methods_are_retried() -> None:
    rpc = Rpc.in_memory()
    server = ProbeServer()
    rpc.serve(server)
    retry = Retry(attempts=3, backoff=0.001)
    with pytest.raises(UsageError, match=r"fragile: retry= is for methods marked @service.method\(idempotent=True\)"):
        ProbeClient.fragile.with_options(retry=retry)
    async with rpc:
        assert await ProbeClient.flaky.with_options(retry=retry)(2) == 3
        server.calls = 0
        with pytest.raises(Unavailable):
            await ProbeClient.flaky(1)
        server.calls = 0
        with options(retry=retry):
            assert await ProbeClient.flaky(2) == 3
            server.calls = 0
            with pytest.raises(Unavailable):
                await ProbeClient.fragile()
            assert server.calls == 1
            server.calls = 0
            with pytest.raises(Unavailable):
                await ProbeClient.flaky.with_options(retry=Retry(attempts=2, backoff=0))(2)
            assert server.calls == 2
            server.calls = 0
            with pytest.raises(Unavailable):
                await ProbeClient.flaky.with_options(retry=Retry(on=frozenset({Status.ABORTED})))(2)
            assert server.calls == 1


@pytest.mark.parametrize("settings", [{"attempts": 0}, {"backoff": -1}, {"max_backoff": -0.1}, {"attempt_timeout": 0}])
def test_a_retry_has_sensible_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Retry(**settings)


async def test_a_oneway_expires_only_where_it_was_given_a_time() -> None:
    rpc = Rpc.in_memory()
    server = ProbeServer()
    rpc.serve(server)
    async with rpc:
        await ProbeClient.tell()
        assert await server.told.get() is None
        await ProbeClient.tell.with_options(timeout=4)()
        assert await server.told.get() == about(4)
        with options(timeout=5):
            await ProbeClient.tell()
        assert await server.told.get() == about(5)


class Outer(Service, service="outer"):
    @service.method
    async def left(self, pause: float) -> float | None:
        await asyncio.sleep(pause)
        return await ProbeClient.left()

    @service.method
    async def metadata(self) -> dict[str, str]:
        assert current_call().metadata == {"tenant": "a"}
        return await ProbeClient.metadata()


async def test_a_handler_passes_its_time_on_but_not_its_callers_options() -> None:
    rpc = Rpc.in_memory(timeout=9)
    rpc.serve(ProbeServer(), Outer())
    async with rpc:
        with options(timeout=6, metadata={"tenant": "a"}):
            left = await client(Outer).left(0.4)
            assert left is not None
            assert 1 < left <= 5.7  # of six seconds, not nine
            assert await client(Outer).metadata() == {}
        with pytest.raises(DeadlineExceeded):
            await client(Outer).left.with_options(timeout=0.1)(0.3)
