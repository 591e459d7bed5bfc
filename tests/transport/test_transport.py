"""One conformance suite for both transports: records, readers and topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from typedrpc.transport import CHUNK, Reader, Record, TopicPartition, TopicSpec, Transport, TransportError
from typedrpc.wire import MAX_BODY

Connect = Callable[[], Awaitable[Transport]]
MakeTopic = Callable[[Transport, int], Awaitable[str]]
Write = Callable[..., Coroutine[Any, Any, list[BaseException | None]]]
Read = Callable[..., Awaitable[list[Record]]]
OpenReader = Callable[[Transport, Sequence[TopicPartition]], Awaitable[Reader]]

# Records


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", b"v", [("a", b"1")]),
        (None, b"", []),
        (b"", b"v", [("empty", b""), ("", b"nameless")]),
        (None, None, [("null value", b"x")]),
        (b"\x00\xff", b"\xff" * 1000, [("binary", b"\xff\x00"), ("ü€😀", b"unicode")]),
        (None, b"v", [("twice", b"1"), ("other", b""), ("twice", b"2")]),
    ],
)
async def test_a_record_arrives_as_it_was_sent(
    transport: Transport,
    open_reader: OpenReader,
    make_topic: MakeTopic,
    write: Write,
    read: Read,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes]],
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    reader = await open_reader(transport, [at])
    before = time.time() * 1000
    assert await write(transport, at, value, key=key, headers=headers) == [None]
    (record,) = await read(reader, 1)
    assert (record.topic, record.partition, record.offset) == (at.topic, 0, 0)
    assert (record.key, record.value) == (key, value)
    assert [(name, content) for name, content in record.headers] == headers
    assert record.timestamp_type == 1
    assert before - 2000 < record.timestamp < time.time() * 1000 + 2000


async def test_many_records_arrive_in_order_each_acknowledged_once_in_chunks(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    reader = await open_reader(transport, [at])
    values = [b"%d" % index for index in range(5_000)]
    writing = asyncio.create_task(write(transport, at, *values, headers=[("h", b"x")]))
    found: list[Record] = []
    async with asyncio.timeout(30):
        while len(found) < len(values):
            chunk = await reader.fetch()
            assert len(chunk) <= CHUNK
            found += chunk
            await asyncio.sleep(0)
    assert await writing == [None] * len(values)
    assert [record.value for record in found] == values
    assert [record.offset for record in found] == list(range(len(values)))


async def test_records_sent_while_others_are_under_way_keep_their_order(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    reader = await open_reader(transport, [at])
    writing: list[asyncio.Task[list[BaseException | None]]] = []
    for index in range(50):
        writing.append(asyncio.create_task(write(transport, at, b"%d" % index)))
        await asyncio.sleep(0.001 * (index % 3))
    await asyncio.gather(*writing)
    assert [record.value for record in await read(reader, 50)] == [b"%d" % index for index in range(50)]


@pytest.mark.parametrize("durable", [False, True])
async def test_bodies_of_the_largest_size_arrive(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read, durable: bool
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    reader = await open_reader(transport, [at])
    values = [bytes([index]) * MAX_BODY for index in range(4)]
    headers = [("h", b"x" * 16_000)]
    assert await write(transport, at, *values, headers=headers, durable=durable) == [None] * 4
    records = await read(reader, 4)
    assert [record.value == value for record, value in zip(records, values, strict=True)] == [True] * 4


async def test_a_partition_that_does_not_exist_is_an_error_of_its_own_records_only(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read
) -> None:
    topic = await make_topic(transport, 2)
    reader = await open_reader(transport, [TopicPartition(topic, 1)])
    bad, good = await asyncio.gather(
        write(transport, TopicPartition(topic, 2), b"a", b"b"), write(transport, TopicPartition(topic, 1), b"c", b"d")
    )
    assert [type(error) for error in bad] == [TransportError, TransportError]
    assert topic in str(bad[0])
    assert good == [None, None]
    assert len(await read(reader, 2)) == 2
    assert await write(transport, TopicPartition(topic, 0), b"e") == [None]


async def test_any_partition_takes_a_record_that_names_none(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read
) -> None:
    topic = await make_topic(transport, 3)
    reader = await open_reader(transport, [TopicPartition(topic, p) for p in range(3)])
    assert await write(transport, (topic, None), *[b"x"] * 20) == [None] * 20
    assert len(await read(reader, 20)) == 20


async def test_a_failing_callback_does_not_lose_the_records_after_it(
    transport: Transport, make_topic: MakeTopic, write: Write
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    loop = asyncio.get_running_loop()
    reported: list[object] = []
    loop.set_exception_handler(lambda _, context: reported.append(context.get("exception")))

    def fails(token: object, error: BaseException | None) -> None:
        raise RuntimeError("a bug in the callback")

    transport.send(at.topic, 0, None, b"x", (), fails, None)
    assert await write(transport, at, b"y", b"z") == [None, None]
    assert await write(transport, at, b"later") == [None]
    assert any(isinstance(error, RuntimeError) for error in reported)


async def test_keys_are_spread_and_steady(connect: Connect) -> None:
    transport, other = await connect(), await connect()
    keys = [b"%d" % index for index in range(1000)] + [b"", b"\xff"]
    chosen = [transport.partition_for_key(key, 12) for key in keys]
    assert chosen == [other.partition_for_key(key, 12) for key in keys]
    assert set(chosen) == set(range(12))


async def test_stop_writes_what_is_buffered(
    connect: Connect, open_reader: OpenReader, make_topic: MakeTopic, read: Read
) -> None:
    watching, stopping = await connect(), await connect()
    topic = await make_topic(watching, 2)
    reader = await open_reader(watching, [TopicPartition(topic, p) for p in range(2)])
    sent: list[BaseException | None] = []
    for index in range(400):
        stopping.send(topic, index % 2, None, b"x", (), lambda _, error: sent.append(error), None)
    stopping.send(topic, 0, None, b"x" * 100_000, (), lambda _, error: sent.append(error), None)
    await stopping.stop()
    await asyncio.sleep(0)
    assert sent == [None] * 401
    assert len(await read(reader, 401)) == 401
    await stopping.stop()


async def test_the_brokers_clock_is_near_ours_once_something_was_written(
    transport: Transport, make_topic: MakeTopic, write: Write
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    await write(transport, at, b"x")
    await write(transport, at, b"x")
    now = transport.broker_time()
    assert now is not None
    assert abs(now - time.time() * 1000) < 2000
    await asyncio.sleep(0.05)
    later = transport.broker_time()
    assert later is not None
    assert 30 < later - now < 20_000


# Readers


async def test_a_reader_sees_all_that_is_written_after_it_was_opened_and_nothing_older(
    connect: Connect, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read
) -> None:
    transport, other = await connect(), await connect()
    at = TopicPartition(await make_topic(transport, 1), 0)
    for turn in range(5):
        assert await write(other, at, b"old") == [None]
        reader = await open_reader(transport, [at])
        await write(other, at, b"new %d" % turn)
        assert [record.value for record in await read(reader, 1)] == [b"new %d" % turn]
        await reader.close()


async def test_a_reader_reads_all_its_partitions_and_no_other(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read
) -> None:
    topic = await make_topic(transport, 4)
    reader = await open_reader(transport, [TopicPartition(topic, p) for p in (0, 2)])
    for p in range(4):
        await write(transport, TopicPartition(topic, p), b"%d" % p, b"%d again" % p)
    records = await read(reader, 4)
    assert sorted(record.value or b"" for record in records) == [b"0", b"0 again", b"2", b"2 again"]
    assert list(await reader.fetch()) == []


async def test_readers_of_one_partition_each_see_everything(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write, read: Read
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    readers = [await open_reader(transport, [at]) for _ in range(3)]
    await write(transport, at, *[b"x"] * 250)
    assert [len(await read(reader, 250)) for reader in readers] == [250] * 3


async def test_fetch_waits_for_a_record_and_answers_none_after_about_a_second(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic, write: Write
) -> None:
    at = TopicPartition(await make_topic(transport, 1), 0)
    reader = await open_reader(transport, [at])
    started = time.monotonic()
    assert list(await reader.fetch()) == []
    assert 0.2 < time.monotonic() - started < 5
    fetching = asyncio.create_task(reader.fetch())
    await asyncio.sleep(0.05)
    await write(transport, at, b"x")
    records = await fetching or await reader.fetch()  # the write may have taken the second
    assert [record.value for record in records] == [b"x"]


async def test_closing_a_reader_twice_or_while_it_fetches_is_harmless(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic
) -> None:
    reader = await open_reader(transport, [TopicPartition(await make_topic(transport, 1), 0)])
    fetching = asyncio.create_task(reader.fetch())
    await asyncio.sleep(0.05)
    await reader.close()
    await reader.close()
    async with asyncio.timeout(10):
        outcome = (await asyncio.gather(fetching, return_exceptions=True))[0]
    assert isinstance(outcome, TransportError) or list(outcome) == []  # type: ignore[arg-type]


async def test_a_reader_of_a_missing_partition_is_an_error(
    transport: Transport, open_reader: OpenReader, make_topic: MakeTopic
) -> None:
    topic = await make_topic(transport, 1)
    with pytest.raises(TransportError, match=topic):
        await open_reader(transport, [TopicPartition(topic, 5)])


# Topics


async def test_topics_are_made_once_however_often_and_by_however_many(
    connect: Connect, unique: Callable[[str], str]
) -> None:
    transports = [await connect() for _ in range(4)]
    specs = [TopicSpec(name=unique("made"), partitions=count, config={}) for count in (1, 3, 5)]
    await asyncio.gather(*(transport.ensure_topics(specs, create=True) for transport in transports * 2))
    for transport in transports:
        await transport.ensure_topics(specs, create=True)
        await transport.ensure_topics(specs, create=False)
        assert [await transport.partitions_of(spec.name) for spec in specs] == [1, 3, 5]


async def test_a_topic_can_be_written_to_as_soon_as_it_was_made(
    transport: Transport, make_topic: MakeTopic, write: Write
) -> None:
    for _ in range(3):
        topic = await make_topic(transport, 6)
        errors = await asyncio.gather(*(write(transport, TopicPartition(topic, p), b"x") for p in range(6)))
        assert errors == [[None]] * 6


async def test_missing_topics_are_named_and_not_made_where_that_is_not_wanted(
    transport: Transport, make_topic: MakeTopic, unique: Callable[[str], str]
) -> None:
    existing = await make_topic(transport, 1)
    missing = sorted(unique("missing") for _ in range(2))
    specs = [TopicSpec(name=name, partitions=2, config={}) for name in (existing, *missing)]
    for _ in range(2):  # the first attempt has not made them
        with pytest.raises(TransportError, match=f"missing.*{missing[0]}, {missing[1]}") as caught:
            await transport.ensure_topics(specs, create=False)
        assert existing not in str(caught.value)


async def test_a_topic_that_exists_otherwise_is_left_as_it_is(transport: Transport, make_topic: MakeTopic) -> None:
    topic = await make_topic(transport, 2)
    await transport.ensure_topics([TopicSpec(name=topic, partitions=7, config={})], create=True)
    assert await transport.partitions_of(topic) == 2
