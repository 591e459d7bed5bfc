"""What many latencies say: a few numbers, and a histogram. Pure: any unit comes out as it went in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

_PERCENTILES = {"p50": 500, "p90": 900, "p99": 990, "p999": 999}

_MIDDLE_BARS = 10


def percentile(ordered: Sequence[float], per_mille: int) -> float:
    """The smallest of the ordered values that so many thousandths of them do not exceed; there is at least one."""
    rank = -(-per_mille * len(ordered) // 1000)
    return ordered[max(rank, 1) - 1]


def summary(ordered: Sequence[float]) -> dict[str, float]:
    """`min`, `mean`, `p50`, `p90`, `p99`, `p999` and `max` of the ordered values; there is at least one."""
    middle = {name: percentile(ordered, per_mille) for name, per_mille in _PERCENTILES.items()}
    return {"min": ordered[0], "mean": fmean(ordered), **middle, "max": ordered[-1]}


@dataclass(frozen=True, slots=True)
class Bar:
    """The number of calls above `low`, and at most `high`; in the first bar also those of `low` itself."""

    low: float
    high: float
    calls: int


def histogram(ordered: Sequence[float]) -> list[Bar]:
    """Bars of the ordered values, which are positive; there is at least one.

    The fastest and the slowest hundredth have a bar each, so that a few outliers do not press all others into one.
    Between them each bar's bounds have the same ratio.
    """
    low, high = percentile(ordered, 10), percentile(ordered, 990)
    inner = [low * (high / low) ** (n / _MIDDLE_BARS) for n in range(_MIDDLE_BARS)]
    bars: list[Bar] = []
    bound, below = ordered[0], 0
    for edge in (*inner, high, ordered[-1]):
        up_to = bisect_right(ordered, edge)
        if edge > bound or up_to > below:
            bars.append(Bar(bound, edge, up_to - below))
            bound, below = edge, up_to
    return bars
