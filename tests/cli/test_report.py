"""What `typedrpc bench` makes of a tally."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest

from typedrpc import Status
from typedrpc.cli.bench.load import Load, Tally
from typedrpc.cli.bench.report import Report, report_of, show

LOAD = Load(at_once=5, seconds=2)


def report(ok: list[float], errors: dict[Status, int], *, oneway: bool = False, cpu: float = 0.5) -> Report:
    tally = Tally(latencies=array("d", ok), errors=Counter(errors), seconds=2.0, cpu=cpu)
    tally.examples = {status: f"so it was: {status.value}" for status in errors}
    return report_of("prices/of", oneway, LOAD, tally)


def test_times_are_milliseconds_and_only_of_calls_that_ended_ok() -> None:
    made = report([0.003, 0.001, 0.002], {Status.ABORTED: 4})
    assert made.latency_ms is not None
    assert (made.latency_ms["min"], made.latency_ms["p50"], made.latency_ms["max"]) == (1, 2, 3)
    assert sum(bar.calls for bar in made.histogram_ms) == 3
    assert (made.ok_per_second, made.client_cpu) == (1.5, 0.25)


@pytest.mark.parametrize(
    ("ok", "errors", "code"),
    [
        ([0.1], {}, 0),
        ([0.1, 0.1, 0.1], {Status.ABORTED: 1, Status.NOT_FOUND: 2}, 64 + 5),
        ([], {Status.ABORTED: 1}, 64 + 10),
        ([], {}, 1),
    ],
)
def test_the_exit_code_is_that_of_the_most_frequent_error(
    ok: list[float], errors: dict[Status, int], code: int
) -> None:
    assert report(ok, errors).code == code


def test_ok_comes_first_and_then_the_most_frequent_error() -> None:
    made = report([0.1], {Status.ABORTED: 1, Status.NOT_FOUND: 2})
    assert list(made.statuses) == [Status.OK, Status.NOT_FOUND, Status.ABORTED]


def test_every_status_is_shown_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    show(report([0.1], {Status.ABORTED: 1, Status.NOT_FOUND: 2}))
    out = capsys.readouterr().out
    assert "1 of 4 calls ended OK in 2.00 s: 0 calls/s" in out
    assert "so it was: ABORTED" in out
    assert "so it was: NOT_FOUND" in out
    assert "of calls that ended OK" in out


def test_without_a_call_that_ended_ok_there_are_no_times(capsys: pytest.CaptureFixture[str]) -> None:
    show(report([], {Status.ABORTED: 1}))
    assert "latency" not in capsys.readouterr().out
    show(report([], {}))
    assert "0 of 0 calls" in capsys.readouterr().out


def test_a_busy_client_and_a_oneway_are_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    show(report([0.1], {}))
    assert "limit" not in capsys.readouterr().out
    show(report([0.1], {}, oneway=True, cpu=1.96))
    out = capsys.readouterr().out
    assert "0.98 of a core; it may have been the limit" in out
    assert "until Kafka had the request" in out
