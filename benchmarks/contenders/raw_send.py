"""Raw aiokafka `send`, the ceiling without own batches. Requests name no partition: aiokafka chooses."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from aiokafka import AIOKafkaProducer

from benchmarks.contenders import raw_kafka
from benchmarks.work import Calls, name

TOPIC = f"{name()}-raw-send"


def _sender(producer: AIOKafkaProducer) -> raw_kafka.Send:
    return lambda topic, partition, body, headers: producer.send(topic, body, partition=partition, headers=headers)


def serve() -> AbstractAsyncContextManager[None]:
    return raw_kafka.serve(TOPIC, _sender)


def calls() -> AbstractAsyncContextManager[Calls]:
    return raw_kafka.calls(TOPIC, _sender)
