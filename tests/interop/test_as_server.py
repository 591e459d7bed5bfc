"""The other frameworks' own clients call a service of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import pytest_asyncio
from faststream.kafka import KafkaBroker

from interop.peer import Framework, Outcome, Peer, client
from interop.work import ANSWERED, HANDLERS, OBJECTS, ORDER, SILENCE, new_topics, work
from real_kafka import FEW, KAFKA
from typedrpc import Rpc

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Scene:
    framework: Framework
    work: Any
    client: Peer
    topics: dict[str, str]
    replies: str

    async def call(self, handler: str, value: object, *, timeout: float = ANSWERED, **how: Any) -> Outcome:
        return await self.client.call(self.topics[handler], value, timeout=timeout, **how)

    async def refused_call(self, handler: str, value: object) -> Outcome:
        """FastStream's client hears nothing then: it has no header for errors, and would take one for a value."""
        return await self.call(handler, value, timeout=SILENCE if self.framework == "faststream" else ANSWERED)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=get_args(Framework))
async def scene(request: pytest.FixtureRequest) -> AsyncGenerator[Scene]:
    framework: Framework = request.param
    topics, replies = await new_topics(framework, *HANDLERS)
    served = work(framework, topics)()
    rpc = Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW)
    rpc.serve(served)
    async with rpc, client(framework, KAFKA, reply_topic=replies, topics=[*topics.values()]) as calling:
        yield Scene(framework, served, calling, topics, replies)


def serving(framework: Framework, topics: dict[str, str]) -> Rpc:
    rpc = Rpc(KafkaBroker(KAFKA, logger=None), topics=FEW)
    rpc.serve(work(framework, topics)())
    return rpc


def refusal(framework: Framework, code: str, text: str) -> Outcome:
    error = {"status": "error", "code": code, "message": text} if framework == "nestjs" else text
    return Outcome(error=error, kind="rejected")


async def test_a_value_is_answered(scene: Scene) -> None:
    assert await scene.call("upper", "grüße", key="customer-7") == Outcome(value="GRÜSSE")


async def test_an_error_reaches_the_client_in_the_way_of_its_framework(scene: Scene) -> None:
    outcome = await scene.refused_call("fail", "böse")

    if scene.framework == "faststream":
        assert outcome.kind == "timeout"
    else:
        assert outcome == refusal(scene.framework, "NOT_FOUND", "böse")


async def test_of_an_unexpected_exception_the_client_learns_only_that_there_was_one(scene: Scene) -> None:
    outcome = await scene.refused_call("crash", "secret")

    if scene.framework == "faststream":
        assert outcome.kind == "timeout"
    else:
        assert outcome.kind == "rejected"
        assert "the handler failed, see the server's log" in str(outcome.error)
        assert "secret" not in str(outcome.error)


async def test_what_is_no_argument_is_refused(scene: Scene) -> None:
    outcome = await scene.refused_call("slow", "soon")

    assert outcome.kind == ("timeout" if scene.framework == "faststream" else "rejected")


async def test_null_and_nothing_are_answered_so_that_no_client_waits(scene: Scene) -> None:
    nothing = Outcome(value="" if scene.framework == "faststream" else None)
    assert await scene.call("null", "x") == nothing
    assert await scene.call("void", "x") == nothing


async def test_a_late_reply_is_a_time_out_and_disturbs_no_later_call(scene: Scene) -> None:
    assert (await scene.call("slow", "3", timeout=1)).kind == "timeout"

    assert await scene.call("slow", "0") == Outcome(value="0")


async def test_a_thousand_calls_at_once_get_each_their_own_reply(scene: Scene) -> None:
    outcomes = await scene.client.outcomes(scene.topics["upper"], "call {n}", times=1000, at_once=1000, timeout=30)

    assert outcomes == [Outcome(value=f"CALL {n}") for n in range(1000)]


async def test_a_request_without_reply_reaches_the_handler(scene: Scene) -> None:
    await scene.client.emit(scene.topics["void"], "event")

    async with asyncio.timeout(20):
        while "event" not in scene.work.seen:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("framework", "options"),
    [
        ("spring", {"correlation": "text"}),
        ("spring", {"correlation": "binary"}),
        ("spring", {"reply_partition": 2}),
        ("smallrye", {"correlation": "text"}),
        ("smallrye", {"correlation": "binary"}),
        ("smallrye", {"reply_partition": 2}),
        ("faststream", {}),
    ],
)
async def test_two_clients_with_their_own_correlation_ids_and_partitions_share_a_reply_topic(
    framework: Framework, options: dict[str, Any]
) -> None:
    topics, replies = await new_topics(framework, *HANDLERS)
    async with (
        serving(framework, topics),
        client(framework, KAFKA, reply_topic=replies, **options) as one,
        client(framework, KAFKA, reply_topic=replies, **options) as other,
    ):
        for n in range(5):
            assert await one.call(topics["upper"], f"one {n}") == Outcome(value=f"ONE {n}")
            assert await other.call(topics["upper"], f"other {n}") == Outcome(value=f"OTHER {n}")


@pytest.mark.parametrize(("framework", "options"), OBJECTS)
async def test_an_object_is_validated_and_answered(framework: Framework, options: dict[str, Any]) -> None:
    topics, replies = await new_topics(framework, *HANDLERS)
    async with (
        serving(framework, topics),
        client(framework, KAFKA, reply_topic=replies, topics=[*topics.values()], **options) as calling,
    ):
        assert await calling.call(topics["echo"], ORDER.model_dump()) == Outcome(value=ORDER.model_dump())


@pytest.mark.parametrize("framework", ["spring", "smallrye"])
async def test_without_a_checker_our_error_is_a_null(framework: Framework) -> None:
    topics, replies = await new_topics(framework, *HANDLERS)
    async with (
        serving(framework, topics),
        client(framework, KAFKA, reply_topic=replies, error_checker=False) as calling,
    ):
        assert await calling.call(topics["fail"], "boom") == Outcome(value=None)


async def test_two_clients_of_nestjs_share_a_group_and_each_gets_its_own_replies() -> None:
    topics, _ = await new_topics("nestjs", *HANDLERS)
    async with (
        serving("nestjs", topics),
        client("nestjs", KAFKA, topics=[topics["upper"]], group="both") as one,
        client("nestjs", KAFKA, topics=[topics["upper"]], group="both") as other,
    ):
        for n in range(5):
            assert await one.call(topics["upper"], f"one {n}") == Outcome(value=f"ONE {n}")
            assert await other.call(topics["upper"], f"other {n}") == Outcome(value=f"OTHER {n}")
