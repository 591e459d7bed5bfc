"""`typedrpc call`: one call of any method, by its contract as a server that runs tells it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from pydantic_core import from_json, to_json
from rich.console import Console
from rich.json import JSON

from typedrpc.calls import Target
from typedrpc.cli.completing import complete_method
from typedrpc.cli.connection import Settings, connected
from typedrpc.cli.outcome import exit_code, told
from typedrpc.codec import BareCodec
from typedrpc.dialects import CONVENTIONS
from typedrpc.document import ContractDocument, MethodDocument
from typedrpc.errors import Status, Unimplemented, UsageError
from typedrpc.transport import Record
from typedrpc.wire import metadata_headers, method_headers, status_of


def call(
    context: typer.Context,
    method: Annotated[str, typer.Argument(metavar="SERVICE/METHOD", autocompletion=complete_method)],
    body: Annotated[
        str, typer.Argument(metavar="[JSON]", help="The parameters by name, as JSON; `-` reads standard input.")
    ] = "{}",
    timeout: Annotated[float | None, typer.Option(help="Seconds; else the method's own, else 10.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="NAME=VALUE", help="Metadata; may be repeated.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Calls of one key reach one server process.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, errors too.")] = False,
) -> None:
    """Call a method, and print its reply as JSON. The exit code tells the status: 64 and its number in gRPC."""
    with told():
        metadata = _metadata(header or [])
        content = _parsed(sys.stdin.read() if body == "-" else body)
        status, reply = asyncio.run(_call(context.obj, method, content, timeout, metadata, key))
    _show(status, reply, as_json=as_json)
    raise typer.Exit(exit_code(status))


def _metadata(given: list[str]) -> dict[str, str]:
    pairs = [(each, *each.partition("=")) for each in given]
    for whole, name, equals, _ in pairs:
        if not (name and equals):
            raise UsageError(f"-H {whole!r}: write NAME=VALUE")
    return {name: value for _, name, _, value in pairs}


def _parsed(body: str) -> JsonValue:
    try:
        content: JsonValue = from_json(body)
    except ValueError as error:
        raise UsageError(f"the parameters are no JSON: {error}") from None
    return content


async def _call(
    settings: Settings,
    name: str,
    content: JsonValue,
    timeout: float | None,
    metadata: Mapping[str, str],
    key: str | None,
) -> tuple[Status, bytes]:
    service, _, method_name = name.partition("/")
    if not (service and method_name):
        raise UsageError(f"{name!r}: write SERVICE/METHOD; `typedrpc list` and `typedrpc describe` name them")
    async with connected(settings) as client:
        document = await client.contract(service, timeout or 5.0)
        method = _found(document, method_name)
        seconds = timeout or method.timeout or 10.0
        target, body = _request(document, method, content)
        headers = metadata_headers(metadata)
        if method.oneway:
            await client.calls.oneway(target, body, seconds, key, headers, expires=timeout is not None)
            return Status.OK, b""
        return _outcome(target, await client.calls.unary(target, body, seconds, key, headers))


def _found(document: ContractDocument, name: str) -> MethodDocument:
    for method in document.methods:
        if method.name == name:
            return method
    names = ", ".join(method.name for method in document.methods)
    raise Unimplemented(f"service {document.service!r} has no method {name!r}; it has {names}")


def _request(document: ContractDocument, method: MethodDocument, content: JsonValue) -> tuple[Target, bytes | None]:
    foreign = CONVENTIONS.get(method.dialect)
    headers = method_headers(document.service, method.name)
    body: bytes | None = to_json(content)
    if foreign is not None:
        value: Any = content
        if isinstance(content, dict) and method.parameters:  # by name, as all others: one way to write parameters
            value = content.get(method.parameters[0].name)
        body, foreign_headers = foreign.request(BareCodec(JsonValue) if method.parameters else None, value)
        headers = tuple(foreign_headers)
    target = Target(
        name=f"{document.service}/{method.name}",
        topic=method.topic,
        foreign=foreign,
        headers=headers,
        once=method.delivery == "at_most_once",
    )
    return target, body


def _outcome(target: Target, record: Record) -> tuple[Status, bytes]:
    error = target.foreign.error_in(record.headers) if target.foreign else None
    if error is not None:
        return error[0], error[1] or b""
    return status_of(record.headers), record.value or b""


def _show(status: Status, reply: bytes, *, as_json: bool) -> None:
    """A reply goes to standard output, an error to standard error; with `--json` both to standard output."""
    try:
        value: JsonValue = from_json(reply) if reply else None
    except ValueError:
        value = reply.decode(errors="replace")
    if as_json:
        typer.echo(to_json({"status": status, "error" if status is not Status.OK else "reply": value}).decode())
    elif status is Status.OK:
        if reply:
            Console().print(JSON.from_data(value))
    else:
        message = value.get("message") if isinstance(value, dict) else value
        typer.echo(f"typedrpc: {status.value}: {message}", err=True)
        for part in ("type", "data", "details"):
            if isinstance(value, dict) and part in value:
                typer.echo(f"{part}: {to_json(value[part]).decode()}", err=True)
