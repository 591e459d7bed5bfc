"""A service and a client under fire: what befell them is counted, and what must not happen is kept."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from faststream.kafka import KafkaBroker
from pydantic import BaseModel

from fuzz.records import Place, Records, Thrown
from fuzz.report import HandlersOwn, Report, watched
from typedrpc import Rpc, RpcError, Service, Topics, service
from typedrpc.transport import TopicPartition, TopicSpec, Transport, memory
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.memory import MemoryTransport
from typedrpc.wire import parse_response

PARTITIONS = 3
BATCH = 200
PATIENCE = 30.0
"""Seconds; a real call that takes longer was stalled."""
_KEPT = 1000  # of caches, so that they are full soon and what grows after that is a leak
_SAMPLES = 10


class Order(BaseModel):
    id: int
    name: str = ""
    price: Decimal = Decimal(0)
    when: datetime | None = None
    ratio: float = 0.0
    tags: list[str] = []
    below: list[Order] = []


async def fire(records: int, seed: int, kafka: str | None = None) -> Report:
    """Throws so many records at a service in memory, or on that Kafka, and tells what came of it."""
    report = Report()
    began = time.monotonic()
    with patch.object(memory, "_KEPT", _KEPT), patch("typedrpc.cancels._KEPT", _KEPT), watched(report):
        async with _scene(report, kafka) as scene:
            await scene.throw(records, seed)
    report.seconds = time.monotonic() - began
    return report


@asynccontextmanager
async def _scene(report: Report, kafka: str | None) -> AsyncGenerator[_Scene]:
    own = uuid4().hex[:8]
    name, bare, replies, cancels, answers, unserved = (
        f"{n}-{own}" for n in ("fuzz", "bare", "replies", "cancels", "answers", "no")
    )
    topics = Topics(request_partitions=PARTITIONS, reply_partitions=2, replies=replies, cancels=cancels)
    rpc, raw = _connect(topics, kafka)

    class Fuzzed(Service, service=name):
        @service.method
        async def echo(self, order: Order) -> Order:
            return order

        @service.method
        async def slow(self, seconds: float) -> float:
            await asyncio.sleep(seconds if 0 <= seconds < 0.05 else 0.05)
            return seconds

        @service.method
        async def fail(self) -> None:
            raise HandlersOwn

        @service.method
        async def ask(self) -> None: ...

        @service.method(oneway=True)
        async def log(self, line: str) -> None: ...

    class Bare(Service, service=bare):
        @service.method
        async def back(self, order: Order) -> Order:
            return order

    class Unserved(Service, service=unserved):
        @service.method
        async def echo(self, order: Order) -> Order:
            raise NotImplementedError

    rpc.serve(Fuzzed(), Bare())
    await raw.start()
    try:
        await raw.ensure_topics([TopicSpec(name=answers, partitions=1, config={})], create=True)
        async with rpc:
            calls: Any = rpc._calls  # pyright: ignore[reportPrivateUsage]
            for served in (name, bare):
                _server(rpc, served)._repeats._most = _KEPT
            place = Place(
                service=name,
                bare=bare,
                partitions=PARTITIONS,
                replies=replies,
                reply_partition=int(dict(calls._typed_reply)["reply_partition"]),
                cancels=cancels,
                answers=answers,
                nonce=calls.dispatcher.nonce,
                unknown=("fuzz-nobody-made-this",) if kafka is None else (),
                forbidden=(name, bare, "__consumer_offsets"),
            )
            scene = _Scene(report, rpc, raw, place, rpc.client(Fuzzed), rpc.client(Unserved))
            counting = asyncio.create_task(scene.count_answers())
            try:
                yield scene
            finally:
                counting.cancel()
                await asyncio.gather(counting, return_exceptions=True)
    finally:
        await raw.stop()


def _connect(topics: Topics, kafka: str | None) -> tuple[Rpc, Transport]:
    if kafka is None:
        rpc = Rpc.in_memory(topics=topics)
        return rpc, MemoryTransport(rpc._log)  # pyright: ignore[reportPrivateUsage]  # nothing public writes raw records
    connection = connection_of(KafkaBroker(kafka, logger=None))
    assert connection is not None
    rpc = Rpc(KafkaBroker(kafka, logger=None), topics=topics)
    return rpc, KafkaTransport(connection, start_timeout=10, instance_id=None)


class _Scene:
    def __init__(self, report: Report, rpc: Rpc, raw: Transport, place: Place, client: Any, nobody: Any) -> None:
        self._report = report
        self._rpc = rpc
        self._raw = raw
        self._place = place
        self._client = client
        self._nobody = nobody
        keys = {raw.partition_for_key(b"%d" % n, PARTITIONS): b"%d" % n for n in range(100)}
        self._keys = [keys[p] for p in range(PARTITIONS)]

    async def throw(self, count: int, seed: int) -> None:
        """In batches, each followed by real calls to every partition: when those are answered, it has been taken."""
        records, report = Records(seed, self._place), self._report
        await self._real_calls(0)
        tasks = len(asyncio.all_tasks())
        for begun in range(0, count, BATCH):
            for _ in range(min(BATCH, count - begun)):
                self._write(records.next())
            await self._real_calls(begun)
            if begun % (10 * BATCH) == 0:
                await self._forge_replies(records)
            if begun * _SAMPLES // count != (begun + BATCH) * _SAMPLES // count:
                await self._sample()
        await self._real_calls(count)
        await self._all_committed()
        if len(asyncio.all_tasks()) > tasks + 20:  # aiokafka has some that come and go
            report.wrong.append(f"tasks are left: {asyncio.all_tasks()}")
        self._count()

    async def count_answers(self) -> None:
        reader = await self._raw.open_reader([TopicPartition(self._place.answers, 0)])
        try:
            while True:
                for record in await reader.fetch():
                    self._report.answered[parse_response(record.headers).status.name] += 1
                await asyncio.sleep(0)
        finally:
            await reader.close()

    def _write(self, record: Thrown) -> None:
        self._report.thrown[record.kind] += 1
        headers: Any = record.headers
        self._raw.send(record.topic, record.partition, record.key, record.body, headers, self._written, record.kind)

    def _written(self, kind: str, error: BaseException | None) -> None:
        if error is not None:
            self._report.wrong.append(f"{kind} not written: {error!r}")

    async def _real_calls(self, number: int) -> None:
        orders = [Order(id=number + p, name=f"real {p}", tags=["real"]) for p in range(PARTITIONS)]
        began = time.monotonic()
        echo = self._client.echo.with_options
        replies = await asyncio.gather(
            *(echo(timeout=PATIENCE, key=key)(order) for key, order in zip(self._keys, orders, strict=True)),
            return_exceptions=True,
        )
        self._report.real_calls += len(orders)
        self._report.slowest_call = max(self._report.slowest_call, time.monotonic() - began)
        if replies != orders:
            self._report.wrong.append(f"real calls after {number} records: {replies!r}"[:500])

    async def _forge_replies(self, records: Records) -> None:
        """Answers calls that nobody else answers: each ends with a value or a typed error."""
        calls: Any = self._rpc._calls  # pyright: ignore[reportPrivateUsage]
        waiting = [asyncio.create_task(self._nobody.echo(Order(id=1))) for _ in range(20)]
        async with asyncio.timeout(PATIENCE):
            while len(calls.dispatcher) < len(waiting):  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0)
        for correlation_id in list(calls.dispatcher._pending):
            for _ in range(2):  # the second one is late
                self._write(records.reply_to(correlation_id))
        for end in await asyncio.gather(*waiting, return_exceptions=True):
            self._report.forged[end.code.name if isinstance(end, RpcError) else type(end).__name__] += 1
            if not isinstance(end, RpcError | Order):
                self._report.wrong.append(f"a forged reply: {end!r}")

    async def _sample(self) -> None:
        await asyncio.sleep(0.1)  # handlers of the last batch end
        gc.collect()
        self._report.objects.append(len(gc.get_objects()))
        self._report.resident_mb.append(_resident_mb())

    async def _all_committed(self) -> None:
        server = _server(self._rpc, self._place.service)
        try:
            async with asyncio.timeout(PATIENCE):
                while server._uncommitted() or server._execution._running:  # noqa: ASYNC110  # nothing tells
                    await asyncio.sleep(0.1)
        except TimeoutError:
            self._report.wrong.append(f"never committed: {server._uncommitted()}, {server._execution._running}")

    def _count(self) -> None:
        served = self._rpc._served[self._place.service]  # pyright: ignore[reportPrivateUsage]
        dispatcher = self._rpc._calls.dispatcher  # type: ignore[union-attr]  # pyright: ignore
        for name in ("malformed", "expired", "repeated", "cancelled", "unsent"):
            self._report.counted[name] = getattr(served, name)
        self._report.counted["late replies"] = dispatcher.late
        self._report.counted["foreign replies"] = dispatcher.foreign
        if self._rpc.pending_calls:
            self._report.wrong.append(f"{self._rpc.pending_calls} calls wait still")


def _resident_mb() -> int:
    try:
        with open("/proc/self/statm") as file:  # Linux only; the assertion is on blocks
            return int(file.read().split()[1]) * 4096 // 2**20
    except FileNotFoundError:
        return 0


def _server(rpc: Rpc, name: str) -> Any:
    serving: Any = rpc._serving  # pyright: ignore[reportPrivateUsage]
    return serving._servers[name]
