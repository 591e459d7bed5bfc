"""What is committed when, at least once and at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from typedrpc import Limits, Rpc, Service, Topics, service
from typedrpc.transport import TopicPartition
from typedrpc.transport.memory import MemoryLog, MemoryTransport


class Quiet:
    """Another member of a group, which reads nothing."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {}


def log_of(rpc: Rpc) -> MemoryLog:
    return rpc._log  # pyright: ignore[reportPrivateUsage]  # what Kafka holds is not the library's to show


async def test_records_fetched_before_a_rebalance_do_not_commit_over_a_running_one() -> None:
    release = [asyncio.Event() for _ in range(10)]
    started: list[int] = []

    class Work(Service, service="work"):
        @service.method(oneway=True)
        async def do(self, number: int) -> None:
            started.append(number)
            await release[number].wait()

    rpc = Rpc.in_memory(limits=Limits(max_concurrency=2, drain_timeout=0.1), topics=Topics(request_partitions=1))
    rpc.serve(Work())
    async with rpc:
        work = rpc.client(Work)
        for number in range(10):
            await work.do(number)  # two run, the others wait for room in a chunk that was fetched already
        await asyncio.sleep(0.1)
        assert started == [0, 1]
        other = await MemoryTransport(log_of(rpc)).join_group("work", ["work"], Quiet())
        await other.close()
        for event in release[1:]:
            event.set()
        await asyncio.sleep(1.2)  # two commits
        assert log_of(rpc).group("work").committed(TopicPartition("work", 0)) == 0
        release[0].set()


async def test_a_clean_stop_leaves_nothing_that_was_answered_to_run_again(
    make_rpc: Callable[..., Rpc], unique: Callable[[str], str]
) -> None:
    runs: list[int] = []

    class Work(Service, service=unique("work")):
        @service.method
        async def do(self, number: int) -> int:
            runs.append(number)
            return number

    rpc = make_rpc()
    rpc.serve(Work())
    for first in (0, 100, 200):
        async with rpc:
            await asyncio.gather(*(rpc.client(Work).do(number) for number in range(first, first + 100)))
    assert sorted(runs) == list(range(300))


async def test_an_at_most_once_request_is_committed_before_its_handler_runs() -> None:
    committed: list[int] = []

    class Once(Service, service="once", delivery="at_most_once"):
        @service.method
        async def do(self) -> None:
            committed.append(log_of(rpc).group("once").committed(TopicPartition("once", 0)))

    rpc = Rpc.in_memory(topics=Topics(request_partitions=1))
    rpc.serve(Once())
    async with rpc:
        await rpc.client(Once).do()
        await rpc.client(Once).do()
    assert committed == [1, 2]
