"""aio-pika's RPC on RabbitMQ: the caller and the callee of its documentation ("Patterns and helpers", "RPC").

As there: one robust connection and channel a side with publisher confirms, and arguments and results by pickle, which
validates nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aio_pika import connect_robust
from aio_pika.patterns import RPC

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls, Nested, Small


@asynccontextmanager
async def _connected() -> AsyncGenerator[RPC]:
    connection = await connect_robust(os.environ["BENCH_RABBITMQ"])
    async with connection:
        yield await RPC.create(await connection.channel())


async def small(*, msg: Small) -> Small:
    return msg


async def nested(*, msg: Nested) -> Nested:
    return msg


async def body(*, msg: bytes) -> bytes:
    return msg


async def waiting(*, msg: Small) -> Small:
    await asyncio.sleep(WAIT)
    return msg


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    async with _connected() as rpc:
        register: Any = rpc.register  # pyright: ignore  # its types are partly unknown
        for function in (small, nested, body, waiting):
            await register(function.__name__, function, auto_delete=True)
        yield


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    async with _connected() as rpc:
        yield {
            "small": lambda: rpc.proxy.small(msg=SMALL),
            "nested": lambda: rpc.proxy.nested(msg=NESTED),
            "bytes": lambda: rpc.proxy.body(msg=BYTES),
            "waiting": lambda: rpc.proxy.waiting(msg=SMALL),
        }
