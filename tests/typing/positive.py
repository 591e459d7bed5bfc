"""What both type checkers must accept, with the types that they must see. Never run."""

from __future__ import annotations

from typing import Literal, Protocol, TypeVar, assert_type

from faststream.kafka import KafkaBroker
from pydantic import BaseModel
from typing_extensions import override

from typedrpc import (
    Call,
    ErrorDetail,
    InternalError,
    InvalidArgument,
    Method,
    Oneway,
    Reply,
    Retry,
    Rpc,
    RpcError,
    Service,
    Status,
    Unary,
    client,
    current_call,
    options,
    service,
)
from typedrpc.testing import TestRpc, mock


class Message(BaseModel):
    text: str


class NotFound(RpcError, code=Status.NOT_FOUND):
    id: int
    hint: str = ""


class Echo(Service, Protocol, service="echo"):
    @service.method
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message: ...

    @service.method(raises=[NotFound], timeout=5)
    async def get(self, id: int) -> Message: ...

    @service.method(idempotent=True, retry=Retry(attempts=3))
    async def count(self) -> int: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...


class EchoServer(Echo):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @override
    @service.method
    async def echo(self, ctx: Call, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        assert_type(ctx.deadline, float | None)
        return Message(text=self._prefix + msg.text)

    @service.method
    async def get(self, id: int) -> Message:
        raise NotFound("nobody", id=id)

    @service.method
    async def count(self) -> int:
        return 1

    @service.method(oneway=True)
    async def log(self, ctx: Call, line: str) -> None: ...


class OneClass(Service, service="one", topic="ones", delivery="at_most_once"):
    @service.method
    async def double(self, number: int) -> int:
        return 2 * number


@service
class Bare:
    @service.method
    async def ping(self) -> None: ...


@service(service="named", topic="named-topic")
class Named:
    @service.method
    async def ping(self) -> None: ...


class Plain(Service, Protocol, service="plain"):
    @service.method(topic="echo-topic", dialect="faststream")
    async def echo(self, text: str) -> str: ...


T = TypeVar("T", bound=BaseModel)


class Crud(Service, Protocol[T], service="crud"):
    @service.method
    async def save(self, item: T) -> T: ...


class MessageCrud(Crud[Message]):
    @service.method
    async def save(self, item: Message) -> Message:
        return item


class Admin(Service, Protocol, service="admin"):
    @service.method
    async def stop(self) -> None: ...


class Both(Echo, Admin, Protocol, service="both"): ...


async def business(echo: Echo) -> str:
    return (await echo.echo(Message(text="hi"))).text


class Fake(Echo):
    @service.method
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        return msg

    @service.method
    async def get(self, id: int) -> Message:
        return Message(text=str(id))

    @service.method
    async def count(self) -> int:
        return 0

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...


EchoClient = client(Echo)
assert_type(EchoClient, Echo)
assert_type(client(Echo, timeout=3, metadata={"tenant": "a"}), Echo)
assert_type(client(OneClass), OneClass)
assert_type(client(Bare), Bare)
assert_type(client(Named), Named)
assert_type(client(Crud[Message]), Crud[Message])


async def calls() -> None:
    assert_type(await EchoClient.echo(Message(text="x")), Message)
    assert_type(await EchoClient.echo(msg=Message(text="x"), mode="shout"), Message)
    assert_type(await EchoClient.get(3), Message)
    assert_type(await EchoClient.count.with_options(retry=Retry(attempts=2))(), int)
    await EchoClient.log("line")
    await EchoClient.log.with_options(key="k")("line")
    bound = EchoClient.echo.with_options(timeout=2, key="u1", metadata={"tenant": "a"})
    assert_type(await bound(Message(text="x"), mode="plain"), Message)
    reply = await bound.with_reply(Message(text="x"))
    assert_type(reply, Reply[Message])
    assert_type(reply.value, Message)
    assert_type(reply.queue_time, float)
    with options(timeout=2, metadata={"a": "b"}, retry=Retry()):
        assert_type(await client(OneClass).double(4), int)
    assert_type(await client(Crud[Message]).save(Message(text="x")), Message)
    assert_type(await client(Plain).echo("x"), str)
    assert_type(await client(Both).echo(Message(text="x")), Message)
    await client(Both).stop()
    await business(EchoClient)
    await business(EchoServer("> "))
    await business(Fake())
    await business(mock(Echo, echo=Message(text="x")))
    local = EchoServer("> ")
    assert_type(await local.echo(Message(text="x")), Message)
    assert_type(await local.echo.with_options(metadata={"a": "b"}).with_reply(Message(text="x")), Reply[Message])
    assert_type(current_call(), Call)


def kinds() -> None:
    method: Method[Unary[[int], int]] = OneClass.double
    unary: Unary[[int], Message] = EchoClient.get
    oneway: Oneway[[str]] = EchoClient.log
    del method, unary, oneway


async def lives(broker: KafkaBroker) -> None:
    rpc = Rpc(broker, timeout=3)
    rpc.serve(EchoServer("> "), OneClass(), Bare())
    async with rpc as started:
        assert_type(started, Rpc)
        assert_type(rpc.client(Echo), Echo)
        assert_type(await rpc.request("echo-topic", b"x", timeout=10), bytes)
    async with TestRpc(rpc) as tested:
        assert_type(tested, Rpc)


async def failures() -> None:
    try:
        await EchoClient.get(3)
    except NotFound as error:
        assert_type(error.id, int)
    except InvalidArgument as error:
        assert_type(error.errors, list[ErrorDetail])
    except InternalError as error:
        assert_type(error.error_id, str)


def errors() -> None:
    error = NotFound("nobody", id=3)
    assert_type(error.id, int)
    assert_type(error.hint, str)
    assert_type(error.message, str)
    assert_type(error.code, Status)
