"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


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


def micros(seconds: float, calls: float) -> str:
    """Microseconds a call."""
    return f"{seconds / calls * 1e6:,.0f}"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the smallest and the largest."""
    low, middle, high = min(values), sorted(values)[len(values) // 2], max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
