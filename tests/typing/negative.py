"""What both type checkers must refuse: each line marked `# error`, and no other. Never run."""

from __future__ import annotations

from typing import Protocol, TypeVar

from pydantic import BaseModel

from typedrpc import Call, Reply, Retry, Rpc, RpcError, Service, Status, client, options, service


class Message(BaseModel):
    text: str


class NotFound(RpcError, code=Status.NOT_FOUND):
    id: int


class Echo(Service, Protocol, service="echo"):
    @service.method
    async def echo(self, msg: Message, *, loud: bool = False) -> Message: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...


class EchoServer(Echo):
    @service.method
    async def echo(self, ctx: Call, msg: Message, *, loud: bool = False) -> Message:
        return msg

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...


class Incomplete(Echo):
    @service.method
    async def echo(self, msg: Message, *, loud: bool = False) -> Message:
        return msg


class Changed(Echo):
    @service.method
    async def echo(self, msg: int, *, loud: bool = False) -> Message:  # error
        return Message(text=str(msg))


class Renamed(Echo):
    @service.method
    async def echo(self, message: Message, *, loud: bool = False) -> Message:  # error
        return message


class Undecorated(Echo):
    async def echo(self, msg: Message, *, loud: bool = False) -> Message:  # error
        return msg


class Replying(Echo):
    @service.method
    async def log(self, line: str) -> None: ...  # error


T = TypeVar("T", bound=BaseModel)


class Crud(Service, Protocol[T]):
    @service.method
    async def save(self, item: T) -> T: ...


EchoClient = client(Echo)


async def business(echo: Echo) -> None:
    await echo.log("line")


async def wrong_calls() -> None:
    await EchoClient.echo()  # error
    await EchoClient.echo("text")  # error
    await EchoClient.echo(Message(text="x"), True)  # error
    await EchoClient.echo(Message(text="x"), loud="yes")  # error
    await EchoClient.echo(Message(text="x"), quiet=True)  # error
    await EchoClient.echoes(Message(text="x"))  # error
    await EchoClient.log(3)  # error
    await EchoClient.log.with_reply("line")  # error
    await EchoClient.echo.with_options(timeout="2")(Message(text="x"))  # error
    await EchoClient.echo.with_options(timeouts=2)(Message(text="x"))  # error
    await EchoClient.echo.with_options(retry=3)(Message(text="x"))  # error
    await EchoClient.echo.with_options(timeout=2)("text")  # error
    number: int = await EchoClient.echo(Message(text="x"))  # error
    reply: Reply[int] = await EchoClient.echo.with_reply(Message(text="x"))  # error
    await EchoServer().echo("text")  # error
    del number, reply
    await Echo.echo(Message(text="x"))  # error
    await Rpc.in_memory().client(Echo).echo("text")  # error
    await client(Crud[Message]).save(3)  # error
    await business(EchoServer)  # error
    await business(client(Crud[Message]))  # error
    await EchoServer().echo.with_options(metadata={"a": 1})(Message(text="x"))  # error


def wrong_uses() -> None:
    Echo()  # error
    Incomplete()  # error
    NotFound("nobody")  # error
    NotFound("nobody", id="3")  # error
    NotFound("nobody", idd=3)  # error
    NotFound("nobody", 3)  # error
    print(NotFound("nobody", id=3).idd)  # error
    client(3)  # error
    client(Echo, timeout="2")  # error
    client(Crud[int])  # error
    options(timeouts=2)  # error
    options(timeout="2")  # error
    options(retry=2)  # error
    Retry(attempt=2)  # error
    Rpc.in_memory(timeout="1")  # error


class Wrong(Service):
    @service.method(raises=[ValueError])  # error
    async def raises(self) -> None: ...

    @service.method(oneway=True)  # error
    async def replies(self) -> int:
        return 1

    @service.method  # error
    def sync(self) -> int:
        return 1

    @service.method(dialect="grpc")  # error
    async def dialect(self) -> None: ...

    @service.method(oneway=True, raises=[NotFound])  # error
    async def oneway_with_errors(self) -> None: ...

    @service.method(delivery="exactly_once")  # error
    async def delivery(self) -> None: ...

    @service.method(timeout="2")  # error
    async def timeout(self) -> None: ...


class WrongOptions(Service, services="wrong"):  # error
    pass


@service(delivery="exactly_once")  # error
class WrongDelivery:
    pass
