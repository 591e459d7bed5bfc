"""What may come before and after a start: services, clients, calls, and the start again. On both transports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import pytest
from faststream import FastStream
from faststream.kafka import KafkaBroker

from real_kafka import FEW
from typedrpc import DeadlineExceeded, Limits, Rpc, Service, TransportError, Unavailable, UsageError, client, service
from work_service import Work

pytestmark = [pytest.mark.timeout(90), pytest.mark.usefixtures("no_task_left_running")]


@pytest.mark.kafka
async def test_an_rpc_starts_before_its_broker_and_app(kafka: str, work: type[Work]) -> None:
    broker = KafkaBroker(kafka, logger=None)
    rpc = Rpc(broker, topics=FEW)
    bound = rpc.client(work)
    async with rpc:
        rpc.serve(work())
        await rpc.ready()
        assert await bound.twice(1) == 2
        app = FastStream(broker, logger=None)
        await app.start()
        assert await bound.twice(2) == 4
        await app.stop()
        assert await bound.twice(3) == 6


@pytest.mark.kafka
async def test_an_rpc_is_made_and_started_after_its_broker_and_app(kafka: str, work: type[Work]) -> None:
    broker = KafkaBroker(kafka, logger=None)
    app = FastStream(broker, logger=None)
    await app.start()
    rpc = Rpc(broker, topics=FEW)
    rpc.serve(work())
    async with rpc:
        assert await rpc.client(work).twice(1) == 2
        assert await client(work).twice(2) == 4
    await app.stop()


async def test_a_service_given_after_the_start_is_served_once_ready_returns(rpc: Rpc, work: type[Work]) -> None:
    async with rpc:
        rpc.serve(work())
        await rpc.ready()
        assert await client(work).twice(21) == 42
        await rpc.ready()


@pytest.mark.kafka
async def test_ready_raises_what_a_late_service_met_and_the_others_go_on(
    kafka: str, named: Callable[[], type[Work]]
) -> None:
    good, bad = named(), named()
    async with Rpc(KafkaBroker(kafka, logger=None), topics=FEW) as maker:
        maker.serve(good())
        await maker.ready()
    rpc = Rpc(KafkaBroker(kafka, logger=None), topics=FEW, create_topics=False)
    rpc.serve(good())
    async with rpc:
        rpc.serve(bad())
        with pytest.raises(TransportError, match="topics are missing"):
            await rpc.ready()
        await rpc.ready()
        assert await client(good).twice(21) == 42


@pytest.mark.kafka
async def test_a_late_service_that_cannot_be_served_is_logged_where_nobody_awaits_ready(
    kafka: str, work: type[Work], caplog: pytest.LogCaptureFixture
) -> None:
    async with Rpc(KafkaBroker(kafka, logger=None), topics=FEW):
        pass  # the topic of replies exists
    rpc = Rpc(KafkaBroker(kafka, logger=None), topics=FEW, create_topics=False)
    async with rpc:
        rpc.serve(work())
        async with asyncio.timeout(20):
            while "topics are missing" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_stop_right_after_a_late_service_leaves_nothing_behind(rpc: Rpc, work: type[Work]) -> None:
    async with rpc:
        rpc.serve(work())
        waiting = asyncio.create_task(rpc.ready())
        await asyncio.sleep(0)
    (ended,) = await asyncio.gather(waiting, return_exceptions=True)
    assert ended is None or isinstance(ended, UsageError)


async def test_two_rpcs_in_one_process_have_their_own_services_and_bound_clients(
    make_rpc: Callable[..., Rpc], named: Callable[[], type[Work]]
) -> None:
    first, second, ours, theirs = make_rpc(), make_rpc(), named(), named()
    first.serve(ours())
    second.serve(theirs())
    async with first, second:
        assert await first.client(ours).twice(1) == 2
        assert await second.client(theirs).twice(2) == 4
        with pytest.raises(UsageError, match=r"rpc\.client"):
            await client(ours).twice(1)
    with pytest.raises(UsageError, match="does not run"):
        await first.client(ours).twice(1)


async def test_an_rpc_starts_again_after_a_stop_and_its_clients_work_again(rpc: Rpc, work: type[Work]) -> None:
    rpc.serve(work())
    bound = rpc.client(work)
    for _ in range(3):
        async with rpc:
            assert await bound.twice(21) == 42
            assert await client(work).twice(21) == 42
        with pytest.raises(UsageError):
            await bound.twice(21)


async def test_a_second_start_is_refused_and_a_second_stop_is_not(rpc: Rpc, work: type[Work]) -> None:
    rpc.serve(work())
    await rpc.stop()
    async with rpc:
        with pytest.raises(UsageError, match="already"):
            await rpc.start()
        assert await client(work).twice(21) == 42
    await rpc.stop()
    await asyncio.gather(rpc.stop(), rpc.stop())


async def test_one_rpc_serves_several_services_given_at_once(rpc: Rpc, named: Callable[[], type[Work]]) -> None:
    contracts = [named() for _ in range(4)]
    rpc.serve(*(contract() for contract in contracts))
    async with rpc:
        assert len(rpc.services) == 4
        replies = await asyncio.gather(*(rpc.client(c).twice(n) for n, c in enumerate(contracts)))
    assert replies == [0, 2, 4, 6]


async def test_an_object_of_two_contracts_is_served_as_both(rpc: Rpc, unique: Callable[[str], str]) -> None:
    class Reads(Service, Protocol, service=unique("reads")):
        @service.method
        async def read(self) -> str: ...

    class Writes(Service, Protocol, service=unique("writes")):
        @service.method
        async def write(self, text: str) -> None: ...

    class Store(Reads, Writes):
        def __init__(self) -> None:
            self.text = ""

        @service.method
        async def read(self) -> str:
            return self.text

        @service.method
        async def write(self, text: str) -> None:
            self.text = text

    rpc.serve(Store())
    async with rpc:
        await client(Writes).write("kept")
        assert await client(Reads).read() == "kept"


async def test_a_stop_ends_pending_calls_unavailable(rpc: Rpc, work: type[Work]) -> None:
    async with rpc:
        calls = [asyncio.create_task(client(work).wait()) for _ in range(50)]
        async with asyncio.timeout(20):
            while rpc.pending_calls < 50:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(e) for e in ended} == {Unavailable}
    assert rpc.pending_calls == 0


async def test_a_stop_lets_running_handlers_finish_and_their_callers_hear_of_it(rpc: Rpc, work: type[Work]) -> None:
    instance = work()
    rpc.serve(instance)
    await rpc.start()
    calls = [asyncio.create_task(client(work).wait()) for _ in range(20)]
    await instance.started.wait()
    async with asyncio.timeout(20):
        while rpc.pending_calls < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # all have arrived
    stopping = asyncio.create_task(rpc.stop())
    await asyncio.sleep(1.5)
    assert not stopping.done()
    instance.finish.set()
    assert await asyncio.gather(*calls) == ["done"] * 20
    await stopping


async def test_handlers_that_outlive_the_drain_timeout_are_answered_unavailable(
    make_rpc: Callable[..., Rpc], work: type[Work]
) -> None:
    instance = work()
    rpc = make_rpc(limits=Limits(drain_timeout=0.2))
    rpc.serve(instance)
    await rpc.start()
    call = asyncio.create_task(client(work).wait())
    await instance.started.wait()
    await rpc.stop()
    with pytest.raises(Unavailable, match="stopped before the handler ended"):
        await call


async def test_a_cancelled_stop_does_not_wait_for_handlers_and_leaves_nothing_behind(
    rpc: Rpc, work: type[Work]
) -> None:
    instance = work()
    rpc.serve(instance)
    await rpc.start()
    call = asyncio.create_task(client(work).wait())
    await instance.started.wait()
    stopping = asyncio.create_task(rpc.stop())
    await asyncio.sleep(0.2)
    started = time.monotonic()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert time.monotonic() - started < 10
    with pytest.raises(Unavailable):
        await call
    await rpc.stop()
    instance.finish.set()  # nothing was committed, so the request may run again
    async with rpc:
        assert await client(work).twice(21) == 42


async def test_a_start_that_is_cancelled_leaves_nothing_behind(make_rpc: Callable[..., Rpc], work: type[Work]) -> None:
    rpc = make_rpc()
    rpc.serve(work())
    for _ in range(2):
        starting = asyncio.create_task(rpc.start())
        await asyncio.sleep(0)  # no later: aiokafka itself leaves a connection open where its bootstrap is cancelled
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    async with rpc:
        assert await client(work).twice(21) == 42


async def test_a_stop_while_it_starts_leaves_nothing_behind(make_rpc: Callable[..., Rpc], work: type[Work]) -> None:
    rpc = make_rpc()
    rpc.serve(work())
    starting = asyncio.create_task(rpc.start())
    await asyncio.sleep(0)
    await rpc.stop()
    await starting
    with pytest.raises(UsageError, match="no Rpc runs"):
        await client(work).twice(21)
    async with rpc:
        assert await client(work).twice(21) == 42


async def test_a_call_made_while_the_rpc_starts_waits_until_it_is_ready(rpc: Rpc, work: type[Work]) -> None:
    rpc.serve(work())
    starting = asyncio.create_task(rpc.start())
    await asyncio.sleep(0)
    call = asyncio.create_task(client(work).twice(21))
    bound = asyncio.create_task(rpc.client(work).twice(4))
    await starting
    assert await call == 42
    assert await bound == 8
    await rpc.stop()


NOBODY_ANSWERS = Limits(start_timeout=2)


@pytest.fixture
async def silent() -> AsyncGenerator[str]:
    """The address of something that accepts connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in writers:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_call_made_while_the_rpc_starts_ends_at_its_own_deadline(silent: str, work: type[Work]) -> None:
    rpc = Rpc(KafkaBroker(silent, logger=None), limits=NOBODY_ANSWERS)
    starting = asyncio.create_task(rpc.start())
    await asyncio.sleep(0)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await client(work).twice.with_options(timeout=0.2)(21)
    assert time.monotonic() - started < 8
    with pytest.raises(TransportError):
        await starting


async def test_a_start_without_kafka_fails_with_its_address_within_the_start_timeout_and_ends_waiting_calls(
    silent: str, work: type[Work]
) -> None:
    for address in (silent, "127.0.0.1:1"):
        rpc = Rpc(KafkaBroker(address, logger=None), limits=NOBODY_ANSWERS)
        starting = asyncio.create_task(rpc.start())
        await asyncio.sleep(0)
        call = asyncio.create_task(client(work).twice.with_options(timeout=30)(21))
        started = time.monotonic()
        with pytest.raises(TransportError, match=address):
            await starting
        assert time.monotonic() - started < 10
        with pytest.raises(Unavailable):
            await call
