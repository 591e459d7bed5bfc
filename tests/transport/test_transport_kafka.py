"""What only a real Kafka shows: topic settings, keys, refused connections and credentials."""

from __future__ import annotations

import asyncio
import importlib
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.record.util import calc_crc32c
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext

from typedrpc.errors import UsageError
from typedrpc.transport import TopicPartition, TopicSpec, Transport, TransportError
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.kafka.connection import hasten

pytestmark = pytest.mark.kafka


def a_transport(broker: KafkaBroker, start_timeout: float = 10) -> KafkaTransport:
    connection = connection_of(broker)
    assert connection is not None
    return KafkaTransport(connection, start_timeout=start_timeout, instance_id=None)


@pytest_asyncio.fixture
async def transport(broker: KafkaBroker) -> AsyncGenerator[Transport]:
    transport = a_transport(broker)
    await transport.start()
    yield transport
    await transport.stop()


@pytest_asyncio.fixture
async def admin(kafka: str) -> AsyncGenerator[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


async def send(transport: Transport, topic: str, partition: int | None, key: Any, value: bytes) -> BaseException | None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    transport.send(topic, partition, key, value, (), lambda _, error: ended.set_result(error), None)
    async with asyncio.timeout(20):
        return await ended


# Topics


async def test_topics_are_made_with_the_settings_and_partitions_that_were_wanted(
    transport: Transport, admin: Any, unique: Callable[[str], str]
) -> None:
    settings = {"message.timestamp.type": "LogAppendTime", "retention.ms": "3600000"}
    specs = [TopicSpec(name=unique("made"), partitions=count, config=settings) for count in (1, 12)]
    await transport.ensure_topics(specs, create=True)
    described = await admin.describe_topics([spec.name for spec in specs])
    assert {t["topic"]: len(t["partitions"]) for t in described} == {spec.name: spec.partitions for spec in specs}
    for spec in specs:
        found = await settings_of(admin, spec.name)
        assert {name: found[name] for name in settings} == settings


async def settings_of(admin: Any, topic: str) -> dict[str, str]:
    resources: Any = importlib.import_module("aiokafka.admin.config_resource")
    wanted = resources.ConfigResource(resources.ConfigResourceType.TOPIC, topic)
    (response,) = await admin.describe_configs([wanted])
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


async def test_asking_for_a_missing_topic_does_not_let_the_broker_make_it(
    transport: Transport, admin: Any, unique: Callable[[str], str]
) -> None:
    missing = unique("missing")
    with pytest.raises(TransportError, match=missing):
        await transport.ensure_topics([TopicSpec(name=missing, partitions=2, config={})], create=False)
    assert missing not in await admin.list_topics()


async def test_a_topic_that_cannot_be_made_is_an_error_that_says_why(transport: Transport) -> None:
    for spec in (
        TopicSpec(name="not a topic", partitions=1, config={}),
        TopicSpec(name="bad-settings", partitions=1, config={"no.such.setting": "1"}),
        TopicSpec(name="bad-count", partitions=0, config={}),
    ):
        started = time.monotonic()
        with pytest.raises(TransportError, match=spec.name):
            await transport.ensure_topics([spec], create=True)
        assert time.monotonic() - started < 10


# Records


def test_a_key_goes_where_javas_clients_put_it(broker: KafkaBroker) -> None:
    # Values of org.apache.kafka.common.utils.UtilsTest.testMurmur2
    hashes = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    partition = a_transport(broker).partition_for_key
    for key, hash_ in hashes.items():
        for partitions in (1, 12, 48):
            assert partition(key, partitions) == (hash_ & 0x7FFFFFFF) % partitions


async def test_a_record_that_cannot_be_written_is_an_error_and_later_ones_are_written(
    transport: Transport, unique: Callable[[str], str]
) -> None:
    topic = unique("topic")
    await transport.ensure_topics([TopicSpec(name=topic, partitions=1, config={})], create=True)
    assert isinstance(await send(transport, topic, 0, "a key that is no bytes", b"x"), TransportError)
    assert await send(transport, topic, 0, b"key", b"x") is None
    assert isinstance(await send(transport, topic, 0, None, b"x" * 2_000_000), TransportError)
    assert await send(transport, topic, 0, None, b"x" * 900_000) is None


async def test_nothing_can_be_sent_after_stop(broker: KafkaBroker, unique: Callable[[str], str]) -> None:
    transport = a_transport(broker)
    await transport.start()
    await transport.stop()
    await transport.stop()
    assert isinstance(await send(transport, unique("topic"), 0, None, b"x"), TransportError)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_batches_of_other_producers_are_read(
    transport: Transport, kafka: str, unique: Callable[[str], str], codec: str
) -> None:
    topic = unique("topic")
    await transport.ensure_topics([TopicSpec(name=topic, partitions=1, config={})], create=True)
    reader = await transport.open_reader([TopicPartition(topic, 0)])
    producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec)
    await producer.start()
    await producer.send_and_wait(topic, b"x" * 10_000)
    await producer.stop()
    async with asyncio.timeout(20):
        while not (records := await reader.fetch()):
            pass
    assert [record.value for record in records] == [b"x" * 10_000]
    await reader.close()


async def test_a_record_that_cannot_be_decoded_is_skipped_and_no_other_is_lost(
    transport: Transport, kafka: str, unique: Callable[[str], str]
) -> None:
    topic = unique("topic")
    await transport.ensure_topics([TopicSpec(name=topic, partitions=2, config={})], create=True)
    alone = await transport.open_reader([TopicPartition(topic, p) for p in range(2)])
    expected = [b"%d" % index for index in range(400)]
    for index, value in enumerate(expected):
        if index in (0, 150, 151, 399):
            await write_undecodable(kafka, topic, index % 2)
        await send(transport, topic, index % 2, None, value)
    member = await transport.join_group(unique("group"), [topic], NoListener())
    await write_undecodable(kafka, topic, 0)
    for reader in (alone, member):
        found: list[bytes] = []
        async with asyncio.timeout(20):
            while len(found) < len(expected):
                found += [record.value or b"" for record in await reader.fetch()]
        assert sorted(found, key=int) == expected
        assert [value for value in found if int(value) % 2] == expected[1::2]
        assert list(await reader.fetch()) == []
    await send(transport, topic, 0, None, b"later")
    for reader in (alone, member):
        async with asyncio.timeout(20):
            while not (records := await reader.fetch()):
                pass
        assert [record.value for record in records] == [b"later"]
    await asyncio.gather(alone.close(), member.close())


async def write_undecodable(kafka: str, topic: str, partition: int) -> None:
    """A record whose header has a name that is no UTF-8: brokers and most clients allow that."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        batch: Any = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"-1", headers=[("????", b"x")])
        batch._builder = Renamed(batch._builder)
        await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


class Renamed:
    """A batch's builder that spoils its headers' names."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)

    def build(self) -> bytearray:
        built = bytearray(self._builder.build().replace(b"????", b"\xff\xfe\xff\xfe"))
        built[17:21] = struct.pack(">I", calc_crc32c(built[21:]))  # kafka.apache.org/documentation/#recordbatch
        return built


# Connections


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_an_unreachable_broker_is_an_error_within_seconds_that_names_the_address() -> None:
    address = f"127.0.0.1:{closed_port()}"
    transport = a_transport(KafkaBroker(address, logger=None), start_timeout=3)
    specs = [TopicSpec(name="topic", partitions=1, config={})]
    for attempt in (
        transport.start,
        lambda: transport.ensure_topics(specs, create=True),
        lambda: transport.open_reader([TopicPartition("topic", 0)]),
        lambda: transport.join_group("group", ["topic"], NoListener()),
    ):
        started = time.monotonic()
        with pytest.raises(TransportError, match=address):
            await attempt()
        assert time.monotonic() - started < 8
    assert isinstance(await send(transport, "topic", 0, None, b"x"), TransportError)
    await transport.stop()


@pytest.mark.parametrize(
    ("address", "says"), [("one:9092,two:9092", "as a list, not as one text"), ("one:port", "as HOST:PORT")]
)
async def test_what_is_no_address_is_an_error_that_says_how_to_write_it(address: str, says: str) -> None:
    transport = a_transport(KafkaBroker(address, logger=None))
    try:
        with pytest.raises(TransportError, match=says):
            await transport.start()
    finally:
        await transport.stop()


async def test_tls_without_a_context_is_an_error_that_says_so(kafka: str) -> None:
    transport = a_transport(KafkaBroker(kafka, security=BaseSecurity(use_ssl=True), logger=None))
    try:
        with pytest.raises(TransportError, match="use_ssl=True needs an ssl_context"):
            await transport.start()
    finally:
        await transport.stop()


async def test_a_broker_that_accepts_and_never_answers_is_an_error_within_the_start_timeout() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = a_transport(KafkaBroker(address, logger=None), start_timeout=1)
    started = time.monotonic()
    with pytest.raises(TransportError, match=address):
        await transport.start()
    assert time.monotonic() - started < 8
    await transport.stop()
    server.close()


class NoListener:
    def assigned(self, partitions: Any) -> None:
        pass

    def revoked(self, partitions: Any) -> dict[TopicPartition, int]:
        return {}


async def test_the_brokers_own_credentials_are_used(sasl: str, unique: Callable[[str], str]) -> None:
    transport = a_transport(
        KafkaBroker(sasl, security=SASLPlaintext(username="alice", password="alice-secret"), logger=None)
    )
    await transport.start()
    topic = unique("sasl")
    await transport.ensure_topics([TopicSpec(name=topic, partitions=1, config={})], create=True)
    reader = await transport.open_reader([TopicPartition(topic, 0)])
    group = await transport.join_group(unique("group"), [topic], NoListener())
    assert await send(transport, topic, 0, None, b"x") is None
    async with asyncio.timeout(20):
        while not await reader.fetch():
            pass
        while not await group.fetch():
            pass
    await asyncio.gather(reader.close(), group.close())
    await transport.stop()


async def test_wrong_credentials_are_an_error_that_says_so(sasl: str) -> None:
    transport = a_transport(KafkaBroker(sasl, security=SASLPlaintext(username="alice", password="wrong"), logger=None))
    started = time.monotonic()
    with pytest.raises(TransportError, match=f"{sasl}.*Authentication failed"):
        await transport.start()
    with pytest.raises(TransportError, match=sasl):
        await transport.ensure_topics([TopicSpec(name="topic", partitions=1, config={})], create=True)
    assert time.monotonic() - started < 15
    await transport.stop()


def test_anything_but_a_kafka_broker_is_refused_with_words() -> None:
    with pytest.raises(UsageError, match="KafkaBroker"):
        connection_of("localhost:9092")  # type: ignore[arg-type]


async def test_a_broker_that_does_not_answer_is_given_up_after_two_seconds_and_others_are_asked(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts connections, as a frozen one does: its kernel does that."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, request_timeout_ms=20_000)
        hasten(producer)
        await producer.start()
        try:
            client, (broker, *_) = producer.client, producer.client.cluster.brokers()
            moved = broker._replace(nodeId=77, port=frozen.getsockname()[1])
            brokers: Any = {77: moved, broker.nodeId: broker}
            monkeypatch.setattr(client.cluster, "broker_metadata", brokers.get)
            started = time.monotonic()
            assert not await client.ready(77)
            assert time.monotonic() - started < 5
            assert await client.ready(broker.nodeId)
        finally:
            await producer.stop()
