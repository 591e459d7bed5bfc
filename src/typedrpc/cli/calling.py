"""`typedrpc call`: one call of any method, by its contract as a server that runs tells it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.highlighter import JSONHighlighter

from typedrpc.cli import flags
from typedrpc.cli.connection import Settings, connected
from typedrpc.cli.outcome import exit_code, told
from typedrpc.cli.request import Body, Key, Metadata, MethodName, Order, Timeout, decoded, message_in, prepare
from typedrpc.cli.terminal import json_text, say
from typedrpc.errors import RpcError, Status


def call(
    context: typer.Context,
    method: MethodName,
    body: Body = "{}",
    timeout: Timeout = None,
    header: Metadata = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, errors too.")] = False,
) -> None:
    """Call a method, and print its reply as JSON. The exit code tells the status: 64 and its number in gRPC."""
    with told():
        order = Order.given(method, body, timeout, header, key)
        try:
            status, reply = asyncio.run(_call(flags.settings(context), order))
        except RpcError as error:  # no server answered
            if not as_json:
                raise
            status, reply = error.code, to_json({"message": error.message})
    _show(status, reply, as_json=as_json)
    raise typer.Exit(exit_code(status))


async def _call(settings: Settings, order: Order) -> tuple[Status, bytes]:
    async with connected(settings) as client:
        request = await prepare(client, order)
        return await request.send()


def _show(status: Status, reply: bytes, *, as_json: bool) -> None:
    """A reply goes to standard output, an error to standard error; with `--json` both to standard output."""
    value = decoded(reply)
    if as_json:
        typer.echo(json_text({"status": status, "error" if status is not Status.OK else "reply": value}))
    elif status is Status.OK:
        if reply:
            shown = JSONHighlighter()(json_text(value, indent=2))
            Console(soft_wrap=True).print(shown)  # a line break in a text would make it no JSON
    else:
        say(f"typedrpc: {status.value}: {message_in(value)}", err=True)
        for part in ("type", "data", "details"):
            if isinstance(value, dict) and part in value:
                say(f"{part}: {json_text(value[part])}", err=True)
