"""FastStream NATS `broker.request` (its documentation, "RPC over NATS").

By default a subscriber handles one message at a time, which is the fastest for handlers that never wait; the one that
does has `max_workers`, as the documentation says for such ones (release notes, 0.3.11).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

from faststream.nats import NatsBroker
from pydantic import BaseModel

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls, Nested, Small

M = TypeVar("M", bound=BaseModel)
WORKERS = 1000


def _make_broker() -> NatsBroker:
    return NatsBroker(os.environ["BENCH_NATS"], logger=None)


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    broker = _make_broker()

    @broker.subscriber("faststream-small")
    async def small(msg: Small) -> Small:
        return msg

    @broker.subscriber("faststream-nested")
    async def nested(msg: Nested) -> Nested:
        return msg

    @broker.subscriber("faststream-bytes")
    async def body(msg: bytes) -> bytes:
        return msg

    @broker.subscriber("faststream-waiting", max_workers=WORKERS)
    async def waiting(msg: Small) -> Small:
        await asyncio.sleep(WAIT)
        return msg

    async with broker:
        await broker.start()
        yield


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    broker = _make_broker()

    async def call(value: M, of: str) -> M:
        reply = await broker.request(value, f"faststream-{of}", timeout=20)
        return type(value).model_validate_json(reply.body)

    async with broker:
        await broker.start()
        yield {
            "small": lambda: call(SMALL, "small"),
            "nested": lambda: call(NESTED, "nested"),
            "bytes": lambda: broker.request(BYTES, "faststream-bytes", timeout=20),
            "waiting": lambda: call(SMALL, "waiting"),
        }
