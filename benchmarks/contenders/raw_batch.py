"""Raw aiokafka with own batches, the ceiling: `create_batch` and `send_batch` of aiokafka's documentation ("Batch").

Records for a partition are gathered while its previous batch is under way, so that a lone one goes at once; requests
go to one partition for each turn of the event loop, which makes the largest batches. A batch that fails is lost.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from aiokafka import AIOKafkaProducer

from benchmarks.contenders import raw_kafka
from benchmarks.work import Calls, name
from typedrpc import Topics

TOPIC = f"{name()}-raw-batch"


class _Batches:
    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._loop = asyncio.get_running_loop()
        self._gathered: dict[tuple[str, int], list[tuple[bytes | None, raw_kafka.Headers]]] = {}
        self._pumps: set[asyncio.Task[None]] = set()
        self._partition, self._chosen = 0, False

    async def send(self, topic: str, partition: int | None, body: bytes | None, headers: raw_kafka.Headers) -> None:
        at = (topic, self._choose() if partition is None else partition)
        gathered = self._gathered.get(at)
        if gathered is not None:
            gathered.append((body, headers))
        else:
            self._gathered[at] = [(body, headers)]
            pump = self._loop.create_task(self._pump(at))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    def _choose(self) -> int:
        if not self._chosen:
            self._chosen = True
            self._partition = (self._partition + 1) % Topics().request_partitions
            self._loop.call_soon(self._end_turn)
        return self._partition

    def _end_turn(self) -> None:
        self._chosen = False

    async def _pump(self, at: tuple[str, int]) -> None:
        while records := self._gathered[at]:
            self._gathered[at] = []
            rest = iter(records)
            record = next(rest, None)
            while record is not None:
                batch = self._producer.create_batch()
                while record and batch.append(timestamp=None, key=None, value=record[0], headers=record[1]) is not None:
                    record = next(rest, None)
                batch.close()
                written = await self._producer.send_batch(batch, at[0], partition=at[1])
                await written
        del self._gathered[at]


def _sender(producer: AIOKafkaProducer) -> raw_kafka.Send:
    return _Batches(producer).send


def serve() -> AbstractAsyncContextManager[None]:
    return raw_kafka.serve(TOPIC, _sender)


def calls() -> AbstractAsyncContextManager[Calls]:
    return raw_kafka.calls(TOPIC, _sender)
