"""The peers themselves: each framework's own client with its own server, so that what fails elsewhere is ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import pytest_asyncio

from interop.peer import Framework, Outcome, Peer, client, server
from interop.work import ANSWERED, HANDLERS, OBJECTS, ORDER, SILENCE, new_topics
from real_kafka import KAFKA

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

BOOM = {"status": "error", "message": "boom"}
UNKNOWN = {"status": "error", "message": "Internal server error"}


@dataclass(frozen=True)
class Pair:
    framework: Framework
    server: Peer
    client: Peer
    topics: dict[str, str]
    reply_topic: str

    async def call(self, handler: str, value: object, *, timeout: float = ANSWERED, **how: Any) -> Outcome:
        return await self.client.call(self.topics[handler], value, timeout=timeout, **how)

    def patience(self, *silent: Framework) -> float:
        """The time-out of a call that is not answered where the framework is one of `silent`."""
        return SILENCE if self.framework in silent else ANSWERED

    async def seen(self, handler: str) -> list[tuple[str | None, Any]]:
        """Key and value of each call of a handler."""
        return [(it["key"], it["value"]) for it in await self.server.seen() if it["topic"] == self.topics[handler]]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=get_args(Framework))
async def pair(request: pytest.FixtureRequest) -> AsyncGenerator[Pair]:
    framework: Framework = request.param
    topics, replies = await new_topics(framework, *HANDLERS)
    async with (
        server(framework, KAFKA, topics) as serving,
        client(framework, KAFKA, reply_topic=replies, topics=[*topics.values()]) as calling,
    ):
        yield Pair(framework, serving, calling, topics, replies)


def refused(error: object) -> Outcome:
    return Outcome(error=error, kind="rejected")


async def test_a_text_is_answered_and_the_handler_sees_the_key(pair: Pair) -> None:
    assert await pair.call("upper", "hello", key="customer-7") == Outcome(value="HELLO")

    assert ("customer-7", "hello") in await pair.seen("upper")


async def test_an_error_reaches_the_client_in_the_way_of_its_framework(pair: Pair) -> None:
    outcome = await pair.call("fail", "boom", timeout=pair.patience("faststream"))

    if pair.framework == "faststream":
        assert outcome.kind == "timeout"
    else:
        assert outcome == refused(BOOM if pair.framework == "nestjs" else "boom")


async def test_of_an_unexpected_exception_only_nestjs_tells_the_client(pair: Pair) -> None:
    timeout = pair.patience("spring", "smallrye", "faststream")
    outcomes = [await pair.call("crash", "boom", timeout=timeout) for _ in range(2)]

    if pair.framework == "nestjs":
        assert outcomes == [refused(UNKNOWN)] * 2
    else:
        assert [outcome.kind for outcome in outcomes] == ["timeout"] * 2
    runs = len(await pair.seen("crash"))
    match pair.framework:
        case "spring":
            assert runs > 2  # each is tried ten times, which takes five seconds, before the next one
        case "smallrye":
            assert runs == 1  # the channel has stopped
        case _:
            assert runs == 2


async def test_null_is_a_value_where_the_framework_has_one(pair: Pair) -> None:
    assert await pair.call("null", "x") == Outcome(value="" if pair.framework == "faststream" else None)


async def test_nothing_is_answered_by_spring_and_smallrye_where_a_handler_returns_nothing(pair: Pair) -> None:
    outcome = await pair.call("void", "x", timeout=pair.patience("spring", "smallrye"))

    if pair.framework in ("spring", "smallrye"):
        assert outcome.kind == "timeout"
    else:
        assert outcome == Outcome(value="" if pair.framework == "faststream" else None)


async def test_a_late_reply_is_a_time_out_and_disturbs_no_later_call(pair: Pair) -> None:
    assert (await pair.call("slow", "3", timeout=1)).kind == "timeout"

    assert await pair.call("slow", "0") == Outcome(value="0")


async def test_a_thousand_calls_at_once_get_each_their_own_reply(pair: Pair) -> None:
    outcomes = await pair.client.outcomes(pair.topics["upper"], "call {n}", times=1000, at_once=1000, timeout=30)

    assert outcomes == [Outcome(value=f"CALL {n}") for n in range(1000)]


async def test_a_request_without_reply_reaches_the_handler(pair: Pair) -> None:
    await pair.client.emit(pair.topics["void"], "event")

    async with asyncio.timeout(ANSWERED):
        while (None, "event") not in await pair.seen("void"):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("options", [{"correlation": "text"}, {"correlation": "binary"}, {"reply_partition": 2}])
@pytest.mark.parametrize("framework", ["spring", "smallrye"])
async def test_correlation_ids_and_reply_partitions_can_be_chosen(
    framework: Framework, options: dict[str, Any]
) -> None:
    topics, replies = await new_topics(framework, "upper")
    async with (
        server(framework, KAFKA, topics) as _,
        client(framework, KAFKA, reply_topic=replies, **options) as one,
        client(framework, KAFKA, reply_topic=replies, **options) as other,
    ):
        assert await one.call(topics["upper"], "one") == Outcome(value="ONE")
        assert await other.call(topics["upper"], "other") == Outcome(value="OTHER")


@pytest.mark.parametrize(("framework", "options"), OBJECTS)
async def test_an_object_is_answered_as_it_is(framework: Framework, options: dict[str, Any]) -> None:
    topics, replies = await new_topics(framework, "echo")
    async with (
        server(framework, KAFKA, topics, **options) as _,
        client(framework, KAFKA, reply_topic=replies, topics=[*topics.values()], **options) as calling,
    ):
        assert await calling.call(topics["echo"], ORDER.model_dump()) == Outcome(value=ORDER.model_dump())


async def test_without_a_checker_the_error_of_another_is_a_value() -> None:
    topics, replies = await new_topics("spring", "fail")
    async with (
        server("spring", KAFKA, topics) as _,
        client("spring", KAFKA, reply_topic=replies, error_checker=False) as calling,
    ):
        assert await calling.call(topics["fail"], "boom") == Outcome(value=None)


async def test_every_letter_of_a_stream_is_a_record_and_the_last_one_is_the_value() -> None:
    topics, _ = await new_topics("nestjs", "stream")
    async with (
        server("nestjs", KAFKA, topics) as _,
        client("nestjs", KAFKA, topics=[*topics.values()]) as calling,
    ):
        assert await calling.call(topics["stream"], "abc") == Outcome(value="c")


async def test_an_event_pattern_gets_events() -> None:
    topics, _ = await new_topics("nestjs", "event", "upper")
    async with (
        server("nestjs", KAFKA, topics) as serving,
        client("nestjs", KAFKA, topics=[topics["upper"]]) as calling,
    ):
        await calling.emit(topics["event"], {"id": 7})
        while not (seen := await serving.seen()):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)

        assert seen == [{"topic": topics["event"], "key": None, "value": {"id": 7}}]
