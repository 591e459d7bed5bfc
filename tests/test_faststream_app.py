"""An Rpc and the FastStream app that it lives with, on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from faststream import FastStream
from faststream.asgi import AsgiFastStream
from faststream.kafka import KafkaBroker

from real_kafka import FEW
from typedrpc import Limits, Rpc, Unavailable, UsageError, client
from work_service import Work

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(90), pytest.mark.usefixtures("no_task_left_running")]


@pytest.fixture
def rpc(broker: KafkaBroker) -> Rpc:
    return Rpc(broker, topics=FEW)


@asynccontextmanager
async def running(app: FastStream) -> AsyncGenerator[None]:
    """Runs the app as its command line does; it has started inside the block."""
    started = asyncio.Event()
    app.after_startup(started.set)
    run = asyncio.create_task(app.run())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if run.done():
            await run
        yield
    finally:
        waiting.cancel()
        app.exit()
        await run


class Lifespan:
    """The server's side of an ASGI lifespan."""

    def __init__(self, app: AsgiFastStream) -> None:
        self.sent: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._receive: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._task = asyncio.create_task(app({"type": "lifespan"}, self._receive.get, self.sent.put))

    async def event(self, name: str) -> MutableMapping[str, Any]:
        await self._receive.put({"type": f"lifespan.{name}"})
        return await self.sent.get()

    async def end(self) -> None:
        await self._task


async def test_an_app_serves_from_its_start_to_its_stop(rpc: Rpc, broker: KafkaBroker, work: type[Work]) -> None:
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    rpc.serve(work())
    async with running(app):
        assert await client(work).twice(21) == 42
    with pytest.raises(UsageError, match="no Rpc runs"):
        await client(work).twice(21)


@pytest.mark.parametrize("made_by", ["as_asgi", "attached itself"])
async def test_an_asgi_app_serves_from_its_startup_event_to_its_shutdown_event(
    rpc: Rpc, broker: KafkaBroker, work: type[Work], made_by: str
) -> None:
    if made_by == "as_asgi":
        plain = FastStream(broker, logger=None)
        rpc.attach(plain)
        app = plain.as_asgi()
    else:
        app = AsgiFastStream(broker, logger=None)
        rpc.attach(app)
    rpc.serve(work())
    lifespan = Lifespan(app)
    assert (await lifespan.event("startup"))["type"] == "lifespan.startup.complete"
    assert await client(work).twice(21) == 42
    assert (await lifespan.event("shutdown"))["type"] == "lifespan.shutdown.complete"
    await lifespan.end()
    with pytest.raises(UsageError):
        await client(work).twice(21)


async def test_clients_work_in_startup_hooks_after_attach_in_plain_subscribers_and_in_after_startup(
    rpc: Rpc, broker: KafkaBroker, named: Callable[[], type[Work]], unique: Callable[[str], str]
) -> None:
    elsewhere, here, topic = named(), named(), unique("plain")
    heard = asyncio.Event()
    seen: list[int] = []

    @broker.subscriber(topic, group_id=topic, auto_offset_reset="earliest")
    async def plain(number: int) -> None:
        seen.append(await client(here).twice(number))
        heard.set()

    app = FastStream(broker, logger=None)
    rpc.attach(app)
    rpc.serve(here())

    @app.on_startup
    async def early() -> None:
        seen.append(await client(elsewhere).twice(1))

    @app.after_startup
    async def late() -> None:
        seen.append(await client(here).twice(2))
        await broker.publish(3, topic)

    assert callable(plain)
    assert callable(early)
    assert callable(late)
    other = Rpc(KafkaBroker(broker_address(broker), logger=None), topics=FEW)
    other.serve(elsewhere())
    ended = await in_another_loop(other)
    try:
        async with running(app):
            await asyncio.wait_for(heard.wait(), 30)
    finally:
        await ended()
    assert seen == [2, 4, 6]


async def test_a_running_handler_finishes_and_plain_subscribers_and_clients_still_work_while_the_app_drains(
    rpc: Rpc, broker: KafkaBroker, named: Callable[[], type[Work]], unique: Callable[[str], str]
) -> None:
    slow, quick, topic = named(), named(), unique("plain")
    heard = asyncio.Event()

    @broker.subscriber(topic, group_id=topic, auto_offset_reset="earliest")
    async def plain(number: int) -> None:
        assert await client(quick).twice(number) == 2 * number
        heard.set()

    assert callable(plain)
    other = Rpc(KafkaBroker(broker_address(broker), logger=None), topics=FEW)
    other.serve(quick())
    ended = await in_another_loop(other)
    instance = slow()
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    rpc.serve(instance)
    try:
        await app.start()
        call = asyncio.create_task(client(slow).wait())
        await instance.started.wait()
        stopping = asyncio.create_task(app.stop())
        await asyncio.sleep(0.3)
        await broker.publish(1, topic)
        await asyncio.wait_for(heard.wait(), 30)
        assert not stopping.done()
        instance.finish.set()
        assert await call == "done"
        await stopping
    finally:
        await ended()


async def test_a_later_hook_that_raises_stops_the_rpc(rpc: Rpc, broker: KafkaBroker, work: type[Work]) -> None:
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    rpc.serve(work())

    @app.after_startup
    async def broken() -> None:
        assert await client(work).twice(21) == 42
        raise ZeroDivisionError

    assert callable(broken)
    with pytest.raises(ZeroDivisionError):
        async with running(app):
            pass
    with pytest.raises(UsageError, match="no Rpc runs"):
        await client(work).twice(21)
    await broker.stop()  # FastStream itself leaves it running


async def test_a_later_startup_hook_that_raises_stops_the_rpc_in_an_asgi_app_too(
    rpc: Rpc, broker: KafkaBroker, work: type[Work]
) -> None:
    app = AsgiFastStream(broker, logger=None)
    rpc.attach(app)

    @app.on_startup
    async def broken() -> None:
        raise ZeroDivisionError

    assert callable(broken)
    lifespan = Lifespan(app)
    assert (await lifespan.event("startup"))["type"] == "lifespan.startup.failed"
    with pytest.raises(ZeroDivisionError):
        await lifespan.end()
    with pytest.raises(UsageError, match="no Rpc runs"):
        await client(work).twice(21)


async def test_a_start_that_finds_topics_missing_leaves_nothing_behind(
    broker: KafkaBroker, named: Callable[[], type[Work]]
) -> None:
    missing, there = named(), named()
    rpc = Rpc(broker, topics=FEW, create_topics=False)
    rpc.serve(missing())
    async with Rpc(broker, topics=FEW) as maker:
        maker.serve(there())
        await maker.ready()
    rpc.serve(there())
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    with pytest.raises(Exception, match="topics are missing"):
        async with running(app):
            pass
    with pytest.raises(UsageError, match="no Rpc runs"):
        await client(missing).twice(1)
    await broker.stop()


async def test_the_users_own_lifespan_goes_on_around_the_rpc(rpc: Rpc, broker: KafkaBroker, work: type[Work]) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        seen.append("open")
        yield
        seen.append(f"closed after {rpc.pending_calls} pending calls")
        with pytest.raises(UsageError):
            await client(work).twice(1)

    app = FastStream(broker, logger=None, lifespan=lifespan)
    rpc.attach(app)
    rpc.serve(work())
    async with running(app):
        assert await client(work).twice(1) == 2
    assert seen == ["open", "closed after 0 pending calls"]


async def test_extra_options_of_the_command_line_reach_the_users_hooks_only(rpc: Rpc, broker: KafkaBroker) -> None:
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    seen: list[str] = []

    @app.on_startup
    async def configure(env: str) -> None:
        seen.append(env)

    assert callable(configure)
    await app.start(env=".env")
    await app.stop()
    assert seen == [".env"]


async def test_an_app_stopped_while_it_starts_stops_cleanly(rpc: Rpc, broker: KafkaBroker, work: type[Work]) -> None:
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    rpc.serve(work())
    app.on_startup(app.exit)
    await asyncio.wait_for(app.run(), 30)
    with pytest.raises(UsageError, match="no Rpc runs"):
        await client(work).twice(1)


def test_an_app_without_the_rpcs_broker_is_refused(rpc: Rpc, kafka: str) -> None:
    for app in (FastStream(KafkaBroker(kafka)), AsgiFastStream(KafkaBroker(kafka)), FastStream()):
        with pytest.raises(UsageError, match="FastStream\\(broker\\)"):
            rpc.attach(app)
    with pytest.raises(UsageError):
        Rpc.in_memory().attach(FastStream(KafkaBroker(kafka)))


async def test_a_stop_with_a_handler_that_outlives_the_drain_timeout_ends_its_call_unavailable(
    broker: KafkaBroker, kafka: str, work: type[Work]
) -> None:
    instance = work()
    rpc = Rpc(broker, topics=FEW, limits=Limits(drain_timeout=0.5))
    rpc.serve(instance)
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    async with Rpc(KafkaBroker(kafka, logger=None), topics=FEW) as caller:
        await app.start()
        call = asyncio.create_task(caller.client(work).wait())
        await instance.started.wait()
        await app.stop()
        with pytest.raises(Unavailable, match="stopped before the handler ended"):
            await call


# A second process, as far as the Rpcs of a test are concerned: its unbound clients are in another event loop.


def broker_address(broker: KafkaBroker) -> str:
    (address,) = broker.specification.url
    return address


async def in_another_loop(rpc: Rpc) -> Callable[[], Any]:
    """Starts it in a thread; answers with what stops it."""
    loop = asyncio.new_event_loop()
    thread = asyncio.get_running_loop().run_in_executor(None, loop.run_forever)
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(rpc.start(), loop))

    async def stop() -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(rpc.stop(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await thread
        loop.close()

    return stop


@pytest.fixture(autouse=True)
def exit_signals_are_put_back() -> Iterator[None]:
    """`FastStream.run` sets handlers for them; without this a test run could not be stopped."""
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
