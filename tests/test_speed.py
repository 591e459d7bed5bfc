"""How fast calls are, by comparison within one run: gross losses only, so that a busy machine makes no test fail."""

from __future__ import annotations

from statistics import median

import pytest
from benchmarks.measuring import Plan, measure
from benchmarks.peers import servers
from benchmarks.report import select, speed
from benchmarks.scale.bodies import by_one, pair
from benchmarks.scale.work import LARGE

from typedrpc import Limits

pytestmark = pytest.mark.kafka

GROSS = 0.35
"""Of raw aiokafka's calls/s, where 0.9 is usual."""


def test_calls_are_not_grossly_slower_than_raw_aiokafka(kafka: str) -> None:
    plan = Plan(works=["small"], at_once=[1000], rounds=5, seconds=0.7)
    contenders = ["typed", "raw_send"]
    with servers(contenders) as environment:
        rows = measure(plan, contenders, environment)
    ours, raw = ([speed(row) for row in select(rows, each, "small", 1000)] for each in contenders)
    assert sum(row["sample"]["errors"] for row in rows) == 0
    assert median(a / b for a, b in zip(ours, raw, strict=True)) > GROSS, (ours, raw)


@pytest.mark.parametrize("large", ["requests", "replies"])
def test_small_calls_beside_large_bodies_at_full_rate_stay_quick(kafka: str, large: str) -> None:
    with pair() as (client, _):
        beside = by_one(client, [large], 4)
    behind_all = Limits().max_in_flight_bytes / LARGE / beside.large * 1000  # ms
    # Of it, 0.03 to 0.07 is usual, and 0.19 on a busy machine; without a producer for bulk 0.28 (requests), 2.3 (replies).
    assert beside.p50 < behind_all / 2, beside
