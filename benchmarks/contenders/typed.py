"""typedrpc with all defaults: everything on, as in its quickstart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from faststream.kafka import KafkaBroker

from benchmarks.work import BYTES, NESTED, SMALL, WAIT, Calls, Nested, Small, name
from typedrpc import Rpc, Service, client, service


class Echo(Service, service=f"{name()}-typed"):
    @service.method
    async def small(self, msg: Small) -> Small:
        return msg

    @service.method
    async def nested(self, msg: Nested) -> Nested:
        return msg

    @service.method
    async def body(self, msg: bytes) -> bytes:
        return msg

    @service.method
    async def waiting(self, msg: Small) -> Small:
        await asyncio.sleep(WAIT)
        return msg


@asynccontextmanager
async def serve() -> AsyncGenerator[None]:
    rpc = Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None))
    rpc.serve(Echo())
    async with rpc:
        yield


@asynccontextmanager
async def calls() -> AsyncGenerator[Calls]:
    echo = client(Echo)
    async with Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None)):
        yield {
            "small": lambda: echo.small(SMALL),
            "nested": lambda: echo.nested(NESTED),
            "bytes": lambda: echo.body(BYTES),
            "waiting": lambda: echo.waiting(SMALL),
        }
