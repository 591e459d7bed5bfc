"""Names for the shell's completion, from the servers that run; none where they cannot be asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import typer

from typedrpc.cli.connection import Settings, connected
from typedrpc.cli.gathering import instances

_WAIT = 0.5
_PATIENCE = 3.0


def complete_service(context: typer.Context, incomplete: str) -> list[str]:
    """The services that begin so."""
    return [name for name in _ask(context, "") if name.startswith(incomplete)]


def complete_method(context: typer.Context, incomplete: str) -> list[str]:
    """`service/method`, or the services while several fit."""
    service, slash, _ = incomplete.partition("/")
    services = [service] if slash else [name for name in _ask(context, "") if name.startswith(incomplete)]
    if len(services) != 1:
        return [f"{name}/" for name in services]
    return [name for name in _ask(context, services[0]) if name.startswith(incomplete)]


def complete_source(context: typer.Context, incomplete: str) -> list[str]:
    """`service@running`; files are the shell's own to complete."""
    return [f"{name}@running" for name in complete_service(context, incomplete.partition("@")[0])]


def _ask(context: typer.Context, service: str) -> list[str]:
    address = context.find_root().params.get("kafka")
    with suppress(Exception):  # a shell that completes has no place for what went wrong
        return asyncio.run(_names(Settings.given(**({"kafka": address} if address else {})), service))
    return []


async def _names(settings: Settings, service: str) -> list[str]:
    async with asyncio.timeout(_PATIENCE), connected(settings) as client:
        if service:
            document = await client.contract(service, _WAIT)
            return [f"{service}/{method.name}" for method in document.methods]
        processes = await instances(client.transport, client.topics, _WAIT)
        return sorted({served.name for each in processes for served in each.services})
