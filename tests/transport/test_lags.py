"""How far groups are behind, as Kafka tells it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from faststream.kafka import KafkaBroker

from interop.peer import make_topics
from typedrpc.transport.kafka import connection_of
from typedrpc.transport.kafka.groups import lags

pytestmark = pytest.mark.kafka


async def test_lag_is_what_a_group_has_not_committed_of_its_topics(kafka: str, unique: Callable[[str], str]) -> None:
    topic, other, group = unique("lag"), unique("lag"), unique("group")
    await make_topics(kafka, topic, other)
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await producer.start()
    await consumer.start()
    try:
        for at in (topic, topic, topic, other):
            await producer.send_and_wait(at, b"x", partition=0)
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): 2})
    finally:
        await producer.stop()
        await consumer.stop()

    connection = connection_of(KafkaBroker(kafka))
    assert connection is not None
    others = {f"{group}.{n}": {topic} for n in range(200)}
    found = await lags(connection, {group: {topic}, f"{group}.both": {topic, other}, **others})
    assert found == {group: 1, f"{group}.both": 4, **dict.fromkeys(others, 3)}


async def test_a_topic_that_is_not_there_is_not_made_and_hides_no_other_lag(
    kafka: str, unique: Callable[[str], str]
) -> None:
    topic, missing = unique("lag"), unique("lag")
    await make_topics(kafka, topic)
    connection = connection_of(KafkaBroker(kafka))
    assert connection is not None
    assert await lags(connection, {"here": {topic}, "there": {missing}, "both": {topic, missing}}) == {"here": 0}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        assert missing not in await admin.list_topics()
    finally:
        await admin.close()


async def test_a_kafka_that_is_away_tells_nothing() -> None:
    connection = connection_of(KafkaBroker("127.0.0.1:1"))
    assert connection is not None
    assert await lags(connection, {"group": {"topic"}}) == {}
