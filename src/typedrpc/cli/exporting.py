"""`typedrpc asyncapi`: services as an AsyncAPI document, as a page that shows one, or both served by HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from typedrpc.asyncapi import asyncapi as document_of
from typedrpc.asyncapi import asyncapi_html
from typedrpc.cli import flags
from typedrpc.cli.completing import complete_source
from typedrpc.cli.connection import Patience
from typedrpc.cli.outcome import told
from typedrpc.cli.page import server_of
from typedrpc.cli.sources import HELP, contracts, is_running
from typedrpc.cli.terminal import say
from typedrpc.document import ContractDocument
from typedrpc.errors import UsageError


def asyncapi(
    context: typer.Context,
    targets: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=HELP, autocompletion=complete_source)],
    as_html: Annotated[bool, typer.Option("--html", help="A page; its viewer is loaded from unpkg.com.")] = False,
    serve: Annotated[
        str | None, typer.Option(metavar="[HOST:]PORT", help="Serve the page, and the document beside it.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")] = None,
    title: Annotated[str | None, typer.Option(help="Else the names of the services.")] = None,
    api_version: Annotated[str | None, typer.Option(help="Else what the contracts hash to.")] = None,
    timeout: Patience = 5.0,
) -> None:
    """Write an AsyncAPI 3.0 document of services."""
    with told():
        settings = flags.settings(context)
        documents = contracts(settings, targets, timeout)
        made = document_of(
            documents,
            title=title or ", ".join(document.service for document in documents),
            version=api_version or _version(documents),
            server=settings.kafka.partition(",")[0] if any(map(is_running, targets)) else None,
        )
        if serve is not None:
            _serve(made, serve)
            return
        text = asyncapi_html(made) if as_html else json.dumps(made, indent=2)
        if output is None:
            say(text)
        else:
            _write(output, text)


def _serve(made: Mapping[str, JsonValue], place: str) -> None:
    with server_of(made, place) as server:
        host, port = server.server_address[:2]
        typer.echo(f"http://{host!s}:{port} shows it, /asyncapi.json has it; stop with Ctrl-C", err=True)
        server.serve_forever()


def _version(documents: list[ContractDocument]) -> str:
    """As `typedrpc list` shows it where there is one service."""
    hashes = [document.hash for document in documents]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return whole[:12]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
