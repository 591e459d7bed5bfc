"""The in-memory doubles: a whole app under TestRpc or TestKafkaBroker, and typed mocks of services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast
from unittest.mock import AsyncMock

import pytest
from faststream import FastStream, TestApp
from faststream.kafka import KafkaBroker, KafkaMessage, TestKafkaBroker
from pydantic import BaseModel

from typedrpc import (
    Call,
    ContractDocument,
    DeadlineExceeded,
    Reply,
    Rpc,
    RpcError,
    Service,
    Status,
    UsageError,
    client,
    contract_schema,
    service,
)
from typedrpc.testing import TestRpc, assert_contract, mock


class Message(BaseModel):
    text: str


class Missing(RpcError, code=Status.NOT_FOUND):
    id: int


class Echo(Service, Protocol, service="echo"):
    @service.method(raises=[Missing])
    async def echo(self, msg: Message, *, loud: bool = False) -> Message: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...


class EchoServer(Echo):
    def __init__(self) -> None:
        self.lines: list[str] = []

    @service.method
    async def echo(self, ctx: Call, msg: Message, *, loud: bool = False) -> Message:
        ctx.reply_metadata["tenant"] = ctx.metadata.get("tenant", "")
        return Message(text=msg.text.upper() if loud else msg.text)

    @service.method(oneway=True)
    async def log(self, line: str) -> None:
        self.lines.append(line)


class Plain(Service, Protocol, dialect="faststream"):
    """A plain FastStream subscriber as its callers see it."""

    @service.method(topic="plain-shout")
    async def shout(self, text: str) -> str: ...

    @service.method(topic="plain-fails", timeout=0.2)
    async def fails(self, text: str) -> str: ...


class Upper(Service, service="upper"):
    """Asks a plain subscriber."""

    @service.method
    async def upper(self, text: str) -> str:
        return await PlainClient.shout(text)


EchoClient = client(Echo)
PlainClient = client(Plain)
UpperClient = client(Upper)


def make_app() -> tuple[Rpc, KafkaBroker, list[str]]:
    """An Rpc and plain subscribers on one broker, which is never connected."""
    broker = KafkaBroker("nowhere:9", logger=None)
    rpc = Rpc(broker)
    heard: list[str] = []

    @broker.subscriber("plain-shout")
    async def shout(text: str) -> str:
        return text.upper()

    @broker.subscriber("plain-fails")
    async def fails(text: str) -> str:
        raise RuntimeError(text)

    @broker.subscriber("plain-orders")
    @broker.publisher("plain-shipped")
    async def order(text: str) -> str:
        return (await EchoClient.echo(Message(text=text), loud=True)).text

    @broker.subscriber("plain-shipped")
    async def shipped(text: str) -> None:
        heard.append(text)

    for handler in (shout, fails, order, shipped):
        assert callable(handler)
    rpc.serve(EchoServer(), Upper())
    return rpc, broker, heard


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_apps_rpc_serves_its_typed_clients_in_memory() -> None:
    rpc, _, _ = make_app()
    async with TestRpc(rpc) as running:
        assert running is rpc
        reply = await EchoClient.echo.with_options(metadata={"tenant": "a"}).with_reply(Message(text="hi"))
        assert reply.value == Message(text="hi")
        assert reply.metadata["tenant"] == "a"


async def test_a_typed_client_calls_a_plain_subscriber_in_memory() -> None:
    rpc, _, _ = make_app()
    async with TestRpc(rpc):
        assert await PlainClient.shout("hi") == "HI"
        assert await rpc.request("plain-shout", b"raw") == b"RAW"


async def test_a_service_calls_a_plain_subscriber_in_memory() -> None:
    rpc, _, _ = make_app()
    async with TestRpc(rpc):
        assert await UpperClient.upper("hi") == "HI"


async def test_a_plain_subscriber_calls_a_service_in_memory_and_its_publisher_goes_on() -> None:
    rpc, broker, heard = make_app()
    async with TestRpc(rpc):
        await broker.publish("hi", "plain-orders")
        assert heard == ["HI"]


async def test_a_plain_publish_with_a_reply_address_is_answered_by_a_service_in_memory() -> None:
    rpc, broker, _ = make_app()
    answers: list[tuple[str | None, bytes]] = []

    @broker.subscriber("plain-answers")
    async def answered(msg: KafkaMessage) -> None:
        answers.append((msg.correlation_id, msg.body))

    assert callable(answered)
    async with TestRpc(rpc):
        await broker.publish("hi", "upper", reply_to="plain-answers", correlation_id="c1")
        await until(lambda: answers)
    assert answers == [("c1", b"HI")]


async def test_a_failing_plain_subscriber_is_silence_in_memory_too() -> None:
    rpc, _, _ = make_app()
    async with TestRpc(rpc):
        with pytest.raises(DeadlineExceeded):
            await PlainClient.fails("boom")


async def test_the_broker_is_as_before_after_a_test() -> None:
    rpc, broker, heard = make_app()
    before = set(broker.subscribers)
    for _ in range(3):
        async with TestRpc(rpc):
            assert await UpperClient.upper("hi") == "HI"
            assert await PlainClient.shout("hi") == "HI"
            await broker.publish("hi", "plain-orders")
        assert set(broker.subscribers) == before
    assert heard == ["HI"] * 3
    with pytest.raises(UsageError, match="no Rpc runs"):
        await EchoClient.echo(Message(text="hi"))


async def test_calls_made_while_a_test_ends_do_not_hang() -> None:
    rpc, _, _ = make_app()
    async with TestRpc(rpc):
        pending = asyncio.create_task(PlainClient.fails("boom"))
        await asyncio.sleep(0)
    with pytest.raises(RpcError):
        await pending


async def test_an_rpc_without_a_broker_runs_under_test_rpc_too() -> None:
    rpc = Rpc.in_memory()
    rpc.serve(EchoServer())
    async with TestRpc(rpc):
        assert await rpc.client(Echo).echo(Message(text="hi")) == Message(text="hi")


async def test_a_test_that_raises_stops_the_rpc() -> None:
    rpc, broker, _ = make_app()
    before = set(broker.subscribers)
    with pytest.raises(ZeroDivisionError):
        async with TestRpc(rpc):
            raise ZeroDivisionError
    assert set(broker.subscribers) == before
    async with TestRpc(rpc):
        assert await UpperClient.upper("hi") == "HI"


async def test_an_rpc_that_starts_under_test_kafka_broker_runs_in_memory_by_itself() -> None:
    rpc, broker, heard = make_app()
    before = set(broker.subscribers)
    # Without connect_only FastStream reads the source of this `with`, and fails on the plain name `rpc`.
    async with TestKafkaBroker(broker, connect_only=False), rpc:
        assert await UpperClient.upper("hi") == "HI"
        await broker.publish("hi", "plain-orders")
    assert heard == ["HI"]
    assert set(broker.subscribers) == before


async def test_a_whole_app_runs_under_test_kafka_broker_and_test_app() -> None:
    rpc, broker, heard = make_app()
    app = FastStream(broker, logger=None)
    rpc.attach(app)
    seen: list[str] = []

    @app.after_startup
    async def call() -> None:
        seen.append(await UpperClient.upper("hi"))

    assert callable(call)
    async with TestKafkaBroker(broker), TestApp(app):
        await broker.publish("hi", "plain-orders")
    assert seen == heard == ["HI"]
    with pytest.raises(UsageError):
        await UpperClient.upper("hi")


async def test_two_rpcs_run_in_memory_side_by_side() -> None:
    (first, _, _), (second, _, _) = make_app(), make_app()
    async with TestRpc(first), TestRpc(second):
        for rpc in (first, second):
            assert await rpc.client(Upper).upper("hi") == "HI"


# mocks


async def test_a_mock_returns_its_outcomes_and_none_without_one() -> None:
    echo = mock(Echo, echo=Message(text="mocked"))
    assert await echo.echo(Message(text="hi"), loud=True) == Message(text="mocked")
    await echo.log("line")
    as_mock(echo.echo).assert_awaited_once_with(Message(text="hi"), loud=True)
    as_mock(echo.log).assert_awaited_once_with("line")


async def test_a_mock_raises_an_exception_given_as_outcome() -> None:
    echo = mock(Echo, echo=Missing("nobody", id=3))
    with pytest.raises(Missing) as caught:
        await echo.echo(Message(text="hi"))
    assert caught.value.id == 3


async def test_a_mock_asks_a_function_given_as_outcome_sync_or_async() -> None:
    async def later(msg: Message, *, loud: bool = False) -> Message:
        await asyncio.sleep(0)
        return Message(text=f"{msg.text} {loud}")

    def now(msg: Message, **_: object) -> Message:
        return Message(text=msg.text * 2)

    assert (await mock(Echo, echo=later).echo(Message(text="hi"), loud=True)).text == "hi True"
    assert (await mock(Echo, echo=now).echo(Message(text="hi"))).text == "hihi"


async def test_a_mocks_outcome_may_be_a_value_that_happens_to_be_callable() -> None:
    class Handy(BaseModel):
        def __call__(self) -> str:
            return "called"

    class Tools(Service, Protocol):
        @service.method
        async def get(self) -> Handy: ...

    handy = Handy()
    assert await mock(Tools, get=lambda: handy).get() is handy


async def test_a_mock_has_with_options_and_with_reply_and_counts_calls_through_them() -> None:
    echo = mock(Echo, echo=Message(text="mocked"))
    assert await echo.echo.with_options(timeout=1, metadata={"a": "b"})(Message(text="hi")) == Message(text="mocked")
    reply = await echo.echo.with_reply(Message(text="hi"))
    assert reply == Reply(value=Message(text="mocked"), metadata={})
    await echo.log.with_options(key="k")("line")
    assert as_mock(echo.echo).await_count == 2
    as_mock(echo.log).assert_awaited_once_with("line")


async def test_a_mock_refuses_arguments_that_the_method_does_not_take() -> None:
    echo = cast("Any", mock(Echo))
    with pytest.raises(TypeError):
        await echo.echo()
    with pytest.raises(TypeError):
        await echo.echo(Message(text="hi"), True)
    with pytest.raises(TypeError):
        await echo.log("line", quiet=True)
    with pytest.raises(TypeError):
        await echo.echo.with_options(retries=3)
    as_mock(echo.echo).assert_not_awaited()


def test_a_mock_refuses_names_that_the_contract_lacks() -> None:
    with pytest.raises(UsageError, match="shout"):
        mock(Echo, shout=1)
    with pytest.raises(AttributeError):
        cast("Any", mock(Echo)).shout  # noqa: B018
    with pytest.raises(UsageError):
        mock(BaseModel)


async def test_a_mock_stands_in_for_a_parameter_of_the_contracts_type() -> None:
    async def greet(echo: Echo) -> str:
        return (await echo.echo(Message(text="hi"))).text

    assert await greet(mock(Echo, echo=Message(text="mocked"))) == "mocked"


async def test_a_mocked_method_may_have_a_parameter_named_self_or_name() -> None:
    class Odd(Service, Protocol):
        @service.method
        async def odd(this, self: int, name: str, side_effect: int = 0) -> int: ...

    odd = mock(Odd, odd=7)
    assert await odd.odd(self=1, name="n", side_effect=2) == 7


def as_mock(method: object) -> AsyncMock:
    assert isinstance(method, AsyncMock)
    return method


def test_a_contract_is_written_to_its_file_and_then_held_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=r"contracts/echo.json is not there yet: run with TYPEDRPC_UPDATE_CON"):
        assert_contract(Echo, "contracts/echo.json")
    with monkeypatch.context() as updating:
        updating.setenv("TYPEDRPC_UPDATE_CONTRACTS", "1")
        assert_contract(Echo, "contracts/echo.json")
    written = (tmp_path / "contracts/echo.json").read_text()
    assert written == contract_schema(Echo).model_dump_json(indent=2) + "\n"
    assert_contract(Echo, tmp_path / "contracts/echo.json")


def test_a_contract_that_is_not_as_in_its_file_is_told_with_whom_it_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changed(Service, Protocol, service="echo"):
        @service.method(raises=[Missing], timeout=3)
        async def echo(self, msg: Message, *, loud: bool = False) -> Message: ...

    file = tmp_path / "echo.json"
    file.write_text(contract_schema(Echo).model_dump_json())
    with pytest.raises(AssertionError) as caught:
        assert_contract(Changed, file)
    assert str(caught.value).splitlines() == [
        f"echo is not as in {file}:",
        "WIRE     SOURCE   CHANGE",
        "-        -        TIMEOUT_CHANGED echo/echo: timeout none → 3.0",
        "callers  both     METHOD_REMOVED echo/log: gone",
        "2 changes: 1 breaks callers on the wire; roll out callers before servers",
        "if that is meant, run with TYPEDRPC_UPDATE_CONTRACTS=1, which writes the file, and commit it",
    ]
    monkeypatch.setenv("TYPEDRPC_UPDATE_CONTRACTS", "1")
    assert_contract(Changed, file)
    monkeypatch.delenv("TYPEDRPC_UPDATE_CONTRACTS")
    assert_contract(Changed, file)


def test_another_version_of_typedrpc_leaves_a_contracts_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "echo.json"
    older = contract_schema(Echo).model_copy(update={"typedrpc": "0.0.1"}).model_dump_json()
    file.write_text(older)
    assert_contract(Echo, file)
    monkeypatch.setenv("TYPEDRPC_UPDATE_CONTRACTS", "1")
    assert_contract(Echo, file)
    assert file.read_text() == older


def test_a_file_that_holds_no_contract_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "echo.json"
    file.write_text("{}")
    with pytest.raises(AssertionError, match="no contract document: service: Field required"):
        assert_contract(Echo, file)
    monkeypatch.setenv("TYPEDRPC_UPDATE_CONTRACTS", "1")
    assert_contract(Echo, file)
    assert ContractDocument.model_validate_json(file.read_bytes()).service == "echo"
