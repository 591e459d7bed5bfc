"""A typed client of ours calls the other frameworks' own handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol, get_args

import pytest
import pytest_asyncio
from faststream.kafka import KafkaBroker

from interop.peer import Framework, Peer, server
from interop.work import ANSWERED, HANDLERS, OBJECTS, ORDER, ORDER_CLASS, SILENCE, new_topics, work
from real_kafka import FEW, KAFKA
from typedrpc import DeadlineExceeded, Rpc, Service, UnknownError, service

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Scene:
    framework: Framework
    server: Peer
    work: Any
    topics: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=get_args(Framework))
async def scene(request: pytest.FixtureRequest) -> AsyncGenerator[Scene]:
    framework: Framework = request.param
    handlers = [h for h in HANDLERS if h != "echo"]
    topics, _ = await new_topics(framework, *HANDLERS)
    rpc = Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW, timeout=ANSWERED)
    async with server(framework, KAFKA, {h: topics[h] for h in handlers}) as serving, rpc:
        yield Scene(framework, serving, rpc.client(work(framework, topics)), topics)


async def test_a_value_is_answered_and_the_handler_sees_the_key(scene: Scene) -> None:
    assert await scene.work.upper.with_options(key="customer-7")("grüße") == "GRÜSSE"

    seen = {"topic": scene.topics["upper"], "key": "customer-7", "value": "grüße"}
    assert seen in await scene.server.seen()


async def test_an_error_of_the_handler_is_an_error_of_the_call(scene: Scene) -> None:
    if scene.framework == "faststream":
        with pytest.raises(DeadlineExceeded):
            await scene.work.fail.with_options(timeout=SILENCE)("böse")
    else:
        with pytest.raises(UnknownError, match="böse"):
            await scene.work.fail("böse")


async def test_of_an_unexpected_exception_only_nestjs_tells(scene: Scene) -> None:
    if scene.framework == "nestjs":
        with pytest.raises(UnknownError, match="Internal server error"):
            await scene.work.crash("boom")
    else:
        with pytest.raises(DeadlineExceeded):
            await scene.work.crash.with_options(timeout=SILENCE)("boom")


async def test_a_null_reply_is_none(scene: Scene) -> None:
    assert await scene.work.null("x") is None  # FastStream's empty body too


async def test_nothing_is_answered_by_spring_and_smallrye_where_a_handler_returns_nothing(scene: Scene) -> None:
    if scene.framework in ("spring", "smallrye"):
        with pytest.raises(DeadlineExceeded):
            await scene.work.void.with_options(timeout=SILENCE)("x")
    else:
        assert await scene.work.void("x") is None


async def test_a_null_argument_reaches_the_handler_as_far_as_its_framework_has_one(scene: Scene) -> None:
    assert await scene.work.upper(None) == ""


async def test_a_late_reply_is_a_deadline_exceeded_and_disturbs_no_later_call(scene: Scene) -> None:
    with pytest.raises(DeadlineExceeded):
        await scene.work.slow.with_options(timeout=1)("3")

    assert await scene.work.slow("0") == "0"


async def test_a_thousand_calls_at_once_get_each_their_own_reply(scene: Scene) -> None:
    upper = scene.work.upper.with_options(timeout=60)
    replies = await asyncio.gather(*(upper(f"call {n}") for n in range(1000)))

    assert replies == [f"CALL {n}" for n in range(1000)]


async def test_two_clients_share_a_reply_topic(scene: Scene) -> None:
    async with Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW, timeout=ANSWERED) as rpc:
        other = rpc.client(work(scene.framework, scene.topics))
        for n in range(5):
            assert await scene.work.upper(f"one {n}") == f"ONE {n}"
            assert await other.upper(f"other {n}") == f"OTHER {n}"


@pytest.mark.parametrize(("framework", "options"), OBJECTS)
async def test_an_object_is_answered_as_the_model_of_the_contract(
    framework: Framework, options: dict[str, Any]
) -> None:
    topics, _ = await new_topics(framework, *HANDLERS)
    async with (
        server(framework, KAFKA, {"echo": topics["echo"]}, **options),
        Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW, timeout=ANSWERED) as rpc,
    ):
        echo = rpc.client(work(framework, topics)).echo
        if options.get("json") == "typed":
            echo = echo.with_options(metadata={"__TypeId__": ORDER_CLASS})
        assert await echo(ORDER) == ORDER


@pytest.mark.parametrize(
    ("framework", "handler"), [("spring", "void"), ("nestjs", "event"), ("smallrye", "void"), ("faststream", "void")]
)
async def test_a_oneway_call_is_an_event_there(framework: Framework, handler: str) -> None:
    topics, _ = await new_topics(framework, handler)

    class Events(Service, Protocol, dialect=framework):
        @service.method(topic=topics[handler], oneway=True)
        async def tell(self, text: str) -> None: ...

    async with (
        server(framework, KAFKA, topics) as serving,
        Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW) as rpc,
        asyncio.timeout(30),
    ):
        await rpc.client(Events).tell("told")
        while not (seen := await serving.seen()):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)
        assert [it["value"] for it in seen] == ["told"]


async def test_of_a_stream_of_nestjs_the_first_value_counts() -> None:
    topics, _ = await new_topics("nestjs", "stream")

    class Streams(Service, Protocol, dialect="nestjs"):
        @service.method(topic=topics["stream"])
        async def stream(self, text: str) -> str: ...

    async with (
        server("nestjs", KAFKA, topics),
        Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW, timeout=ANSWERED) as rpc,
    ):
        assert await rpc.client(Streams).stream("abc") == "a"
