"""Every request that was taken ends exactly once: answered, its place freed, its offset committed, whatever raises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

import pytest
from pydantic import BaseModel, field_serializer, field_validator

from typedrpc import (
    Call,
    DeadlineExceeded,
    InternalError,
    Limits,
    ResourceExhausted,
    Rpc,
    RpcError,
    Service,
    Status,
    Topics,
    current_call,
    service,
)
from typedrpc.transport import TopicPartition
from typedrpc.transport.memory import MemoryLog


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class MuteError(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


KINDS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("bad"),
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
    "SystemExit": lambda: SystemExit(2),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "TimeoutError": TimeoutError,
    "StopAsyncIteration": StopAsyncIteration,
    "BaseExceptionGroup": lambda: BaseExceptionGroup("all", [SystemExit(1), ValueError()]),
    "an error without a text": UnspeakableError,
    "an error whose text exits": MuteError,
}

raising: Callable[[], BaseException] = ValueError
"""What the model and the error below raise, where they are to."""

Place = Literal["validator", "in place", "at once", "after a wait", "serializer", "error's field", "error's text"]
PLACES: list[Place] = [
    "validator",
    "in place",
    "at once",
    "after a wait",
    "serializer",
    "error's field",
    "error's text",
]


class Argument(BaseModel):
    fine: bool = True

    @field_validator("fine")
    @classmethod
    def check(cls, fine: bool) -> bool:
        if not fine:
            raise raising()
        return fine


class Answer(BaseModel):
    fine: bool = True

    @field_serializer("fine")
    def dump(self, fine: bool) -> bool:
        if not fine:
            raise raising()
        return fine


class Hostile(str):
    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise raising()

    __str__ = __repr__ = lambda self: self.__format__("")

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        raise raising()


class DeclaredError(RpcError, code=Status.NOT_FOUND):
    answer: Answer


class Raising(Service, service="raising"):
    @service.method(raises=[DeclaredError])
    async def waits(self, ctx: Call, place: str) -> Answer:
        if place == "at once":
            raise raising()
        await asyncio.sleep(0.001)
        if place == "after a wait":
            raise raising()
        if place == "error's field":
            raise DeclaredError("no", answer=Answer.model_construct(fine=False))
        if place == "error's text":
            ctx.reply_metadata["a"] = Hostile("b")
            raise DeclaredError("no", answer=Answer())
        return Answer(fine=True) if place == "" else Answer.model_construct(fine=False)

    @service.method
    async def in_place(self, argument: Argument) -> None:
        raise raising()

    @service.method
    async def runs(self, argument: Argument) -> None:
        await asyncio.sleep(0)


def log_of(rpc: Rpc) -> MemoryLog:
    return rpc._log  # pyright: ignore[reportPrivateUsage]  # what Kafka holds is not the library's to show


async def committed(rpc: Rpc, name: str, offset: int) -> None:
    """Waits until so much is committed."""
    async with asyncio.timeout(5):
        while log_of(rpc).group(name).committed(TopicPartition(name, 0)) != offset:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("place", PLACES)
async def test_a_request_is_answered_once_and_committed_whatever_is_raised(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rpc = Rpc.in_memory(timeout=5, limits=Limits(max_concurrency=1), topics=Topics(request_partitions=1))
    rpc.serve(Raising())
    async with rpc:
        client = rpc.client(Raising)
        for kind, make in KINDS.items():
            monkeypatch.setitem(globals(), "raising", make)
            with pytest.raises(RpcError) as caught:  # noqa: PT012  # one call, whichever
                if place == "validator":
                    await client.runs(Argument.model_construct(fine=False))
                elif place == "in place":
                    await client.in_place(Argument())
                else:
                    await client.waits(place)
            if place not in ("validator", "error's text"):
                assert type(caught.value) is InternalError, kind
            assert caught.value.code is not Status.DEADLINE_EXCEEDED, kind
            assert (await client.waits("")).fine, kind  # there was one place only
        await committed(rpc, "raising", 2 * len(KINDS))


async def test_a_handler_that_goes_on_though_cancelled_is_answered_for_and_committed_a_second_later() -> None:
    release = asyncio.Event()
    ended = asyncio.Event()

    class Stubborn(Service, service="stubborn"):
        @service.method(raises=[ResourceExhausted])
        async def go_on(self) -> int:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            ended.set()
            return 1

    rpc = Rpc.in_memory(limits=Limits(max_concurrency=1), topics=Topics(request_partitions=1))
    rpc.serve(Stubborn())
    async with rpc:
        call = rpc.client(Stubborn).go_on.with_options(timeout=0.2)
        with pytest.raises(DeadlineExceeded):
            await call()
        await committed(rpc, "stubborn", 1)
        assert not ended.is_set()
        release.set()
        assert await rpc.client(Stubborn).go_on() == 1  # its place was freed when it ended
        await committed(rpc, "stubborn", 2)


async def test_a_handler_that_is_cancelled_before_it_began_is_answered() -> None:
    class Work(Service, service="work"):
        @service.method
        async def do(self) -> None:
            await asyncio.sleep(30)

    rpc = Rpc.in_memory(limits=Limits(drain_timeout=0), topics=Topics(request_partitions=1))
    rpc.serve(Work())
    await rpc.start()
    calls = [asyncio.create_task(rpc.client(Work).do()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await rpc.stop()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, RpcError) for outcome in outcomes)


async def test_the_log_of_a_failure_knows_its_call(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Service):
        @service.method
        async def at_once(self) -> None:
            raise ValueError

        @service.method
        async def later(self) -> None:
            await asyncio.sleep(0)
            raise ValueError

    seen: list[str] = []

    def note(_record: logging.LogRecord) -> bool:
        seen.append(f"{current_call().method} {current_call().metadata.get('request-id')}")
        return True

    caplog.handler.addFilter(note)
    rpc = Rpc.in_memory()
    rpc.serve(Failing())
    try:
        async with rpc:
            failing = rpc.client(Failing, metadata={"request-id": "r-1"})
            for call in (failing.at_once, failing.later):
                with pytest.raises(InternalError):
                    await call()
    finally:
        caplog.handler.removeFilter(note)
    assert seen == ["Failing/at_once r-1", "Failing/later r-1"]
