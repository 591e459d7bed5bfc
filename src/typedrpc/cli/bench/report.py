"""What `typedrpc bench` tells at its end."""

from __future__ import annotations

from dataclasses import dataclass

from rich import bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from typedrpc.cli.bench.latencies import Bar, histogram, summary
from typedrpc.cli.bench.load import Load, Tally
from typedrpc.cli.outcome import exit_code
from typedrpc.cli.terminal import words
from typedrpc.errors import Status

_BUSY = 0.9  # of a core
_MANY = 20  # calls; of fewer a histogram shows nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Calls of one status, and the message of the first error of it."""

    calls: int
    example: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `--json` writes. Latencies are of calls that ended OK; None and [] without any.

    `statuses` begins with OK, then comes the most frequent. `client_cpu` is cores that the client's process took.
    """

    method: str
    oneway: bool
    concurrency: int
    rate: float | None
    interrupted: bool
    dropped: int
    seconds: float
    ok_per_second: float
    client_cpu: float
    statuses: dict[Status, Ended]
    latency_ms: dict[str, float] | None
    histogram_ms: list[Bar]

    @property
    def code(self) -> int:
        """The exit code: that of the most frequent status but OK; 1 where no call has ended."""
        failed = [status for status in self.statuses if status is not Status.OK]
        if failed:
            return exit_code(failed[0])
        return 0 if self.statuses else 1


def report_of(method: str, oneway: bool, load: Load, tally: Tally) -> Report:
    """Sorts, which takes about a second for a million calls."""
    ordered = sorted(seconds * 1000 for seconds in tally.latencies)
    ok = {Status.OK: Ended(calls=len(ordered), example=None)} if ordered else {}
    failed = {status: Ended(calls=n, example=tally.examples[status]) for status, n in tally.errors.most_common()}
    return Report(
        method=method,
        oneway=oneway,
        concurrency=load.at_once,
        rate=load.rate,
        interrupted=tally.interrupted,
        dropped=tally.dropped,
        seconds=tally.seconds,
        ok_per_second=len(ordered) / tally.seconds,
        client_cpu=tally.cpu / tally.seconds,
        statuses=ok | failed,
        latency_ms=summary(ordered) if ordered else None,
        histogram_ms=histogram(ordered) if ordered else [],
    )


def show(report: Report) -> None:
    """For people, on standard output."""
    console = Console(highlight=False)
    ended = sum(each.calls for each in report.statuses.values())
    ok = sum(each.calls for status, each in report.statuses.items() if status is Status.OK)
    took = f"in {report.seconds:.2f} s: {report.ok_per_second:,.0f} calls/s"
    console.print(Text(f"{ok:,} of {ended:,} calls ended OK {took}"))
    if report.dropped:
        console.print(Text(f"{report.dropped:,} more were under way when it was ended early, and are not counted"))
    busy = "; it may have been the limit, and not the service" if report.client_cpu > _BUSY else ""
    console.print(Text(f"this client took {report.client_cpu:.2f} of a core{busy}", "yellow" if busy else ""))
    if report.statuses:
        console.print()
        console.print(_statuses(report.statuses))
    if report.latency_ms is not None:
        until = "until Kafka had the request" if report.oneway else "of calls that ended OK"
        console.print(Text(f"\nlatency in ms, {until}"))
        console.print(_numbers(report.latency_ms))
        if report.statuses[Status.OK].calls >= _MANY:
            console.print()
            console.print(_bars(report.histogram_ms))


def _statuses(statuses: dict[Status, Ended]) -> Table:
    table = Table("STATUS", "CALLS", "FOR EXAMPLE", box=None)
    table.columns[1].justify = "right"
    for status, ended in statuses.items():
        colour = "green" if status is Status.OK else "red"
        table.add_row(Text(status.value, colour), f"{ended.calls:,}", words(ended.example or ""))
    return table


_TITLES = {"min": "MIN", "mean": "MEAN", "p50": "P50", "p90": "P90", "p99": "P99", "p999": "P99.9", "max": "MAX"}


def _numbers(latency: dict[str, float]) -> Table:
    table = Table(*(_TITLES[name] for name in latency), box=None)
    for column in table.columns:
        column.justify = "right"
    table.add_row(*map(_short, latency.values()))
    return table


def _bars(bars: list[Bar]) -> Table:
    table = Table("UP TO", "CALLS", "", box=None)
    for column in table.columns[:2]:
        column.justify = "right"
    most = max(each.calls for each in bars)
    for each in bars:
        table.add_row(_short(each.high), f"{each.calls:,}", bar.Bar(most, 0, each.calls, width=40, color="cyan"))
    return table


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 1000 else f"{milliseconds:.3g}"
