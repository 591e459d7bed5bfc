"""Which partition a keyless call goes to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typedrpc.balance import Balance


@pytest.mark.parametrize("partitions", [1, 2, 12])
def test_equal_partitions_take_turns(partitions: int) -> None:
    balance = Balance(partitions)
    assert [balance.choose() for _ in range(2 * partitions)] == [*range(partitions), *range(partitions)]


def test_the_partition_with_the_fewest_outstanding_calls_is_chosen() -> None:
    balance = Balance(4)
    balance.outstanding[:] = [3, 1, 2, 1]
    assert [balance.choose() for _ in range(4)] == [1, 3, 1, 3]


def test_a_partition_that_answers_nothing_gets_little() -> None:
    balance = Balance(3)
    chosen = [0, 0, 0]
    for _ in range(300):
        partition = balance.choose()
        chosen[partition] += 1
        if partition == 2:
            balance.outstanding[2] += 1  # dead: its calls stay
    assert chosen[2] == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=200), st.integers(1, 7))
def test_the_choice_always_has_the_fewest(steps: list[tuple[bool, int]], partitions: int) -> None:
    balance = Balance(partitions)
    for call, at in steps:
        if call:
            choice = balance.choose()
            assert balance.outstanding[choice] == min(balance.outstanding)
            balance.outstanding[choice] += 1
        elif balance.outstanding[at % partitions]:
            balance.outstanding[at % partitions] -= 1


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 400))
def test_calls_that_stay_outstanding_are_spread_evenly(partitions: int, calls: int) -> None:
    balance = Balance(partitions)
    for _ in range(calls):
        balance.outstanding[balance.choose()] += 1
    assert max(balance.outstanding) - min(balance.outstanding) <= 1
