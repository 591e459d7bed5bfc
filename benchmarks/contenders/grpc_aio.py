"""grpc.aio, unary: the helloworld example of gRPC's Python documentation, one channel; protobuf is its model."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls

_made: Any = grpc.protos_and_services("benchmarks/contenders/echo.proto")  # type: ignore[attr-defined, unused-ignore]
PROTOS, SERVICES = _made
LIMITS = ("", "_hard_limit")
"""Of requests that wait for the server, 1,000 and 3,000 by default: it would refuse a part of 5,000 at once."""


class Echo:
    async def small(self, msg: Any, context: object) -> Any:
        return PROTOS.Small(name=msg.name, n=msg.n)

    async def nested(self, msg: Any, context: object) -> Any:
        return msg

    async def bytes(self, msg: Any, context: object) -> Any:
        return msg

    async def waiting(self, msg: Any, context: object) -> Any:
        await asyncio.sleep(WAIT)
        return PROTOS.Small(name=msg.name, n=msg.n)


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    server = grpc.aio.server(options=[(f"grpc.server.max_pending_requests{each}", 10_000) for each in LIMITS])
    SERVICES.add_EchoServicer_to_server(Echo(), server)
    server.add_insecure_port(os.environ["BENCH_GRPC"])
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    async with grpc.aio.insecure_channel(os.environ["BENCH_GRPC"]) as channel:
        stub = SERVICES.EchoStub(channel)
        yield {
            "small": lambda: stub.small(PROTOS.Small(name=SMALL.name, n=SMALL.n), timeout=20),
            "nested": lambda: stub.nested(PROTOS.Nested(**NESTED.model_dump()), timeout=20),
            "bytes": lambda: stub.bytes(PROTOS.Body(body=BYTES), timeout=20),
            "waiting": lambda: stub.waiting(PROTOS.Small(name=SMALL.name, n=SMALL.n), timeout=20),
        }
