"""What a class must be to be a service, in both styles, and what it is refused for."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import sys
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast
from unittest.mock import AsyncMock

import pytest
from pydantic import BaseModel
from typing_extensions import override

from class_source import run
from typedrpc import Call, Rpc, RpcError, Service, Status, UsageError, client, service


class Message(BaseModel):
    text: str


class User(BaseModel):
    name: str


class Missing(RpcError, code=Status.NOT_FOUND):
    id: int


class Echo(Service, Protocol, service="echo"):
    """Says things again."""

    @service.method
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        """Answer with the message."""
        ...

    @service.method(raises=[Missing], timeout=5)
    async def get(self, id: int) -> Message: ...


class Admin(Service, Protocol, service="admin.v1", topic="admin-topic"):
    @service.method
    async def stop(self) -> str: ...


class EchoServer(Echo):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @override
    @service.method
    async def echo(self, ctx: Call, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        return Message(text=f"{self._prefix}{msg.text} {mode} {ctx.method}")

    @service.method
    async def get(self, id: int) -> Message:
        raise Missing("nobody", id=id)


EchoClient = client(Echo)


async def test_a_server_takes_its_own_parameters_and_serves_a_contract() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(EchoServer("> "))
    async with rpc:
        assert await EchoClient.echo(Message(text="hi")) == Message(text="> hi plain echo/echo")
        with pytest.raises(Missing) as caught:
            await EchoClient.get(3)
    assert caught.value.id == 3


class Double(Service):
    @service.method
    async def double(self, number: int) -> int:
        return 2 * number


@service
class Bare:
    @service.method
    async def ping(self) -> str:
        return "bare"


@service(service="named.v2", topic="named-topic")
class Named:
    @service.method
    async def ping(self) -> str:
        return "named"


async def test_one_class_may_be_contract_and_server() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(Double(), Bare(), Named())
    assert rpc.services == ("Double", "Bare", "named.v2")
    async with rpc:
        assert await client(Double).double(4) == 8
        assert await client(Bare).ping() == "bare"
        assert await client(Named).ping() == "named"


class Quadruple(Double, service="quadruple"):
    @service.method
    async def double(self, number: int) -> int:
        return 2 * await super().double(number)

    @service.method
    async def more(self) -> int:
        return 1


async def test_a_one_class_service_may_be_extended_under_a_new_name() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(Double(), Quadruple())
    async with rpc:
        assert await client(Quadruple).double(4) == 16
        assert await client(Double).double(4) == 8
        assert await client(Quadruple).more() == 1


class LoudEcho(Echo, Protocol, service="loud"):
    @service.method
    async def shout(self, msg: Message) -> Message: ...


class LoudServer(EchoServer, LoudEcho):
    @service.method
    async def shout(self, msg: Message) -> Message:
        return Message(text=msg.text.upper())


async def test_a_contract_may_extend_another_one() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(LoudServer("* "))
    assert rpc.services == ("loud",)
    async with rpc:
        assert (await client(LoudEcho).echo(Message(text="hi"))).text == "* hi plain loud/echo"
        assert (await client(LoudEcho).shout(Message(text="hi"))).text == "HI"


class Both(EchoServer, Admin):
    @service.method
    async def stop(self) -> str:
        return "stopping"


async def test_an_object_may_serve_two_contracts() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(Both(""))
    assert sorted(rpc.services) == ["admin.v1", "echo"]
    async with rpc:
        assert await client(Admin).stop() == "stopping"
        assert (await EchoClient.echo(Message(text="hi"))).text == "hi plain echo/echo"
    with pytest.raises(UsageError, match=r"Both serves Echo, Admin: give one of these"):
        client(Both)


T = TypeVar("T", bound=BaseModel)
K = TypeVar("K", int, str)


class Crud(Service, Protocol[T, K]):
    @service.method
    async def save(self, items: list[T], key: K) -> dict[K, T]: ...

    @service.method
    async def find(self, key: K) -> T | None: ...


class UserServer(Crud[User, int]):
    def __init__(self) -> None:
        self.users: dict[int, User] = {}

    @service.method
    async def save(self, items: list[User], key: int) -> dict[int, User]:
        assert type(key) is int
        self.users[key] = items[0]
        return {key: items[0]}

    @service.method
    async def find(self, key: int) -> User | None:
        return self.users.get(key)


async def test_a_generic_contract_is_closed_by_its_server_and_its_client() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(UserServer())
    users = client(Crud[User, int])
    async with rpc:
        assert await users.save([User(name="ann")], 1) == {1: User(name="ann")}
        assert await users.find(1) == User(name="ann")
        assert await users.find(2) is None
        assert await client(UserServer).find(1) == User(name="ann")


async def test_services_may_be_made_inside_functions() -> None:
    class Local(BaseModel):
        number: int

    class Worse(RpcError):
        local: Local

    class Inner(Service, Protocol, service="inner"):
        @service.method(raises=[Worse])
        async def use(self, local: Local) -> Local: ...

    class InnerServer(Inner):
        @service.method
        async def use(self, local: Local) -> Local:
            if local.number < 0:
                raise Worse(local=local)
            return local

    rpc = Rpc.in_memory()
    rpc.serve(InnerServer())
    async with rpc:
        assert await client(Inner).use(Local(number=1)) == Local(number=1)
        with pytest.raises(Worse) as caught:
            await client(Inner).use(Local(number=-1))
    assert caught.value.local == Local(number=-1)


ODD = """
class Odd(Service, Protocol, service="odd"):
    class Nested(BaseModel):
        number: int

    @service.method
    async def list(self) -> list[int]: ...

    @service.method
    async def dict(self, values: list[int], nested: Nested) -> dict[str, list[int]]: ...

class OddServer(Odd):
    @service.method
    async def list(self) -> list[int]:
        return [1]

    @service.method
    async def dict(self, values: list[int], nested: Odd.Nested) -> dict[str, list[int]]:
        return {"values": [*values, nested.number]}
"""


async def test_methods_may_be_named_like_types_and_types_be_nested() -> None:
    made = run(ODD, postponed=True)  # mypy knows no way to write this
    rpc = Rpc.in_memory()
    rpc.serve(made["OddServer"]())
    odd = client(made["Odd"])
    async with rpc:
        assert await odd.list() == [1]
        assert await odd.dict([1], made["Odd"].Nested(number=2)) == {"values": [1, 2]}


class Names(Service, service="names"):
    @service.method
    async def names(this, self: int, timeout: float, json: str, _id: int, model_config: str, args: int) -> list[str]:
        return [str(value) for value in (self, timeout, json, _id, model_config, args)]

    @service.method
    async def kinds(self, first: int, /, second: int = 2, *, third: int = 3) -> tuple[int, ...]:
        return first, second, third


async def test_parameters_may_have_any_name_and_kind() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(Names())
    names = client(Names)
    expected = ["1", "2.5", "j", "4", "c", "6"]
    async with rpc:
        assert await names.names(1, timeout=2.5, json="j", _id=4, model_config="c", args=6) == expected
        assert await names.names(self=1, timeout=2.5, json="j", _id=4, model_config="c", args=6) == expected
        assert await names.kinds(1) == (1, 2, 3)
        assert await names.kinds(1, 5, third=6) == (1, 5, 6)
        assert await names.kinds(1, second=7) == (1, 7, 3)


async def test_a_server_may_be_a_dataclass() -> None:
    @dataclass(slots=True)
    class Server(Admin):
        word: str

        @service.method
        async def stop(self) -> str:
            return self.word

    @dataclass(slots=True)
    class Alone(Service, service="alone", topic="alone-topic"):
        word: str

        @service.method
        async def say(self) -> str:
            return self.word

    rpc = Rpc.in_memory()
    rpc.serve(Server("now"), Alone("me"))
    assert rpc.services == ("admin.v1", "alone")
    async with rpc:
        assert await client(Admin).stop() == "now"
        assert await client(Alone).say() == "me"


def test_python_itself_refuses_an_object_that_misses_methods() -> None:
    class Half(Echo):
        @service.method
        async def get(self, id: int) -> Message:
            return Message(text=str(id))

    with pytest.raises(TypeError, match="abstract class Half"):
        cast("Any", Half)()
    with pytest.raises(TypeError, match="instantiate"):
        cast("Any", Echo)()


def test_docstrings_and_signatures_are_kept() -> None:
    signature = "(msg: test_contract.Message, *, mode: Literal['plain', 'shout'] = 'plain') -> test_contract.Message"
    server = EchoServer("")
    for method in (EchoClient.echo, server.echo):
        assert str(inspect.signature(method)).replace("typing.", "").replace("tests.", "") == signature
        assert method.__name__ == "echo"
    assert EchoClient.echo.__doc__ == Echo.echo.__doc__ == "Answer with the message."
    assert EchoClient.__doc__ == "Says things again."
    assert "Answer with the message." in pydoc.render_doc(Echo.echo)
    assert "echo" in pydoc.render_doc(EchoClient)


# Before 3.12 only asyncio's own looks at its marker, and AsyncMock at asyncio's.
iscoroutinefunction = inspect.iscoroutinefunction if sys.version_info >= (3, 12) else asyncio.iscoroutinefunction


async def test_what_awaits_methods_takes_them_for_coroutine_functions() -> None:
    for method in (Echo.echo, EchoClient.echo, EchoClient.get, EchoServer("").echo):
        assert iscoroutinefunction(method)  # pyright: ignore[reportDeprecated]
    for spec in (Echo, EchoClient, EchoServer("")):
        fake = AsyncMock(spec=spec)
        fake.echo.return_value = Message(text="mocked")
        assert await fake.echo(Message(text="x")) == Message(text="mocked")
        assert not hasattr(fake, "unknown")


def test_a_method_called_on_the_class_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"EchoServer\.echo is called on the class: call it on an instance or on"):
        cast("Any", EchoServer).echo(Message(text="x"))
