"""The statistics of `typedrpc bench`, on samples whose answers are known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedrpc.cli.bench.latencies import Bar, histogram, percentile, summary


@pytest.mark.parametrize(
    ("values", "per_mille", "expected"),
    [
        (range(1, 1001), 500, 500),
        (range(1, 1001), 999, 999),
        (range(1, 1001), 1000, 1000),
        (range(1, 1002), 999, 1000),  # 999 of 1,001 are too few
        (range(1, 101), 70, 7),  # in floats, 7% of 100 is more than 7
        (range(1, 11), 500, 5),
        (range(1, 11), 990, 10),
        ([3], 1, 3),
        ([3], 999, 3),
        ([1, 1, 1, 9], 750, 1),
        ([1, 1, 1, 9], 751, 9),
    ],
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: range | list[int], per_mille: int, expected: int
) -> None:
    assert percentile(list(values), per_mille) == expected


def test_a_summary_is_of_the_values_themselves() -> None:
    values = [float(n) for n in range(1, 2001)]
    expected = {"min": 1, "mean": 1000.5, "p50": 1000, "p90": 1800, "p99": 1980, "p999": 1998, "max": 2000}
    assert summary(values) == expected


def test_equal_values_are_one_bar() -> None:
    assert histogram([2.0, 2.0, 2.0]) == [Bar(2.0, 2.0, 3)]


def test_bars_between_the_outer_hundredths_have_the_same_ratio() -> None:
    values = [*([1.0] * 10), *(2.0 ** (n / 99) for n in range(1, 981)), *([5000.0] * 10)]  # 1 to 2 ** (980 / 99)
    bars = histogram(values)
    assert (bars[0].low, bars[0].high, bars[0].calls) == (1.0, 1.0, 10)
    assert [bar.calls for bar in bars[1:-1]] == [98] * 10
    assert (bars[-1].high, bars[-1].calls) == (5000.0, 10)


def test_an_outlier_leaves_the_others_their_bars() -> None:
    values = sorted([*(20 + n / 100 for n in range(1000)), 30_000.0])
    bars = histogram(values)
    assert (bars[-1].high, bars[-1].calls) == (30_000.0, 10)
    assert min(bar.calls for bar in bars[1:-1]) > 50


def test_two_values_are_in_the_outer_bars() -> None:
    bars = histogram([1.0, 1000.0])
    assert [bar.calls for bar in bars] == [1, *([0] * 9), 1]


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=300))
def test_every_value_is_in_one_bar(values: list[float]) -> None:
    values.sort()
    bars = histogram(values)
    assert sum(bar.calls for bar in bars) == len(values)
    assert (bars[0].low, bars[-1].high) == (values[0], values[-1])
    assert all(one.high == other.low for one, other in pairwise(bars))
    for bar in bars:
        within = [value for value in values if bar.low < value <= bar.high]
        assert bar.calls == len(within) + (values.count(bar.low) if bar is bars[0] and bar.high >= bar.low else 0)
