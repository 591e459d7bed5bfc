"""What is committed when, at least once and at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import pytest

from typedrpc import Limits, Rpc, Service, Topics, service
from typedrpc.transport import Record, TopicPartition, TopicSpec, Transport, TransportError
from typedrpc.transport.memory import MemoryLog, MemoryTransport
from typedrpc.wire import method_headers, parse_response, reply_headers


class Quiet:
    """Another member of a group, which reads nothing."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {}


def transport_of(rpc: Rpc) -> Transport:
    transport = rpc._transport  # pyright: ignore[reportPrivateUsage]  # to write records that no client would
    assert transport is not None
    return transport


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


@pytest.mark.parametrize("when", ["in the background", "on revoke"])
async def test_what_was_answered_does_not_run_again_where_another_member_takes_over(
    make_rpc: Callable[..., Rpc], unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """In the background: the member that answered gives up its partitions without a commit, as one that was killed."""
    runs: list[int] = []

    class Work(Service, service=unique("work")):
        @service.method
        async def do(self, number: int) -> int:
            runs.append(number)
            return number

    first = make_rpc()
    first.serve(Work())
    if when == "on revoke":
        monkeypatch.setattr("typedrpc.server._COMMIT_EVERY", 60)
    async with first:
        for number in range(50):  # in turn: calls of one moment share a partition
            await first.client(Work).do(number)
        if when == "in the background":
            await asyncio.sleep(1.2)
            monkeypatch.setattr("typedrpc.server.Server.revoked", Quiet.revoked)
        second = make_rpc()
        second._log = log_of(first)  # pyright: ignore[reportPrivateUsage]  # the same Kafka, also in memory
        second.serve(Work())
        async with second:
            await asyncio.sleep(3)  # the group has both members now
    assert sorted(runs) == list(range(50))


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


async def test_no_commit_goes_behind_an_at_most_once_request_that_still_runs() -> None:
    release = asyncio.Event()

    class Once(Service, service="once", delivery="at_most_once"):
        @service.method(oneway=True)
        async def do(self) -> None:
            await release.wait()

    rpc = Rpc.in_memory(topics=Topics(request_partitions=1))
    rpc.serve(Once())
    async with rpc:
        await rpc.client(Once).do()
        await asyncio.sleep(1.2)  # two commits
        assert log_of(rpc).group("once").committed(TopicPartition("once", 0)) == 1
        other = await MemoryTransport(log_of(rpc)).join_group("once", ["once"], Quiet())
        await other.close()
        assert log_of(rpc).group("once").committed(TopicPartition("once", 0)) == 1
        release.set()


@pytest.mark.parametrize("refusal", ["not its partition", "refused", "a rebalance meanwhile"])
async def test_an_at_most_once_request_does_not_run_on_a_commit_that_was_not_taken(
    refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    class Once(Service, service="once", delivery="at_most_once"):
        @service.method(oneway=True)
        async def do(self, number: int) -> None:
            runs.append(number)

    rpc = Rpc.in_memory(topics=Topics(request_partitions=1))
    rpc.serve(Once())
    group = log_of(rpc).group("once")
    take = group.commit
    refused: list[int] = []

    def commit(member: Any, offsets: Mapping[TopicPartition, int]) -> Set[TopicPartition]:
        if offsets and not refused:
            refused.extend(offsets.values())
            if refusal == "refused":
                raise TransportError("not taken")
            if refusal == "not its partition":
                return frozenset()
            taken = take(member, offsets)
            member.listener.assigned(list(member.positions))
            return taken
        return take(member, offsets)

    monkeypatch.setattr(group, "commit", commit)
    async with rpc:
        await rpc.client(Once).do(1)
        await asyncio.sleep(0.2)
        assert refused == [1]
        assert runs == []
        await rpc.client(Once).do(2)
        await asyncio.sleep(1.0)
    # Where Kafka refused it the server joins again, and meets the request that was not committed.
    assert runs == ([1, 2] if refusal == "refused" else [2])


async def write_twice(rpc: Rpc, topic: str, method: str, answers: str, pause: float) -> list[Record]:
    """One request, written twice with one id; what was answered within a while."""
    transport = transport_of(rpc)
    await transport.ensure_topics([TopicSpec(name=answers, partitions=1, config={})], create=True)
    reader = await transport.open_reader([TopicPartition(answers, 0)])
    headers = [("correlation_id", b"one-id"), *reply_headers(answers, 0), *method_headers(topic, method)]
    for _ in range(2):
        transport.send(topic, 0, None, b"{}", headers, lambda token, error: None, None)
        await asyncio.sleep(pause)
    found: list[Record] = []
    while len(found) < 2:
        found += await asyncio.wait_for(reader.fetch(), 10)
    await reader.close()
    return found


@pytest.mark.parametrize("pause", [0.0, 1.0], ids=["while it runs", "when it was answered"])
async def test_a_request_that_comes_again_is_answered_again_and_runs_once(
    make_rpc: Callable[..., Rpc], unique: Callable[[str], str], pause: float
) -> None:
    name = unique("work")
    runs = 0

    class Work(Service, service=name):
        @service.method
        async def do(self) -> int:
            nonlocal runs
            runs += 1
            await asyncio.sleep(0.3)
            return runs

    rpc = make_rpc()
    rpc.serve(Work())
    async with rpc:
        answers = await write_twice(rpc, name, "do", unique("answers"), pause)
    assert [a.value for a in answers] == [b"1", b"1"]
    assert [parse_response(a.headers).status for a in answers] == ["OK", "OK"]
    assert runs == 1
