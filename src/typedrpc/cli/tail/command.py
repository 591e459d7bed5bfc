"""`typedrpc tail`: the calls on a topic as they happen."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from typedrpc.cli import flags
from typedrpc.cli.completing import complete_service
from typedrpc.cli.connection import Settings, connected
from typedrpc.cli.outcome import told
from typedrpc.cli.tail.conversation import Answered, Asked, Conversation
from typedrpc.cli.terminal import json_text, visible
from typedrpc.errors import Status, UsageError
from typedrpc.transport import TopicPartition, TopicSpec, Transport


def tail(
    context: typer.Context,
    topic: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC", autocompletion=complete_service, help="Where the requests go; usually the service's name."
        ),
    ],
    method: Annotated[str, typer.Option(help="Only methods that fit, as `get`, `users/get` or `*/get*`.")] = "*",
    status: Annotated[
        list[str] | None,
        typer.Option(autocompletion=lambda: list(Status), help="Only calls that end so; may be repeated."),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only calls that end with an error.")] = False,
    metadata: Annotated[bool, typer.Option("--metadata", help="Metadata too, which may hold secrets.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many calls.")] = None,
    replies: Annotated[str, typer.Option(help="The topic of replies.")] = "rpc.replies",
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each.")] = False,
) -> None:
    """Show requests and their replies from now on, until Ctrl-C."""
    with told():
        wanted = _statuses(status or [], errors=errors)
        console = Console(highlight=False, soft_wrap=True)
        printer = Printer(console, metadata, as_json)
        asyncio.run(_tail(flags.settings(context), topic, replies, method, wanted, count, printer))


def _statuses(given: list[str], *, errors: bool) -> frozenset[Status]:
    try:
        named = frozenset(Status(each.upper()) for each in given)
    except ValueError as error:
        raise UsageError(f"--status: {error}; one of {', '.join(Status)}") from None
    return named or (frozenset(Status) - {Status.OK} if errors else frozenset())


class Printer:
    """Writes a line for a request, and one for its reply."""

    def __init__(self, console: Console, metadata: bool, as_json: bool) -> None:
        self._console = console
        self._metadata = metadata
        self._as_json = as_json

    def asked(self, each: Asked) -> None:
        """The line of a request."""
        if self._as_json:
            self._line({"kind": "request", **self._common(each), "metadata": each.metadata, "body": each.body})
            return
        text = Text.assemble(
            (_clock(each.time), "dim"), (" → ", "cyan"), (visible(each.method) or "no request", "bold")
        )
        text.append(f" {visible(each.correlation_id[-12:])} ", "dim")
        text.append(visible(each.problem) or _brief(each.body), "red" if each.problem else "")
        self._write(text, each.metadata)

    def answered(self, each: Answered) -> None:
        """The line of a reply."""
        if self._as_json:
            more = {"status": each.status, "ms": each.time - each.request.time}
            common = {**self._common(each.request), "time": each.time}
            self._line({"kind": "reply", **common, **more, "metadata": each.metadata, "body": each.body})
            return
        colour = "green" if each.status is Status.OK else "red"
        text = Text.assemble((_clock(each.time), "dim"), (" ← ", colour), (visible(each.request.method), "bold"))
        text.append(f" {visible(each.request.correlation_id[-12:])} ", "dim")
        text.append(f"{each.status.value} ", colour)
        text.append(f"{each.time - each.request.time} ms ", "dim")
        text.append(_brief(each.body))
        self._write(text, each.metadata)

    def _common(self, each: Asked) -> dict[str, Any]:
        found = {"time": each.time, "place": each.place, "method": each.method, "correlation_id": each.correlation_id}
        return {**found, "problem": each.problem} if each.problem else found

    def _line(self, content: dict[str, Any]) -> None:
        if not self._metadata:
            content.pop("metadata")
        typer.echo(json_text(content))

    def _write(self, text: Text, metadata: dict[str, str]) -> None:
        if self._metadata and metadata:
            text.append(f" {visible(str(metadata))}", "dim")
        self._console.print(text)


async def _tail(
    settings: Settings,
    topic: str,
    replies: str,
    method: str,
    wanted: frozenset[Status],
    count: int | None,
    printer: Printer,
) -> None:
    async with connected(settings) as client:
        async for each in _read(client.transport, topic, replies):
            if not _fits(each.method if isinstance(each, Asked) else each.request.method, method):
                continue
            if isinstance(each, Answered):
                if wanted and each.status not in wanted:
                    continue
                if wanted:  # only now it is known to be wanted
                    printer.asked(each.request)
                printer.answered(each)
            elif not wanted:
                printer.asked(each)
            if count is not None and isinstance(each, Answered):
                count -= 1
                if not count:
                    return


def _fits(name: str, pattern: str) -> bool:
    """Without a `/` it is about the method alone. A plain request's name has no `/`, so that is about all of it."""
    return fnmatch.fnmatchcase(name if "/" in pattern else name.partition("/")[2] or name, pattern)


async def _read(transport: Transport, topic: str, replies: str) -> AsyncGenerator[Asked | Answered]:
    """Replies may be read before their requests, which are in other partitions: they wait for one more fetch."""
    specs = [TopicSpec(name=name, partitions=1, config={}) for name in (topic, replies)]
    counts = await transport.ensure_topics(specs, create=False)  # asking for a topic alone might make it
    partitions = [TopicPartition(name, p) for name in (topic, replies) for p in range(counts[name])]
    reader = await transport.open_reader(partitions)
    conversation = Conversation()
    early: list[Any] = []
    typer.echo(f"reading {topic} and {replies}; stop with Ctrl-C", err=True)
    try:
        while True:
            records = await reader.fetch()
            for record in records:
                if record.topic == topic:
                    yield conversation.request(record)
            waiting, early = early, []
            for record in waiting:
                if (answered := conversation.reply(record)) is not None:
                    yield answered
            for record in records:
                if record.topic == replies:
                    answered = conversation.reply(record)
                    if answered is None:
                        early.append(record)
                    else:
                        yield answered
    finally:
        await reader.close()


def _clock(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):  # a producer may write any number
        return f"{milliseconds} ms"


def _brief(body: Any) -> str:
    text = json_text(body)
    return text if len(text) <= 400 else f"{text[:400]}... ({len(text)} characters)"
