"""A service that several tests serve."""

from __future__ import annotations

import asyncio

from typedrpc import Service, service


class Work(Service):
    """Tests serve subclasses with names of their own."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.finish = asyncio.Event()

    @service.method
    async def twice(self, number: int) -> int:
        return 2 * number

    @service.method(timeout=30)
    async def wait(self) -> str:
        self.started.set()
        await self.finish.wait()
        return "done"
