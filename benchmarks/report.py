"""Tables and ratios of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TypedDict

from benchmarks.samples import Sample

OPEN = 0
"""In place of the calls at once: those of an open loop."""


class Row(TypedDict):
    """A sample, of what, and the CPU seconds of the server meanwhile."""

    round: int
    contender: str
    work: str
    at_once: int
    server_cpu: float
    sample: Sample


def speed(row: Row) -> float:
    return row["sample"]["calls"] / row["sample"]["seconds"]


def _cpu(row: Row, seconds: float) -> float:
    return seconds / max(1, row["sample"]["calls"]) * 1e6


def at(level: int) -> str:
    return "at the rate" if level == OPEN else f"{level:,} at once"


def select(rows: Sequence[Row], contender: str, work: str, at_once: int) -> list[Row]:
    """By round."""
    found = [r for r in rows if (r["contender"], r["work"], r["at_once"]) == (contender, work, at_once)]
    return sorted(found, key=lambda row: row["round"])


def _latency(rows: Sequence[Row]) -> str:
    figures: list[str] = []
    for values in ([r["sample"][p] for r in rows] for p in ("p50", "p99", "p999")):
        known = [value for value in values if value is not None]
        figures.append(f"{median(known):.2f}" if known else "–")
    return " / ".join(figures)


def table(rows: Sequence[Row], work: str) -> str:
    """Medians of the rounds and their spread, as Markdown; CPU at the highest level up to 1,000 at once."""
    levels = sorted({row["at_once"] for row in rows})
    told = [level for level in levels if level in (OPEN, 1, 1000)]
    busiest = max([level for level in levels if level <= 1000], default=levels[0])
    heads = ["", *(f"calls/s, {at(n)}" for n in levels), *(f"p50 / p99 / p99.9 ms, {at(n)}" for n in told)]
    heads.append(f"CPU µs/call, client + server, {at(busiest)}")
    lines = [heads, ["---"] * len(heads)]
    for contender in dict.fromkeys(row["contender"] for row in rows):
        cells = [contender]
        for level in levels:
            speeds = [speed(row) for row in select(rows, contender, work, level)]
            cells.append(f"{median(speeds):,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})" if speeds else "–")
        cells += [_latency(select(rows, contender, work, level)) for level in told]
        busy = select(rows, contender, work, busiest)
        sides = ([_cpu(r, r["sample"]["cpu"]) for r in busy], [_cpu(r, r["server_cpu"]) for r in busy])
        cells.append(" + ".join(f"{median(side):.0f}" for side in sides) if busy else "–")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the ratios within the rounds; None where a side was not measured."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=False) if b]
    return median(pairs) if pairs and len(ours) == len(theirs) else None


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Of the small echo: typedrpc's speed by its peers' at 1,000 at once, by its own, and p50 alone by raw's."""

    def speeds(contender: str, at_once: int) -> list[float]:
        return [speed(row) for row in select(rows, contender, "small", at_once)]

    def alone(contender: str) -> list[float]:
        return [row["sample"]["p50"] or 0 for row in select(rows, contender, "small", 1)]

    ours = speeds("typed", 1000)
    peers = dict.fromkeys(row["contender"] for row in rows if row["contender"] != "typed")
    found = {f"typed / {peer}, 1,000 at once": ratio(ours, speeds(peer, 1000)) for peer in peers}
    found["typed, 5,000 / 1,000 at once"] = ratio(speeds("typed", 5000), ours)
    found["p50 alone, typed / raw_send"] = ratio(alone("typed"), alone("raw_send"))
    return {name: value for name, value in found.items() if value is not None}
