"""Clients and local objects: what calls them, what they answer, and what is wrong use."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol, cast

import pytest
from pydantic import BaseModel

from typedrpc import (
    Call,
    DataLoss,
    InternalError,
    InvalidArgument,
    NotFound,
    Oneway,
    Reply,
    Rpc,
    RpcError,
    Service,
    Status,
    Unary,
    UsageError,
    client,
    current_call,
    options,
    service,
)


class Message(BaseModel):
    text: str


class Missing(RpcError, code=Status.NOT_FOUND):
    id: int


class Echo(Service, Protocol, service="echo"):
    VERSION: int = 3

    @service.method
    async def echo(self, msg: Message) -> Message: ...

    @service.method(raises=[Missing])
    async def get(self, id: int) -> Message: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...

    @service.method(name="who-is-it")
    async def who(self) -> dict[str, str]: ...

    def _private(self) -> int:
        return 1


class EchoServer(Echo):
    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.calls: list[Call] = []

    @service.method
    async def echo(self, ctx: Call, msg: Message) -> Message:
        assert current_call() is ctx
        self.calls.append(ctx)
        ctx.reply_metadata["tenant"] = ctx.metadata.get("tenant", "nobody")
        return msg

    @service.method
    async def get(self, id: int) -> Message:
        raise Missing("nobody", id=id)

    @service.method(oneway=True)
    async def log(self, line: str) -> None:
        self.lines.put_nowait(line)

    @service.method
    async def who(self) -> dict[str, str]:
        return dict(current_call().metadata)

    async def helper(self) -> int:
        return 1


EchoClient = client(Echo)
HI = Message(text="hi")


def serving(server: object | None = None) -> Rpc:
    rpc = Rpc.in_memory()
    rpc.serve(server or EchoServer())
    return rpc


async def test_bound_methods_sit_in_the_clients_dictionary() -> None:
    assert set(vars(EchoClient)) == {"echo", "get", "log", "who"}
    assert EchoClient.echo is EchoClient.echo
    assert isinstance(EchoClient.echo, Unary)
    assert isinstance(EchoClient.log, Oneway)
    assert not hasattr(EchoClient.log, "with_reply")


def test_a_client_is_of_its_contracts_class_and_names_it() -> None:
    other = client(Echo)
    assert Echo in type(EchoClient).__mro__
    assert repr(EchoClient) == "<EchoClient>"
    assert EchoClient != other
    assert len({EchoClient, other, EchoClient}) == 2


def test_what_is_no_rpc_method_is_no_attribute_of_a_client() -> None:
    concrete = client(EchoServer)
    for made, names in ((EchoClient, ["VERSION", "unknown"]), (concrete, ["helper", "lines", "calls"])):
        for name in names:
            with pytest.raises(AttributeError, match=rf"{name} is no RPC method, so its client has none"):
                getattr(made, name)
            assert not hasattr(made, name)


@pytest.mark.parametrize(
    "what", [int, "echo", None, Message, Service, EchoServer(), Echo.echo, type("Empty", (Service,), {})]
)
def test_a_client_of_what_is_no_service_is_refused(what: Any) -> None:
    with pytest.raises(UsageError, match="is no service"):
        client(what)
    with pytest.raises(UsageError, match="is no service"):
        Rpc.in_memory().client(what)


def test_what_cannot_be_served_is_refused() -> None:
    rpc = Rpc.in_memory()
    with pytest.raises(UsageError, match=r"serve\(EchoServer\): give an object, `EchoServer\(...\)`, not the class"):
        rpc.serve(EchoServer)
    for what in (3, Message(text="x"), None):
        with pytest.raises(UsageError, match="its class is no service: derive it from Service or decorate it"):
            rpc.serve(what)
    rpc.serve(EchoServer())
    with pytest.raises(UsageError, match="service 'echo' is served already"):
        rpc.serve(EchoServer())


async def test_a_call_without_a_running_rpc_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="no Rpc runs: call inside `async with rpc:`, an attached app or a handler"):
        await EchoClient.echo(HI)
    rpc = serving()
    bound = rpc.client(Echo)
    remedy = "this Rpc does not run: call inside `async with rpc:` or an attached app"
    with pytest.raises(UsageError, match=remedy):
        await bound.echo(HI)
    async with rpc:
        assert await bound.echo(HI) == HI
    with pytest.raises(UsageError, match=remedy):
        await bound.echo(HI)
    with pytest.raises(UsageError, match="no Rpc runs"):
        await EchoClient.log("line")


async def test_an_rpc_may_start_again() -> None:
    rpc = serving()
    bound = rpc.client(Echo)
    for _ in range(2):
        async with rpc:
            assert await bound.echo(HI) == await EchoClient.echo(HI) == HI


async def test_with_two_rpcs_a_client_must_be_bound() -> None:
    async with serving() as one, serving() as two:
        with pytest.raises(UsageError, match=r"2 Rpcs run in this event loop: use a client made by `rpc\.client"):
            await EchoClient.echo(HI)
        assert await one.client(Echo).echo(HI) == await two.client(Echo).echo(HI) == HI
    async with serving():
        assert await EchoClient.echo(HI) == HI


class Front(Service, service="front"):
    """Calls another service on the Rpc that serves it."""

    @service.method
    async def ask(self) -> Message:
        return await EchoClient.echo(HI)


async def test_inside_a_handler_a_client_uses_the_rpc_that_serves_it() -> None:
    one, two = serving(server := EchoServer()), serving(other := EchoServer())
    one.serve(Front())
    async with one, two:
        assert await one.client(Front).ask() == HI
    assert (len(server.calls), len(other.calls)) == (1, 0)


async def test_an_rpc_belongs_to_its_event_loop() -> None:
    async with serving() as rpc:
        bound = rpc.client(Echo)

        async def elsewhere(echo: Echo) -> Message:
            return await echo.echo(HI)

        with pytest.raises(UsageError, match="this Rpc runs in another event loop: make one for this loop"):
            await asyncio.to_thread(asyncio.run, elsewhere(bound))
        with pytest.raises(UsageError, match="no Rpc runs in this event loop; one runs in another: call inside"):
            await asyncio.to_thread(asyncio.run, elsewhere(EchoClient))


async def test_a_handler_sees_its_call() -> None:
    async with serving(server := EchoServer()):
        now = asyncio.get_running_loop().time()
        await EchoClient.echo.with_options(metadata={"tenant": "a"}, timeout=5)(HI)
        await EchoClient.echo(HI)
        assert await EchoClient.who.with_options(metadata={"tenant": "b"})() == {"tenant": "b"}
    first, second = server.calls
    assert first.method == "echo/echo"
    assert first.metadata == {"tenant": "a"}
    assert first.deadline is not None
    assert now + 4 < first.deadline < now + 6
    assert first.reply_metadata == {"tenant": "a"}
    assert second.metadata == {}
    nonce, _, count = first.correlation_id.partition("-")
    assert len(nonce) == 32
    assert count
    assert second.correlation_id != first.correlation_id
    assert second.correlation_id.startswith(nonce)


async def test_a_reply_comes_with_its_metadata_and_times() -> None:
    async with serving():
        reply = await EchoClient.echo.with_options(metadata={"tenant": "a"}).with_reply(HI)
        assert isinstance(reply, Reply)
        assert reply.value == HI
        assert reply.metadata == {"tenant": "a"}
        assert 0 <= reply.queue_time < 1
        assert 0 <= reply.exec_time < 1
        with pytest.raises(Missing):
            await EchoClient.get.with_reply(3)


async def test_a_oneway_returns_nothing_and_arrives() -> None:
    async with serving(server := EchoServer()):
        result: object = await cast("Any", EchoClient).log("line")
        assert result is None
        assert await server.lines.get() == "line"


async def test_a_declared_error_is_caught_with_its_fields() -> None:
    async with serving():
        with pytest.raises(Missing) as caught:
            await EchoClient.get(7)
    assert (caught.value.message, caught.value.id) == ("nobody", 7)


async def test_wrong_arguments_are_refused_here() -> None:
    async with serving(server := EchoServer()):
        wrong = cast("Any", EchoClient)
        with pytest.raises(TypeError, match="missing a required argument: 'msg'"):
            await wrong.echo()
        with pytest.raises(TypeError, match="unexpected keyword argument 'message'"):
            await wrong.echo(HI, message=HI)
        with pytest.raises(
            InvalidArgument, match=r"echo: msg: a str does not fit its type, .*Message; nothing was sent"
        ):
            await wrong.echo("hi")
    assert server.calls == []


class Telling(Service, service="telling"):
    def __init__(self, word: object) -> None:
        self._word = word

    @service.method
    async def tell(self) -> list[str]:
        return cast("list[str]", self._word)


class OtherTelling(Service, Protocol, service="telling"):
    @service.method
    async def tell(self) -> int: ...


async def test_a_reply_that_is_not_what_the_contract_says_is_an_error_that_says_so() -> None:
    async with serving(Telling(["s3cret"])):
        assert await client(Telling).tell() == ["s3cret"]
        with pytest.raises(
            DataLoss, match="telling/tell: the reply is not what the contract says: body: Input should be"
        ) as e:
            await client(OtherTelling).tell()
    assert "s3cret" not in str(e.value)


class Unwritable(Service, service="unwritable"):
    @service.method
    async def at_once(self) -> str:
        return "\ud800"

    @service.method
    async def later(self) -> str:
        await asyncio.sleep(0)
        raise NotFound("\ud800")


async def test_an_answer_that_cannot_be_written_is_an_internal_error_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "typedrpc")  # a lone surrogate in a captured log breaks the report of the worker
    async with serving(Unwritable()):
        for method in (client(Unwritable).at_once, client(Unwritable).later):
            with pytest.raises(InternalError, match="the handler failed, see the server's log"):
                await asyncio.wait_for(method(), 1)


async def test_a_local_object_answers_like_a_client() -> None:
    server = EchoServer()
    echo: Echo = server
    assert await echo.echo(HI) == HI
    assert (server.calls[0].method, server.calls[0].deadline) == ("echo", None)
    reply = await echo.echo.with_options(metadata={"tenant": "a"}, timeout=2).with_reply(HI)
    assert (reply.value, reply.metadata) == (HI, {"tenant": "a"})
    with options(metadata={"tenant": "b", "more": "c"}):
        assert (await echo.echo.with_reply(HI)).metadata == {"tenant": "b"}
        assert (await echo.echo.with_options(metadata={"tenant": "a"}).with_reply(HI)).metadata == {"tenant": "a"}
    with pytest.raises(Missing):
        await echo.get(3)
    await echo.log("line")
    assert server.lines.get_nowait() == "line"


async def test_current_call_is_the_local_calls_own_one() -> None:
    assert current_call().method == "local"
    assert await EchoServer().who() == {}
    assert await EchoServer().who.with_options(metadata={"tenant": "a"})() == {"tenant": "a"}
    assert current_call().metadata == {}


async def test_an_object_may_call_its_base_class() -> None:
    class Louder(EchoServer):
        @service.method
        async def echo(self, ctx: Call, msg: Message) -> Message:
            quiet = await super().echo(msg)
            ctx.reply_metadata["loud"] = "yes"
            return Message(text=quiet.text.upper())

    async with serving(Louder()):
        reply = await EchoClient.echo.with_options(metadata={"tenant": "a"}).with_reply(HI)
    assert reply.value.text == "HI"
    assert reply.metadata == {"tenant": "a", "loud": "yes"}


async def test_a_local_call_inside_a_handler_keeps_its_deadline() -> None:
    class Wrapper(Service, service="wrapper"):
        def __init__(self, inner: EchoServer) -> None:
            self._inner = inner

        @service.method
        async def ask(self) -> dict[str, str]:
            await self._inner.echo.with_options(metadata={"tenant": "inner"})(HI)
            return await self._inner.who()

    async with serving(Wrapper(inner := EchoServer())):
        assert await client(Wrapper).ask.with_options(timeout=5, metadata={"tenant": "outer"})() == {"tenant": "outer"}
    assert inner.calls[0].metadata == {"tenant": "inner"}
    assert inner.calls[0].deadline is not None
