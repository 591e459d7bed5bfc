"""Where calls go: what is kept of a topic whose partitions are looked up again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from typedrpc import Topics, TransportError
from typedrpc.routes import Routes
from typedrpc.transport import TopicSpec
from typedrpc.transport.memory import MemoryLog, MemoryTransport


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def routes(log: MemoryLog) -> Routes:
    return Routes(MemoryTransport(log), Topics(request_partitions=3), create=True)


async def test_a_topic_in_doubt_keeps_what_is_known_of_its_partitions(routes: Routes) -> None:
    route = await routes.open("work")
    route.outstanding[1] = 7
    routes.doubt("work")
    assert routes.get("work") is None
    assert (await routes.open("work")).outstanding == [0, 7, 0]


async def test_a_topic_that_was_made_again_with_other_partitions_gets_a_new_route() -> None:
    transport = MemoryTransport(MemoryLog())
    routes = Routes(transport, Topics(request_partitions=3), create=True)
    (await routes.open("work")).outstanding[1] = 7
    transport.log = MemoryLog()
    transport.log.create("work", 5)
    routes.doubt("work")
    assert (await routes.open("work")).outstanding == [0] * 5


async def test_a_topic_that_is_missing_is_asked_for_again_by_the_next_call(log: MemoryLog) -> None:
    routes = Routes(MemoryTransport(log), Topics(), create=False)
    with pytest.raises(TransportError, match="missing"):
        await routes.open("work")
    log.create("work", 4)
    assert len((await routes.open("work")).outstanding) == 4


async def test_a_stop_ends_what_waits_for_a_topic_with_an_error_and_cancels_nobody(log: MemoryLog) -> None:
    class Silent(MemoryTransport):
        async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> Mapping[str, int]:
            await asyncio.sleep(60)
            return {}

    routes = Routes(Silent(log), Topics(), create=True)
    waiting = asyncio.create_task(routes.open("work"))
    await asyncio.sleep(0)
    await routes.stop()
    with pytest.raises(TransportError, match="stopped"):
        await waiting
