"""nats-py `request` with Pydantic, a task for each message on the server.

The request-reply example of nats-py's README; a task each, because a subscription's callback is awaited in turn.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import nats
from nats.aio.msg import Msg
from pydantic import BaseModel

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls, Nested, Small

M = TypeVar("M", bound=BaseModel)


def _decode(model: type[M], data: bytes) -> M:
    return model.model_validate_json(data)


def _encode(value: BaseModel) -> bytes:
    return value.model_dump_json().encode()


async def _small(msg: Msg) -> None:
    await msg.respond(_encode(_decode(Small, msg.data)))


async def _nested(msg: Msg) -> None:
    await msg.respond(_encode(_decode(Nested, msg.data)))


async def _bytes(msg: Msg) -> None:
    await msg.respond(msg.data)


async def _waiting(msg: Msg) -> None:
    value = _decode(Small, msg.data)
    await asyncio.sleep(WAIT)
    await msg.respond(_encode(value))


async def _connect() -> Any:
    """Any: the library's own types are partly unknown."""
    connect: Any = nats.connect  # pyright: ignore
    return await connect(os.environ["BENCH_NATS"])


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    connection = await _connect()
    running: set[asyncio.Task[None]] = set()

    def each(handler: Callable[[Msg], Awaitable[None]]) -> Callable[[Msg], Awaitable[None]]:
        async def run(msg: Msg) -> None:
            await handler(msg)

        async def start(msg: Msg) -> None:
            task = asyncio.create_task(run(msg))
            running.add(task)
            task.add_done_callback(running.discard)

        return start

    for subject, handler in {"small": _small, "nested": _nested, "bytes": _bytes, "waiting": _waiting}.items():
        await connection.subscribe(subject, cb=each(handler))
    await connection.flush()
    try:
        yield
    finally:
        await connection.close()


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    connection = await _connect()

    async def call(subject: str, value: M) -> M:
        return _decode(type(value), (await connection.request(subject, _encode(value), timeout=20)).data)

    try:
        yield {
            "small": lambda: call("small", SMALL),
            "nested": lambda: call("nested", NESTED),
            "bytes": lambda: connection.request("bytes", BYTES, timeout=20),
            "waiting": lambda: call("waiting", SMALL),
        }
    finally:
        await connection.close()
