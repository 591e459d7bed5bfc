"""Plots of what was measured: medians of the rounds, with their spread from the least to the most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.report import OPEN, Row, select, speed
from benchmarks.scale.report import Table

# The text stays text, and two runs' files differ in their figures only.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9})


def plot(rows: Sequence[Row], folder: Path) -> None:
    """Writes calls.svg and latency.svg, with a panel for each work."""
    _draw(rows, folder / "calls.svg", "calls/s", speed)
    _draw(rows, folder / "latency.svg", "p50, ms", lambda row: row["sample"]["p50"] or 0)


def _draw(rows: Sequence[Row], file: Path, label: str, of: Callable[[Row], float]) -> None:
    works = list(dict.fromkeys(row["work"] for row in rows))
    figure: Any = Figure(figsize=(4.2 * len(works), 4.2), layout="constrained")  # Any: its types are partly unknown
    panels = figure.subplots(1, len(works), squeeze=False)[0]
    for panel, work in zip(panels, works, strict=True):
        _panel(panel, [row for row in rows if row["work"] == work], of)
        panel.set(title=work, yscale="log", xlabel="calls at once", ylabel=label)
        panel.grid(axis="y", alpha=0.3)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2 * len(works))
    figure.savefig(file, metadata={"Date": None})


def _panel(panel: Any, rows: Sequence[Row], of: Callable[[Row], float]) -> None:
    levels = sorted({row["at_once"] for row in rows})
    for contender in dict.fromkeys(row["contender"] for row in rows):
        middles: list[float] = []
        below: list[float] = []
        above: list[float] = []
        there: list[int] = []
        for place, level in enumerate(levels):
            values = [value for row in select(rows, contender, rows[0]["work"], level) if (value := of(row))]
            if values:
                there.append(place)
                middles.append(median(values))
                below.append(middles[-1] - min(values))
                above.append(max(values) - middles[-1])
        ours = contender == "typed"
        style = {"linewidth": 2.5 if ours else 1, "marker": "o" if ours else ".", "capsize": 3}
        panel.errorbar(there, middles, yerr=(below, above), label=contender, **style)
    panel.set_xticks(range(len(levels)), ["at the rate" if level == OPEN else f"{level:,}" for level in levels])


def plot_curves(tables: Sequence[Table], folder: Path) -> None:
    """One picture for each table that has curves."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        if not table.curves:
            continue
        figure: Any = Figure(figsize=(6, 4))
        axes = figure.subplots()
        for name, points in table.curves.items():
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
        axes.set(xlabel=table.axes[0], ylabel=table.axes[1], title=table.title)
        axes.set_ylim(bottom=0)
        axes.legend()
        figure.savefig(folder / f"{table.name}.svg", bbox_inches="tight", metadata={"Date": None})
