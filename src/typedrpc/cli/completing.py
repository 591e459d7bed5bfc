"""Names for the shell's completion, from the servers that run; none where they cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import typer

from typedrpc.cli import flags
from typedrpc.cli.connection import Connected, connected
from typedrpc.contract import is_name

_WAIT = 0.5
_PATIENCE = 3.0


def complete_service(context: typer.Context, incomplete: str) -> list[str]:
    """The services that begin so."""
    return _asked(context, lambda client: client.services(_WAIT), incomplete)


def complete_method(context: typer.Context, incomplete: str) -> list[str]:
    """`service/method`, or the services while several fit."""
    service, slash, _ = incomplete.partition("/")

    async def methods(client: Connected) -> list[str]:
        fitting = [service] if slash else [s for s in await client.services(_WAIT) if s.startswith(service)]
        if len(fitting) != 1:
            return [f"{name}/" for name in fitting]
        document = await client.contract(fitting[0], _WAIT)
        return [f"{document.service}/{method.name}" for method in document.methods]

    return _asked(context, methods, incomplete)


def complete_source(context: typer.Context, incomplete: str) -> list[str]:
    """`service@running`; files are the shell's own to complete."""
    return [f"{name}@running" for name in complete_service(context, incomplete.partition("@")[0])]


def _asked(context: typer.Context, question: Callable[[Connected], Awaitable[list[str]]], incomplete: str) -> list[str]:
    async def answer() -> list[str]:
        async with asyncio.timeout(_PATIENCE), connected(flags.settings(context)) as client:
            return await question(client)

    with suppress(Exception):  # a shell that completes has no place for what went wrong
        return [name for name in asyncio.run(answer()) if name.startswith(incomplete) and _is_plain(name)]
    return []


def _is_plain(name: str) -> bool:
    """A service, `service/` or `service/method`: nothing else reaches the shell, which may run what it completes, and
    anybody may answer who may write replies.
    """
    return all(is_name(part) for part in name.removesuffix("/").split("/", 1))
