"""The service that is called."""

from __future__ import annotations

from typing import Protocol

from typedrpc import Service, service


class Chaos(Service, Protocol, service="chaos"):
    """Every method answers with its own name and the call's id, and writes to the server's journal that it ran."""

    @service.method(idempotent=True)
    async def echo(self, call: str) -> str: ...

    @service.method
    async def slow(self, call: str, seconds: float) -> str: ...

    @service.method
    async def nested(self, call: str) -> str: ...

    @service.method(topic="chaos-once", delivery="at_most_once")
    async def once(self, call: str) -> str: ...

    @service.method(oneway=True)
    async def tell(self, call: str) -> None: ...
