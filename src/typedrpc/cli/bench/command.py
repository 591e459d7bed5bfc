"""`typedrpc bench`: what a service that runs bears, and how long its calls take."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from typedrpc.cli import flags
from typedrpc.cli.bench.load import Load, Tally, measure
from typedrpc.cli.bench.report import Report, report_of, show
from typedrpc.cli.connection import Settings, connected
from typedrpc.cli.event_loop import collect_less, run_loop
from typedrpc.cli.outcome import told
from typedrpc.cli.request import Body, Key, Metadata, MethodName, Order, Timeout, prepare
from typedrpc.cli.terminal import json_text
from typedrpc.config import Limits
from typedrpc.errors import UsageError

_MOST = Limits().max_in_flight


def bench(
    context: typer.Context,
    method: MethodName,
    body: Body = "{}",
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", help=f"Most calls at once; 50, with --rate {_MOST:,}.")
    ] = None,
    calls: Annotated[int | None, typer.Option("--calls", "-n", help="End after so many calls.")] = None,
    duration: Annotated[float | None, typer.Option(help="Else begin calls for so many seconds; 10.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Begin so many calls a second, whether or not others have ended.")
    ] = None,
    timeout: Timeout = None,
    header: Metadata = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")] = False,
) -> None:
    """Call a method many times, and say how many calls a second end and how long they take. The calls are real.

    One more call goes before, which is not counted. Ctrl-C ends it early. The exit code is 0 if all calls ended OK,
    else that of `typedrpc call` for the most frequent other status.
    """
    with told():
        load = _load(concurrency, calls, duration, rate)
        report = run_loop(_bench(flags.settings(context), Order.given(method, body, timeout, header, key), load))
    if as_json:
        typer.echo(json_text(report, indent=2))
    else:
        show(report)
    raise typer.Exit(report.code)


def _load(concurrency: int | None, calls: int | None, duration: float | None, rate: float | None) -> Load:
    if calls is not None and duration is not None:
        raise UsageError("--calls and --duration: give one of them")
    for option, value in (("--calls", calls), ("--duration", duration), ("--rate", rate)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{option} {value:g}: give more than 0, and an end")
    if concurrency is not None and not 1 <= concurrency <= _MOST:
        raise UsageError(f"--concurrency {concurrency}: give 1 to {_MOST}, the most that a client has under way")
    seconds = (duration or 10.0) if calls is None else None
    return Load(at_once=concurrency or (50 if rate is None else _MOST), calls=calls, seconds=seconds, rate=rate)


async def _bench(settings: Settings, order: Order, load: Load) -> Report:
    async with connected(settings) as client:
        request = await prepare(client, order)
        first = replace(request, timeout=max(request.timeout, 10.0))  # it opens connections and routes
        await first.send()
        collect_less()
        tally = Tally()
        typer.echo(f"calling {order.name}, {_words(load)}; stop with Ctrl-C", err=True)
        async with _progress(load, tally):
            await measure(request.send, load, tally)
    return report_of(order.name, request.oneway, load, tally)


def _words(load: Load) -> str:
    how = f"{load.at_once:,} at once" if load.rate is None else f"{load.rate:,g} a second"
    return f"{how}, {load.calls:,} times" if load.calls is not None else f"{how}, for {load.seconds:g} s"


@asynccontextmanager
async def _progress(load: Load, tally: Tally) -> AsyncGenerator[None]:
    """On a terminal; drawn by the event loop, and rarely, for drawing takes time that calls need."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        shown = progress.add_task("", total=load.calls or load.seconds)

        async def draw() -> None:
            while True:
                words = f"{tally.ended:,} calls, {tally.errors.total():,} errors"
                done = tally.ended if load.calls else progress.tasks[shown].elapsed
                progress.update(shown, completed=done, description=words, refresh=True)
                await asyncio.sleep(0.25)

        drawing = asyncio.create_task(draw())
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.wait([drawing])
