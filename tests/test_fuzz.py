"""Tens of thousands of records at random, a part of them on the real Kafka; `make fuzz` throws a million."""

from __future__ import annotations

import pytest

from fuzz.fire import fire
from fuzz.report import GROWTH, Report


async def test_no_record_at_random_breaks_stalls_or_bloats_a_service_or_a_client_in_memory() -> None:
    report = await fire(30_000, seed=20260301)
    assert report.wrong == []
    assert report.growth < GROWTH, report.objects
    assert all(report.counted.values()), report.counted
    assert_every_cause_was_met(report)


@pytest.mark.kafka
async def test_no_record_at_random_breaks_or_stalls_a_service_or_a_client_on_kafka(kafka: str) -> None:
    report = await fire(1_500, seed=20260302, kafka=kafka)
    assert report.wrong == []
    assert_every_cause_was_met(report)


def assert_every_cause_was_met(report: Report) -> None:
    """Else the records, or the counts, are not what they were made to be."""
    assert len(report.thrown) == 12
    assert sum(count for what, count in report.logged.items() if "a handler's own" not in what) < 50, report.logged
    assert {"OK", "INVALID_ARGUMENT", "INTERNAL", "UNIMPLEMENTED"} <= report.answered.keys()
    assert len(report.forged) > 1
    assert all(report.counted[name] for name in ("malformed", "repeated", "late replies", "foreign replies"))
