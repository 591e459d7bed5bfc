"""What the benchmarks reckon with: percentiles, intended times, medians within rounds."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from benchmarks import samples
from benchmarks.children import Child, ChildError
from benchmarks.peers import CONTENDERS, missing
from benchmarks.plots import plot
from benchmarks.programs import Program
from benchmarks.report import Row, ratio, ratios, table
from benchmarks.samples import Sample, intended_times, percentile, take


def row(contender: str, number: int, calls: int) -> Row:
    sample = Sample(calls=calls, errors=0, error=None, seconds=1.0, p50=1.0, p99=2.0, p999=None, cpu=0.1, late=False)
    return Row(round=number, contender=contender, work="small", at_once=1000, server_cpu=0.2, sample=sample)


def test_a_percentile_is_the_smallest_value_that_the_share_does_not_exceed() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 0.999)] == [50.0, 99.0, 100.0]
    assert percentile([7.0], 0.5) == 7.0


def test_calls_of_an_open_loop_are_meant_to_start_evenly() -> None:
    assert list(intended_times(4, 1)) == [0.0, 0.25, 0.5, 0.75]


async def test_the_latency_of_an_open_loop_counts_from_the_intended_start() -> None:
    turn = asyncio.Lock()

    async def one_at_a_time() -> None:
        async with turn:
            await asyncio.sleep(0.02)

    sample = await take(one_at_a_time, 1, 0.5, 100)
    assert sample["calls"] == 50
    assert sample["p99"] is not None
    assert sample["p99"] > 300  # 50 calls of 20 ms in turn, meant to start within half a second
    assert sample["p999"] is None


async def test_calls_that_fail_are_counted_apart() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise ValueError

    sample = await take(fail, 2, 0.05, None)
    assert sample["calls"] == 0
    assert sample["errors"] > 0


@pytest.mark.parametrize("rate", [None, 20.0])
async def test_calls_that_do_not_end_are_cut_and_counted_as_failed(
    monkeypatch: pytest.MonkeyPatch, rate: float | None
) -> None:
    monkeypatch.setattr(samples, "PATIENCE", 0.1)

    async def never() -> None:
        await asyncio.Event().wait()

    sample = await asyncio.wait_for(take(never, 2, 0.1, rate), 10)
    assert (sample["calls"], sample["errors"], sample["error"]) == (0, 2, "CancelledError()")


def test_a_process_that_does_not_answer_or_ended_is_an_error_that_names_it() -> None:
    child = Child("the server of nobody", [sys.executable, "-m", "benchmarks.process", "nobody", "server"])
    try:
        with pytest.raises(ChildError, match="the server of nobody did not answer within 0 s"):
            child.ask("cpu", 0)
        with pytest.raises(ChildError, match="the server of nobody ended"):
            child.wait_ready()
    finally:
        child.stop()


def test_plots_name_every_contender(tmp_path: Path) -> None:
    plot([row("typed", 0, 1000), row("raw_send", 0, 2000), row("raw_send", 1, 3000)], tmp_path)
    for file in ("calls.svg", "latency.svg"):
        text = (tmp_path / file).read_text()
        assert ">typed<" in text
        assert ">raw_send<" in text


def test_a_ratio_is_the_median_of_those_within_the_rounds() -> None:
    assert ratio([10, 20, 90], [10, 10, 30]) == 2
    assert ratio([10], []) is None
    rows = [row("typed", n, calls) for n, calls in enumerate((10, 20, 90))]
    rows += [row("raw_send", n, calls) for n, calls in enumerate((10, 10, 30))]
    assert ratios(rows) == {"typed / raw_send, 1,000 at once": 2}


def test_the_table_has_medians_and_spread_and_cpu_of_both_sides() -> None:
    line = table([row("typed", n, calls) for n, calls in enumerate((1000, 2000, 4000))], "small").splitlines()[-1]
    assert line == "| typed | 2,000 (1,000-4,000) | 1.00 / 2.00 / – | 50 + 100 |"


def test_a_program_that_cannot_run_here_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tool(name: str) -> None:
        (tmp_path / name).touch(mode=0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    program = Program(command=["java", "peer.Bench"], built_by="mvn", built=tmp_path / "Bench.class")
    assert program.missing() == "java"
    tool("java")
    assert program.missing() == "mvn"
    tool("mvn")
    assert program.missing() == "build of it (`make interop-peers`)"
    program.built.touch()
    assert program.missing() is None
    (tmp_path / "mvn").unlink()
    assert program.missing() is None
    (tmp_path / "java").unlink()
    assert [missing(CONTENDERS[each]) for each in ("spring", "nestjs")] == ["java", "node"]
