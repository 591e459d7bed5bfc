"""FastStream as a server (handlers that return values) or a client (the recipe of its documentation): see peer.py.

The recipe is "How-To", "Kafka RPC Requests": publish with `reply_to` and a correlation id, and look for that id in the
records of the reply topic. Options of a client: `reply_topic`. FastStream has no word for errors or for null: a handler
that raises answers nothing, one that returns None answers an empty body.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

from faststream.kafka import KafkaBroker, KafkaMessage

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
SEEN: list[dict[str, Any]] = []


class Recipe:
    def __init__(self, broker: KafkaBroker, reply_topic: str) -> None:
        self._broker = broker
        self._reply_topic = reply_topic
        self._responses: dict[str, asyncio.Future[Any]] = {}
        self._subscriber = broker.subscriber(reply_topic)
        self._subscriber(self._handle_response)

    async def assigned(self) -> None:
        """Wait until its reading has begun: replies that come before "latest" is known are lost."""
        consumer = self._subscriber.consumer
        assert consumer is not None
        while not (partitions := consumer.assignment()):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)
        for partition in partitions:
            await consumer.position(partition)

    async def request(self, value: Any, topic: str, timeout: float, **record: Any) -> Any:
        correlation_id = str(uuid4())
        response = self._responses[correlation_id] = asyncio.get_running_loop().create_future()
        try:
            await self._broker.publish(
                value, topic, reply_to=self._reply_topic, correlation_id=correlation_id, **record
            )
            return await asyncio.wait_for(response, timeout)
        finally:
            del self._responses[correlation_id]

    async def _handle_response(self, message: KafkaMessage) -> None:
        if response := self._responses.get(message.correlation_id or ""):
            response.set_result(await message.decode())


async def echo(order: dict[str, Any], message: KafkaMessage) -> dict[str, Any]:
    _note(order, message)
    return order


async def upper(text: str, message: KafkaMessage) -> str:
    _note(text, message)
    return text.upper()


async def crash(text: str, message: KafkaMessage) -> str:
    _note(text, message)
    raise RuntimeError(text)


async def nothing(message: KafkaMessage) -> None:
    _note(message.body.decode(), message)


async def slow(seconds: str, message: KafkaMessage) -> str:
    _note(seconds, message)
    await asyncio.sleep(float(seconds))
    return seconds


HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    "echo": echo,
    "upper": upper,
    "fail": crash,
    "crash": crash,
    "null": nothing,
    "void": nothing,
    "slow": slow,
}


def _note(value: Any, message: KafkaMessage) -> None:
    record: Any = message.raw_message
    key = record.key.decode() if record.key is not None else None
    SEEN.append({"topic": record.topic, "key": key, "value": value})


async def serve(broker: KafkaBroker) -> None:
    subscribers: list[Any] = []
    for handler, topic in OPTIONS["handlers"].items():
        subscribers.append(broker.subscriber(topic, group_id=topic, auto_offset_reset="earliest"))
        subscribers[-1](HANDLERS[handler])
    await broker.start()
    while not all(subscriber.consumer.assignment() for subscriber in subscribers):  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0.02)
    _say("ready")
    async for order in _orders():
        _say({"id": json.loads(order)["id"], "value": SEEN})


async def call(broker: KafkaBroker) -> None:
    recipe = Recipe(broker, OPTIONS["reply_topic"])
    await broker.start()
    await recipe.assigned()
    _say("ready")
    async with asyncio.TaskGroup() as tasks:
        async for line in _orders():
            tasks.create_task(_follow(broker, recipe, line))


async def _follow(broker: KafkaBroker, recipe: Recipe, line: str) -> None:
    order = json.loads(line)
    if order["op"] == "emit":
        await broker.publish(order["value"], order["topic"])
        _say({"id": order["id"]})
        return
    room = asyncio.Semaphore(order["at_once"])

    async def outcome(n: int) -> dict[str, Any]:
        async with room:
            # the number in the value keeps one reply from standing for another
            mine = json.loads(line.replace("{n}", str(n)))
            record = {name: mine[name] for name in ("key", "partition", "headers") if name in mine}
            if "key" in record:
                record["key"] = record["key"].encode()
            try:
                value = await recipe.request(mine["value"], mine["topic"], mine["timeout"], **record)
            except TimeoutError:
                return {"error": "no reply in time", "kind": "timeout"}
            return {"value": value.decode() if isinstance(value, bytes) else value}

    _say({"id": order["id"], "outcomes": await asyncio.gather(*map(outcome, range(order["times"])))})


async def _orders() -> AsyncIterator[str]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


async def main() -> None:
    async with KafkaBroker(OPTIONS["bootstrap"], logger=None) as broker:
        await (serve if OPTIONS["role"] == "server" else call)(broker)


if __name__ == "__main__":
    asyncio.run(main())
