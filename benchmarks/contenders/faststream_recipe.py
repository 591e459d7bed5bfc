"""The usual request/reply on FastStream Kafka: `RPCWorker` of its documentation ("How-To", "Kafka RPC Requests").

As there: default settings, topics that the broker makes, a `reply_to` topic that a subscriber reads, and a dictionary
of futures. Its subscribers begin at the end of their topics, some time after their start: first calls are repeated.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from uuid import uuid4

from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Call, Calls, Nested, Small, name

M = TypeVar("M", bound=BaseModel)


def _topic(of: str) -> str:
    return f"{name()}-recipe-{of}"


def _make_broker() -> KafkaBroker:
    return KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None)


class RPCWorker:
    def __init__(self, broker: KafkaBroker, reply_topic: str) -> None:
        self.responses: dict[str, asyncio.Future[bytes]] = {}
        self.broker = broker
        self.reply_topic = reply_topic
        self.subscriber = broker.subscriber(reply_topic)
        self.subscriber(self._handle_responses)

    def _handle_responses(self, msg: KafkaMessage) -> None:
        if future := self.responses.pop(msg.correlation_id or "", None):
            future.set_result(msg.body)

    async def request(self, data: BaseModel | bytes, topic: str, timeout: float = 10.0) -> bytes:
        correlation_id = str(uuid4())
        future = self.responses[correlation_id] = asyncio.Future[bytes]()
        await self.broker.publish(data, topic, reply_to=self.reply_topic, correlation_id=correlation_id)
        try:
            response: bytes = await asyncio.wait_for(future, timeout=timeout)
        except TimeoutError:
            self.responses.pop(correlation_id, None)
            raise
        return response


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    broker = _make_broker()

    @broker.subscriber(_topic("small"))
    async def small(msg: Small) -> Small:
        return msg

    @broker.subscriber(_topic("nested"))
    async def nested(msg: Nested) -> Nested:
        return msg

    @broker.subscriber(_topic("bytes"))
    async def body(msg: bytes) -> bytes:
        return msg

    @broker.subscriber(_topic("waiting"))
    async def waiting(msg: Small) -> Small:
        await asyncio.sleep(WAIT)
        return msg

    async with broker:
        await broker.start()
        yield


async def _first_answer(call: Call) -> None:
    for _ in range(20):
        with suppress(TimeoutError):
            await asyncio.wait_for(call(), 1)
            return
    raise TimeoutError("the recipe's server does not answer")


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    broker = _make_broker()
    worker = RPCWorker(broker, _topic("responses"))

    async def call(value: M, of: str) -> M:
        return type(value).model_validate_json(await worker.request(value, _topic(of)))

    found: Calls = {
        "small": lambda: call(SMALL, "small"),
        "nested": lambda: call(NESTED, "nested"),
        "bytes": lambda: worker.request(BYTES, _topic("bytes")),
        "waiting": lambda: call(SMALL, "waiting"),
    }
    async with broker:
        await broker.start()
        for each in found.values():
            await _first_answer(each)
        yield found
