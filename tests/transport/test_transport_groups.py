"""The conformance suite's second half, for both transports: consumer groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

import pytest
import pytest_asyncio

from typedrpc.transport import CHUNK, GroupReader, Record, TopicPartition, Transport

Connect = Callable[[], Awaitable[Transport]]
MakeTopic = Callable[[Transport, int], Awaitable[str]]
Write = Callable[..., Awaitable[list[BaseException | None]]]

PATIENCE = 25.0
"""Seconds that a group may take to settle on a slow machine; about one is usual."""


class Member:
    """A group's member that fetches all the time and keeps what it hears."""

    def __init__(self) -> None:
        self.owned: set[TopicPartition] = set()
        self.heard: list[str] = []
        self.records: list[Record] = []
        self.on_revoke: dict[TopicPartition, int] = {}
        self._reader: GroupReader | None = None
        self._task: asyncio.Task[None] | None = None

    async def join(self, transport: Transport, group: str, topics: Sequence[str]) -> None:
        self._reader = await transport.join_group(group, topics, self)
        assert self.heard[:1] == ["assigned"], "the first assignment has been made when join_group returns"
        self._task = asyncio.create_task(self._run(self._reader))

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append("assigned")
        self.owned = set(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.heard.append("revoked")
        assert set(partitions) == self.owned
        self.owned = set()
        return self.on_revoke

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        assert self._reader is not None
        await self._reader.commit(offsets)

    async def leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._reader is not None:
            await self._reader.close()
            await self._reader.close()

    @property
    def values(self) -> list[bytes]:
        return [record.value or b"" for record in self.records]

    async def _run(self, reader: GroupReader) -> None:
        while True:
            chunk = await reader.fetch()
            assert len(chunk) <= CHUNK
            self.records += chunk
            await asyncio.sleep(0)


Join = Callable[..., Awaitable[Member]]


@pytest_asyncio.fixture
async def join(connect: Connect) -> AsyncGenerator[Join]:
    """Joins a group by a process of its own; leaves after the test."""
    members: list[Member] = []

    async def join(group: str, *topics: str) -> Member:
        members.append(Member())
        await members[-1].join(await connect(), group, topics)
        return members[-1]

    yield join
    await asyncio.gather(*(member.leave() for member in members))


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  # many things change what is waited for
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"never happened: {what}")


def partitions_of(topic: str, count: int) -> set[TopicPartition]:
    return {TopicPartition(topic, p) for p in range(count)}


async def shared(topic: str, count: int, *members: Member) -> None:
    """Until the members hold all partitions, each one some and none twice."""

    def is_shared() -> bool:
        held = [at for member in members for at in member.owned]
        return all(m.owned for m in members) and sorted(held) == sorted(partitions_of(topic, count))

    await until(is_shared, f"{[member.owned for member in members]} share {count} partitions")


async def test_the_only_member_reads_all_that_was_written_before_and_after_it_joined(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic = await make_topic(transport, 3)
    await write(transport, (topic, 2), b"before")
    member = await join(unique("group"), topic)
    assert member.owned == partitions_of(topic, 3)
    for p in range(3):
        await write(transport, (topic, p), b"%d first" % p, b"%d second" % p)
    await until(lambda: len(member.records) == 7, "seven records")
    assert [value for value in member.values if value.startswith(b"0")] == [b"0 first", b"0 second"]
    assert next(value for value in member.values if not value[:1].isdigit()) == b"before"
    assert member.heard == ["assigned"]


async def test_two_members_share_the_partitions_and_each_record_reaches_one(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic, group = await make_topic(transport, 4), unique("group")
    one, other = await join(group, topic), await join(group, topic)
    await shared(topic, 4, one, other)
    assert one.heard == ["assigned", "revoked", "assigned"]
    written = [b"%d" % index for index in range(400)]
    await asyncio.gather(*(write(transport, (topic, p), *written[p::4]) for p in range(4)))
    await until(lambda: len(one.records) + len(other.records) >= 400, "400 records")
    await asyncio.sleep(0.3)
    assert sorted(one.values + other.values) == sorted(written)
    for member in (one, other):
        assert {TopicPartition(r.topic, r.partition) for r in member.records} == member.owned


async def test_a_member_that_leaves_hands_over_at_once(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic, group = await make_topic(transport, 2), unique("group")
    one, other = await join(group, topic), await join(group, topic)
    await shared(topic, 2, one, other)
    await one.leave()
    await shared(topic, 2, other)
    assert other.heard[-2:] == ["revoked", "assigned"]
    await asyncio.gather(*(write(transport, (topic, p), b"x") for p in range(2)))
    await until(lambda: len(other.records) == 2, "both partitions are read by the one that stayed")


async def test_a_member_that_joins_again_continues_at_the_commit(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic, group = await make_topic(transport, 2), unique("group")
    await write(transport, (topic, 0), *[b"%d" % index for index in range(10)])
    await write(transport, (topic, 1), b"a", b"b")
    first = await join(group, topic)
    await until(lambda: len(first.records) == 12, "all records")
    await first.commit({TopicPartition(topic, 0): 3})
    await first.commit({TopicPartition(topic, 0): 7, TopicPartition(topic, 1): 2})
    await first.leave()
    second = await join(group, topic)
    await until(lambda: len(second.records) == 3, "what was not committed")
    await asyncio.sleep(0.3)
    assert second.values == [b"7", b"8", b"9"]


async def test_what_was_not_committed_is_read_again_for_leaving_commits_nothing(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic, group = await make_topic(transport, 1), unique("group")
    await write(transport, (topic, 0), b"a", b"b")
    for _ in range(2):
        member = await join(group, topic)
        member.on_revoke = {TopicPartition(topic, 0): 2}
        await until(lambda member=member: len(member.records) == 2, "both records")  # type: ignore[misc]
        await member.leave()
        assert member.values == [b"a", b"b"]


async def test_what_a_member_answers_on_revoke_is_committed(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic, group = await make_topic(transport, 1), unique("group")
    await write(transport, (topic, 0), *[b"%d" % index for index in range(6)])
    one = await join(group, topic)
    await until(lambda: len(one.records) == 6, "all records")
    one.on_revoke = {TopicPartition(topic, 0): 4}
    other = await join(group, topic)
    await until(lambda: len(one.records) + len(other.records) >= 8, "what was not committed, again")
    await asyncio.sleep(0.3)
    assert (one.values + other.values)[-2:] == [b"4", b"5"]
    assert len(one.records) + len(other.records) == 8


async def test_two_groups_both_read_everything(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic = await make_topic(transport, 2)
    groups = await asyncio.gather(*(join(unique("group"), topic) for _ in range(2)))
    await asyncio.gather(*(write(transport, (topic, p), *[b"x"] * 150) for p in range(2)))
    await until(lambda: [len(member.records) for member in groups] == [300, 300], "300 records in each group")


async def test_one_member_reads_several_topics(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topics = [await make_topic(transport, 1) for _ in range(3)]
    member = await join(unique("group"), *topics)
    for topic in topics:
        await write(transport, (topic, 0), topic.encode())
    await until(lambda: len(member.records) == 3, "a record of each topic")
    assert {(record.topic, record.value) for record in member.records} == {(t, t.encode()) for t in topics}


async def test_members_of_one_group_may_read_different_topics(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    old, new, group = await make_topic(transport, 2), await make_topic(transport, 1), unique("group")
    one = await join(group, old)
    other = await join(group, old, new)
    await until(lambda: bool(one.owned) and TopicPartition(new, 0) in other.owned, "the new topic is read")
    await until(lambda: one.owned | other.owned == partitions_of(old, 2) | partitions_of(new, 1), "all are read")
    await write(transport, (new, 0), b"x")
    await write(transport, (old, 0), b"x")
    await write(transport, (old, 1), b"x")
    await until(lambda: len(one.records) + len(other.records) == 3, "all records")
    assert new not in {record.topic for record in one.records}


async def test_a_commit_of_what_is_not_ones_own_is_ignored(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic, group = await make_topic(transport, 2), unique("group")
    for p in range(2):
        await write(transport, (topic, p), b"a", b"b")
    one, other = await join(group, topic), await join(group, topic)
    await shared(topic, 2, one, other)
    await until(lambda: len(one.records) + len(other.records) >= 4, "all records")
    await one.commit(dict.fromkeys(partitions_of(topic, 2), 2))
    await one.commit({TopicPartition(topic, 99): 2, TopicPartition("no-such-topic", 0): 1})
    await one.commit({})
    mine = next(iter(one.owned))
    await asyncio.gather(one.leave(), other.leave())
    third = await join(group, topic)
    await until(lambda: len(third.records) >= 2, "what the other had not committed")
    await asyncio.sleep(0.3)
    assert third.values == [b"a", b"b"]
    assert mine not in {TopicPartition(r.topic, r.partition) for r in third.records}


async def test_a_backlog_arrives_whole_and_in_order(
    transport: Transport, make_topic: MakeTopic, write: Write, join: Join, unique: Callable[[str], str]
) -> None:
    topic = await make_topic(transport, 2)
    written = [b"%d" % index for index in range(3_000)]
    await asyncio.gather(*(write(transport, (topic, p), *written) for p in range(2)))
    member = await join(unique("group"), topic)
    await until(lambda: len(member.records) >= 6_000, "the whole backlog")
    for p in range(2):
        assert [record.value for record in member.records if record.partition == p] == written
