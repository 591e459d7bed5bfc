"""Tables in Markdown, and plots where matplotlib is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The first column is what is varied. `curves` are points (x, y) by name, of the axes `axes`."""

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    axes: tuple[str, str] = ("", "")
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(
        default_factory=dict[str, Sequence[tuple[float, float]]]
    )

    def markdown(self) -> str:
        lines = [self.heads, ["---"] * len(self.heads), *self.rows]
        return "\n".join([f"{self.title}:", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def plot(tables: Sequence[Table], folder: Path) -> None:
    """One picture for each table that has curves."""
    if importlib.util.find_spec("matplotlib") is None:
        print("no plots: matplotlib is not installed")
        return
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "scale"}
    )  # two runs differ by their figures only
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        if not table.curves:
            continue
        figure, axes = pyplot.subplots(figsize=(6, 4))
        for name, points in table.curves.items():
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
        axes.set(xlabel=table.axes[0], ylabel=table.axes[1], title=table.title)
        axes.set_ylim(bottom=0)
        axes.legend()
        figure.savefig(folder / f"{table.name}.svg", bbox_inches="tight", metadata={"Date": None})
        pyplot.close(figure)


def micros(seconds: float, calls: float) -> str:
    """Microseconds a call."""
    return f"{seconds / calls * 1e6:,.0f}"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the smallest and the largest."""
    low, middle, high = min(values), sorted(values)[len(values) // 2], max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
