"""Calls between a client and a server, in memory and on the real Kafka alike."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Literal, Protocol, cast

import pytest
from faststream.kafka import KafkaBroker
from faststream.security import SASLPlaintext
from pydantic import BaseModel, Field

from typedrpc import (
    Call,
    DeadlineExceeded,
    InternalError,
    InvalidArgument,
    Limits,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Rpc,
    RpcError,
    Service,
    Status,
    TransportError,
    Unavailable,
    Unimplemented,
    client,
    options,
    service,
)

Unique = Callable[[str], str]


class Message(BaseModel):
    text: str


class Broken(RpcError, code=Status.FAILED_PRECONDITION):
    part: str
    count: int = 1


class Kit(Service, Protocol, service="kit"):
    """Never served under this name: `made` derives a contract with a name of its own."""

    @service.method
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message: ...

    @service.method
    async def positive(self, number: Annotated[int, Field(gt=0)]) -> int: ...

    @service.method(raises=[Broken])
    async def fail(self, how: str) -> None: ...

    @service.method
    async def sleep(self, seconds: float) -> None: ...

    @service.method
    async def blob(self, data: bytes, times: int) -> bytes: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...

    @service.method
    async def who(self) -> dict[str, str]: ...

    @service.method
    async def lie(self) -> int: ...


class KitServer:
    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.running = 0
        self.most = 0
        self.started = asyncio.Event()


def made(unique: Unique) -> tuple[Callable[..., Kit], Kit, KitServer]:
    """A contract on a topic of its own, a server of it, and what the server notes."""

    class Own(Kit, Protocol, service=unique("kit")): ...

    notes = KitServer()

    class Server(Own):
        @service.method
        async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
            return Message(text=msg.text.upper()) if mode == "shout" else msg

        @service.method
        async def positive(self, number: Annotated[int, Field(gt=0)]) -> int:
            return number

        @service.method
        async def fail(self, how: str) -> None:
            if how == "declared":
                raise Broken("it broke", part="axle", count=2)
            if how == "built-in":
                raise PermissionDenied("not you")
            if how == "cancel":
                raise asyncio.CancelledError
            raise KeyError("a secret")

        @service.method
        async def sleep(self, seconds: float) -> None:
            notes.running += 1
            notes.started.set()
            notes.most = max(notes.most, notes.running)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                notes.lines.put_nowait("cancelled")
                raise
            finally:
                notes.running -= 1

        @service.method
        async def blob(self, data: bytes, times: int) -> bytes:
            return data * times

        @service.method(oneway=True)
        async def log(self, line: str) -> None:
            notes.lines.put_nowait(line)

        @service.method
        async def who(self, ctx: Call) -> dict[str, str]:
            ctx.reply_metadata["server"] = "one"
            return {**ctx.metadata, "method": ctx.method}

        @service.method
        async def lie(self) -> int:
            return cast("int", "no number")

    return Own, Server(), notes


@contextlib.asynccontextmanager
async def running(
    make_rpc: Callable[..., Rpc], unique: Unique, **settings: Any
) -> AsyncGenerator[tuple[Kit, KitServer, Rpc]]:
    contract, server, notes = made(unique)
    rpc = make_rpc(**settings)
    rpc.serve(server)
    async with rpc:
        yield rpc.client(contract), notes, rpc


async def test_a_call_is_answered_with_the_handlers_value(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        assert await kit.echo(Message(text="hi")) == Message(text="hi")
        assert await kit.echo(Message(text="hi"), mode="shout") == Message(text="HI")


async def test_a_thousand_calls_at_once_each_get_their_own_reply(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        replies = await asyncio.gather(*(kit.positive(n) for n in range(1, 1001)))
    assert replies == list(range(1, 1001))


async def test_a_declared_error_arrives_as_itself_with_its_fields(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(Broken) as caught:
            await kit.fail("declared")
    assert (caught.value.message, caught.value.part, caught.value.count) == ("it broke", "axle", 2)


async def test_a_built_in_error_may_be_raised_undeclared(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(PermissionDenied, match="not you"):
            await kit.fail("built-in")


@pytest.mark.parametrize("how", ["undeclared", "cancel"])
async def test_any_other_exception_arrives_as_internal_with_an_id_that_the_log_has_and_nothing_else(
    make_rpc: Callable[..., Rpc], unique: Unique, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(InternalError) as caught:
            await kit.fail(how)
    assert "secret" not in str(caught.value)
    assert caught.value.error_id
    assert caught.value.error_id in caplog.text
    assert "Traceback" in caplog.text


async def test_a_reply_that_is_not_of_the_contracts_type_is_internal_and_never_a_wrong_value(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(InternalError):
            await kit.lie()


async def test_an_error_of_a_nested_call_that_is_not_declared_becomes_internal(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    contract, server, _ = made(unique)
    rpc = make_rpc()
    inner = client(contract)

    class Outer(Service, service=unique("outer")):
        @service.method
        async def forward(self) -> None:
            await inner.fail("built-in")

    rpc.serve(server, Outer())
    async with rpc:
        with pytest.raises(InternalError):
            await rpc.client(Outer).forward()


async def test_a_constraint_is_checked_by_the_server_and_its_finding_arrives_without_the_input(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(InvalidArgument) as caught:
            await kit.positive(-12345)
    (detail,) = caught.value.errors
    assert detail["loc"] == ("number",) or list(detail["loc"]) == ["number"]
    assert detail["type"] == "greater_than"
    assert "12345" not in str(caught.value.errors) + caught.value.message


async def test_metadata_travels_both_ways(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        reply = await kit.who.with_options(metadata={"tenant": "ä", "traceparent": "00-1"}).with_reply()
    assert reply.value["tenant"] == "ä"
    assert reply.value["traceparent"] == "00-1"
    assert reply.metadata == {"server": "one"}
    assert 0 <= reply.queue_time < 10
    assert 0 <= reply.exec_time < 10


async def test_a_oneway_call_returns_when_written_and_runs_its_handler(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique) as (kit, notes, _):
        await kit.log("one")
        assert await asyncio.wait_for(notes.lines.get(), 10) == "one"


async def test_keys_of_any_kind_are_taken(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        for key in ("text", b"bytes", b""):
            assert await kit.positive.with_options(key=key)(1) == 1


async def test_a_deadline_ends_the_call_in_time_and_cancels_the_handler(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique) as (kit, notes, rpc):
        await kit.sleep(0)
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(DeadlineExceeded, match=r"kit-\w+/sleep: "):
            await kit.sleep.with_options(timeout=2)(60)
        assert 1.9 < loop.time() - started < 8
        assert await asyncio.wait_for(notes.lines.get(), 5) == "cancelled"
        assert rpc.pending_calls == 0


async def test_a_handlers_calls_have_no_more_time_than_the_call_that_it_serves(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    contract, server, notes = made(unique)
    rpc = make_rpc()
    inner = client(contract)
    outcome: asyncio.Queue[float] = asyncio.Queue()

    class Outer(Service, service=unique("outer")):
        @service.method
        async def ready(self) -> None: ...

        @service.method
        async def forward(self) -> None:
            loop = asyncio.get_running_loop()
            started = loop.time()
            try:
                await inner.sleep.with_options(timeout=50)(60)
            finally:
                outcome.put_nowait(loop.time() - started)

    rpc.serve(server, Outer())
    async with rpc:
        await inner.sleep(0)
        await rpc.client(Outer).ready()
        with pytest.raises(DeadlineExceeded):
            await rpc.client(Outer).forward.with_options(timeout=3)()
        assert await asyncio.wait_for(outcome.get(), 5) < 10  # and not 50
        assert await asyncio.wait_for(notes.lines.get(), 5) == "cancelled"


async def test_a_call_to_a_service_that_nobody_serves_ends_at_its_deadline(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    contract, _, _ = made(unique)
    async with make_rpc() as rpc:
        await rpc.client(contract).log("x")  # the first record of a topic waits for its leaders
        with options(timeout=1.5), pytest.raises(DeadlineExceeded, match="nobody serves"):
            await rpc.client(contract).echo(Message(text="x"))


async def test_a_method_that_the_server_does_not_know_is_unimplemented(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    name = unique("versions")

    class New(Service, Protocol, service=name):
        @service.method
        async def added(self) -> None: ...

    class Old(Service, service=name):
        @service.method
        async def there(self) -> None: ...

    rpc = make_rpc()
    rpc.serve(Old())
    async with rpc:
        with pytest.raises(Unimplemented, match="added"):
            await rpc.client(New).added()


async def test_a_service_that_its_topic_does_not_have_is_unimplemented(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    name = unique("right")

    class Right(Service, service=name):
        @service.method
        async def there(self) -> None: ...

    class Wrong(Service, Protocol, service=unique("wrong"), topic=name):
        @service.method
        async def there(self) -> None: ...

    rpc = make_rpc()
    rpc.serve(Right())
    async with rpc:
        with pytest.raises(Unimplemented, match="wrong"):
            await rpc.client(Wrong).there()


async def test_two_services_may_share_a_topic(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    topic = unique("shared")

    class One(Service, service=unique("one"), topic=topic):
        @service.method
        async def name(self) -> str:
            return "one"

    class Two(Service, service=unique("two"), topic=topic):
        @service.method
        async def name(self) -> str:
            return "two"

    rpc = make_rpc()
    rpc.serve(One(), Two())
    async with rpc:
        assert [await rpc.client(One).name(), await rpc.client(Two).name()] == ["one", "two"]


async def test_a_request_over_the_limit_is_refused_before_it_is_sent(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(ResourceExhausted, match=r"request body of \d+ bytes"):
            await kit.blob(b"x" * 700 * 1024, 0)
        assert await kit.blob(b"x", 2) == b"xx"


async def test_a_reply_over_the_limit_becomes_resource_exhausted(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, _, _):
        with pytest.raises(ResourceExhausted, match=r"a reply of \d+ bytes"):
            await kit.blob(b"x" * 1024, 1024)
        assert len(await kit.blob(b"x" * 1024, 600)) == 600 * 1024


async def test_no_more_handlers_run_at_once_than_the_limit(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique, limits=Limits(max_concurrency=5)) as (kit, notes, _):
        await asyncio.gather(*(kit.sleep(0.05) for _ in range(40)))
        assert notes.most == 5


async def test_calls_over_max_in_flight_wait_within_their_deadlines(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique, limits=Limits(max_in_flight=3, drain_timeout=0.1)) as (kit, notes, rpc):
        await asyncio.gather(*(kit.sleep(0.05) for _ in range(20)))
        assert notes.most <= 3
        blocked = [asyncio.create_task(kit.sleep(30)) for _ in range(3)]
        await asyncio.sleep(0.3)
        with pytest.raises(DeadlineExceeded, match="could not be sent"):
            await kit.echo.with_options(timeout=0.5)(Message(text="x"))
        for task in blocked:
            task.cancel()
        await asyncio.gather(*blocked, return_exceptions=True)
        assert rpc.pending_calls == 0
        assert await kit.positive(7) == 7


async def test_a_cancelled_call_leaves_nothing_pending(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique, limits=Limits(drain_timeout=0.1)) as (kit, notes, rpc):
        task = asyncio.create_task(kit.sleep(30))
        await notes.started.wait()
        assert rpc.pending_calls == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert rpc.pending_calls == 0


async def test_stopping_ends_pending_calls_with_unavailable(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    contract, _, _ = made(unique)
    rpc = make_rpc(limits=Limits(drain_timeout=0.1))
    async with rpc:
        pending = asyncio.create_task(rpc.client(contract).sleep(30))
        await asyncio.sleep(0.5)
    with pytest.raises(Unavailable, match="stopped"):
        await pending


async def test_a_handler_that_runs_at_a_stop_is_waited_for_and_answered(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    contract, server, notes = made(unique)
    rpc = make_rpc()
    rpc.serve(server)
    async with rpc:
        pending = asyncio.create_task(rpc.client(contract).sleep(1.5))
        await notes.started.wait()
    await pending


async def test_after_the_drain_timeout_handlers_are_cancelled_and_answered_unavailable(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    contract, server, notes = made(unique)
    rpc = make_rpc(limits=Limits(drain_timeout=0.2))
    rpc.serve(server)
    async with rpc:
        pending = asyncio.create_task(rpc.client(contract).sleep(30))
        await notes.started.wait()
    with pytest.raises(Unavailable):
        await pending


async def test_a_call_made_while_the_rpc_starts_waits_for_it(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    contract, server, _ = made(unique)
    rpc = make_rpc()
    rpc.serve(server)
    starting = asyncio.create_task(rpc.start())
    await asyncio.sleep(0)
    reply = await rpc.client(contract).echo(Message(text="early"))
    await starting
    await rpc.stop()
    assert reply == Message(text="early")


@pytest.mark.kafka
async def test_topics_that_are_missing_are_named_and_not_made_where_that_is_off(kafka: str, unique: Unique) -> None:
    name = unique("unmade")

    class Unmade(Service, service=name):
        @service.method
        async def ask(self) -> None: ...

    rpc = Rpc(KafkaBroker(kafka, logger=None), create_topics=False)
    rpc.serve(Unmade())
    for _ in range(2):  # the first try made nothing
        with pytest.raises(TransportError, match=name):
            await rpc.start()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:9092"])
async def test_an_unreachable_broker_is_a_clear_error_within_seconds_that_names_the_address(address: str) -> None:
    rpc = Rpc(KafkaBroker(address, logger=None))
    started = asyncio.get_running_loop().time()
    with pytest.raises(TransportError, match=address):
        await rpc.start()
    assert asyncio.get_running_loop().time() - started < 15


@pytest.mark.kafka
async def test_wrong_credentials_are_a_clear_error(sasl: str) -> None:
    security = SASLPlaintext(username="alice", password="wrong-password")
    with pytest.raises(TransportError, match=sasl) as caught:
        await Rpc(KafkaBroker(sasl, security=security, logger=None)).start()
    assert "wrong-password" not in str(caught.value)


@pytest.mark.kafka
async def test_the_brokers_security_settings_are_used(sasl: str, unique: Unique) -> None:
    contract, server, _ = made(unique)
    rpc = Rpc(KafkaBroker(sasl, security=SASLPlaintext(username="alice", password="alice-secret"), logger=None))
    rpc.serve(server)
    async with rpc:
        assert await rpc.client(contract).positive(1) == 1


async def test_not_found_is_an_error_like_any_other(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    class Finder(Service, service=unique("finder")):
        @service.method
        async def find(self) -> None:
            raise NotFound("gone")

    rpc = make_rpc()
    rpc.serve(Finder())
    async with rpc:
        with pytest.raises(NotFound, match="gone"):
            await rpc.client(Finder).find()


async def test_cancelling_a_call_cancels_its_handler(make_rpc: Callable[..., Rpc], unique: Unique) -> None:
    async with running(make_rpc, unique) as (kit, notes, _):
        task = asyncio.create_task(kit.sleep(30))
        await notes.started.wait()
        task.cancel()
        assert await asyncio.wait_for(notes.lines.get(), 5) == "cancelled"
        await asyncio.gather(task, return_exceptions=True)


async def test_cancelling_a_call_cancels_the_calls_that_its_handler_makes(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    contract, server, notes = made(unique)
    rpc = make_rpc()
    inner = client(contract)

    class Outer(Service, service=unique("outer")):
        @service.method
        async def forward(self) -> None:
            await inner.sleep(30)

    rpc.serve(server, Outer())
    async with rpc:
        task = asyncio.create_task(rpc.client(Outer).forward())
        await notes.started.wait()
        task.cancel()
        assert await asyncio.wait_for(notes.lines.get(), 5) == "cancelled"
        await asyncio.gather(task, return_exceptions=True)


async def test_a_request_that_is_cancelled_while_it_is_queued_never_runs(
    make_rpc: Callable[..., Rpc], unique: Unique
) -> None:
    async with running(make_rpc, unique, limits=Limits(max_concurrency=1)) as (kit, notes, _):
        running_one = asyncio.create_task(kit.sleep(4))  # cancels come well before it ends
        await notes.started.wait()
        queued = [asyncio.create_task(kit.sleep(0.01)) for _ in range(5)]
        await asyncio.sleep(0.3)
        for task in queued:
            task.cancel()
        await running_one
        notes.most = 0
        await kit.positive(1)
        await asyncio.sleep(0.3)
        assert notes.most == 0
        await asyncio.gather(*queued, return_exceptions=True)
