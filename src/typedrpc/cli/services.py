"""`typedrpc list` and `typedrpc describe`: what runs, and what it takes."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from typedrpc.cli import flags
from typedrpc.cli.completing import complete_service
from typedrpc.cli.connection import Patience, Settings, connected
from typedrpc.cli.gathering import WAIT, instances
from typedrpc.cli.outcome import told
from typedrpc.cli.showing import signature_text
from typedrpc.cli.terminal import say, words
from typedrpc.document import ContractDocument, object_schema
from typedrpc.reflection import Instance, ServedService
from typedrpc.schema_parts import schema_of
from typedrpc.schemas import JsonSchema, default_text, type_text
from typedrpc.transport.kafka.groups import lags

_WIDE = 10_000  # columns

Json = Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")]


def list_services(
    context: typer.Context,
    as_json: Json = False,
    wait: Patience = WAIT,
) -> None:
    """List the services that run, and who serves them."""
    with told():
        settings = flags.settings(context)
        found = asyncio.run(_gather(settings, wait))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo(f"no server at {settings.kafka} answered within {wait:g} s")
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _WIDE  # nothing is cut where a program may read it
        console.print(_table(found))


async def _gather(settings: Settings, seconds: float) -> list[dict[str, Any]]:
    async with connected(settings) as client:
        processes = await instances(client.transport, client.topics, seconds)
        serving: defaultdict[str, list[tuple[Instance, ServedService]]] = defaultdict(list)
        for instance in processes:
            for served in instance.services:
                serving[served.name].append((instance, served))
        topics = {name: {t for _, served in here for t in served.topics} for name, here in serving.items()}
        lag = await lags(client.transport.connection, topics)
    return [
        {
            "service": name,
            "instances": [
                {**instance.model_dump(exclude={"services"}), **served.model_dump(exclude={"name"})}
                for instance, served in sorted(here, key=lambda each: each[0].id)
            ],
            "in_flight": sum(served.in_flight for _, served in here),
            "lag": lag.get(name),
        }
        for name, here in sorted(serving.items())
    ]


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(
        Column("SERVICE", no_wrap=True),
        "INSTANCES",
        "HOSTS",
        "VERSION",
        "UPTIME",
        "IN FLIGHT",
        "LAG",
        Column("CONTRACT", no_wrap=True),
        box=None,
    )
    for each in found:
        here = each["instances"]
        hashes = sorted({instance["contract_hash"][:12] for instance in here})
        lag = "?" if each["lag"] is None else str(each["lag"])
        table.add_row(
            words(each["service"], "bold"),
            str(len(here)),
            words(", ".join(sorted({instance["host"] for instance in here}))),
            words(", ".join(sorted({instance["typedrpc"] for instance in here}))),
            str(timedelta(seconds=int(max(instance["uptime"] for instance in here)))),
            str(each["in_flight"]),
            lag,
            words(", ".join(hashes), "yellow" if len(hashes) > 1 else ""),
        )
    return table


def describe(
    context: typer.Context,
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", autocompletion=complete_service, help="As `typedrpc list` names it.")
    ],
    as_json: Json = False,
    timeout: Patience = 5.0,
) -> None:
    """Show a service's methods, models and errors, as a server that runs tells them."""
    with told():
        document = asyncio.run(_contract(flags.settings(context), service, timeout))
    if as_json:
        say(document.model_dump_json(indent=2))
    else:
        show(document, Console(highlight=False, soft_wrap=True))


async def _contract(settings: Settings, service: str, seconds: float) -> ContractDocument:
    async with connected(settings) as client:
        return await client.contract(service, seconds)


def show(document: ContractDocument, console: Console) -> None:
    """Prints it; all of it is somebody's, so none of it is taken for markup, and a schema may be anything."""
    console.print(words(f"service {document.service}", "bold"))
    _doc(document.doc, console, "  ")
    for method in document.methods:
        console.print()
        console.print(words(f"  {signature_text(method)}", "cyan"))
        _doc(method.doc, console, "      ")
        facts = [f"topic {method.topic}"] if method.topic != document.service else []
        facts += [f"{method.dialect} dialect"] if method.dialect != "typedrpc" else []
        facts += [f"time-out {method.timeout:g} s"] if method.timeout is not None else []
        facts += [word for word, on in (("oneway", method.oneway), ("idempotent", method.idempotent)) if on]
        facts += ["at most once"] if method.delivery == "at_most_once" else []
        facts += [f"raises {', '.join(method.raises)}"] if method.raises else []
        if facts:
            console.print(words(f"      {'; '.join(facts)}", "dim"))
    for name, schema in document.definitions.items():
        _fields(name, "", schema, console)
    for error in document.errors.values():
        _fields(error.type, f" ({error.code})", {**object_schema(error.fields), "description": error.doc}, console)


def _fields(name: str, kind: str, schema: JsonSchema, console: Console) -> None:
    console.print()
    fields = schema.get("properties")
    if not isinstance(fields, dict):
        unnamed = {key: value for key, value in schema.items() if key != "title"}
        console.print(words(f"{name} = {type_text(unnamed)}"))
        return
    console.print(words(f"{name}{kind}", "bold"))
    _doc(str(schema.get("description", "")), console, "  ")
    for field, each in fields.items():
        console.print(words(f"  {field}: {type_text(each)}{default_text(schema_of(each))}"))


def _doc(text: str, console: Console, indent: str) -> None:
    if text:
        for line in text.splitlines():
            console.print(words(indent + line, "dim"))
