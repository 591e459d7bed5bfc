"""`bench`, on a real Kafka, of a server whose code is not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli_runs import Command, patiently

pytestmark = pytest.mark.kafka

HI = '{"msg": {"text": "hi"}}'


def test_so_many_calls_are_made_and_their_times_told(server: Path, run: Command, name: str) -> None:
    done = run("bench", f"{name}/echo", HI, "-n", "300", "-c", "20", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["statuses"] == {"OK": {"calls": 300, "example": None}}
    assert (report["method"], report["concurrency"], report["rate"]) == (f"{name}/echo", 20, None)
    assert (report["oneway"], report["interrupted"], report["dropped"]) == (False, False, 0)
    assert report["ok_per_second"] == pytest.approx(300 / report["seconds"])
    times = [report["latency_ms"][each] for each in ("min", "p50", "p90", "p99", "p999", "max")]
    assert 0 < times[0] <= report["latency_ms"]["mean"] <= times[-1] < 60_000
    assert times == sorted(times)
    assert sum(bar["calls"] for bar in report["histogram_ms"]) == 300
    assert report["histogram_ms"][-1]["high"] == times[-1]


def test_people_read_speed_statuses_times_and_bars(server: Path, run: Command, name: str) -> None:
    done = run("bench", f"{name}/echo", HI, "--duration", "1")
    assert done.code == 0, done.err
    assert f"calling {name}/echo, 50 at once, for 1 s" in done.err
    for text in ("calls ended OK in ", " calls/s", "of a core", "STATUS", "P99.9", "UP TO", "█"):
        assert text in done.out, done.out


def test_one_call_goes_before_those_that_count(server: Path, run: Command, name: str) -> None:
    done = run("bench", f"{name}/log", "-", "-n", "5", stdin='{"line": "counted"}')
    assert done.code == 0, done.err
    assert "5 of 5 calls" in done.out
    assert "until Kafka had the request" in done.out
    until = time.monotonic() + 20
    while server.read_text().count("logged counted") < 6:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert server.read_text().count("logged counted") == 6


def test_another_frameworks_dialect_is_spoken_where_the_contract_does(server: Path, run: Command, name: str) -> None:
    done = run("bench", f"{name}/plain", '{"line": "up"}', "-n", "20", "--json")
    assert json.loads(done.out)["statuses"]["OK"]["calls"] == 20, done.err


def test_errors_are_shown_by_status_and_are_the_exit_code(server: Path, run: Command, name: str) -> None:
    done = run("bench", f"{name}/echo", '{"msg": {"text": "hi"}, "mode": "shout"}', "-n", "30")
    assert done.code == 64 + 9
    (line,) = [line.split() for line in done.out.splitlines() if "FAILED_PRECONDITION" in line]
    assert line == ["FAILED_PRECONDITION", "30", "too", "loud"]
    assert "0 of 30 calls ended OK" in done.out


def test_a_rate_is_kept_to(server: Path, run: Command, name: str) -> None:
    done = run("bench", f"{name}/echo", HI, "--rate", "20", "-n", "31", "--json")
    report = json.loads(done.out)
    assert (report["rate"], report["statuses"]["OK"]["calls"]) == (20, 31)
    assert report["seconds"] >= 30 / 20


def test_a_time_out_may_be_shorter_than_the_start_takes(server: Path, run: Command, name: str) -> None:
    command = "bench", f"{name}/echo", HI, "--timeout", "0.0001", "-n", "5", "--json"
    # A deadline fires within 20 ms, and a reply may come before.
    done = patiently(lambda: run(*command), lambda done: done.code == 64 + 4)
    assert done.code == 64 + 4, done.err
    assert json.loads(done.out)["statuses"]["DEADLINE_EXCEEDED"]["calls"] == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_early_with_what_was_measured(
    server: Path, run: Command, name: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "typedrpc", "bench", f"{name}/echo", HI, "--duration", "600", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "stop with Ctrl-C" in line, line + process.stderr.read()
        time.sleep(2)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    report = json.loads(out)
    assert report["interrupted"]
    assert report["statuses"]["OK"]["calls"] > 0
    assert 0 < report["dropped"] <= 50
    assert report["seconds"] < 60


def test_progress_is_shown_on_a_terminal(server: Path, name: str) -> None:
    command = [sys.executable, "-m", "typedrpc", "bench", f"{name}/echo", HI, "-n", "25", "--rate", "25"]
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed: it has ended
    finally:
        os.close(ours)
        process.communicate(timeout=30)
    assert process.returncode == 0, shown
    assert b"calls, 0 errors" in shown


def test_a_service_that_nobody_serves_is_said_to_be_so(kafka: str, run: Command, name: str) -> None:
    done = run("bench", f"{name}/echo", "--timeout", "1")
    assert (done.code, done.out, done.err.count("\n")) == (64 + 4, "", 1)
    assert f"no server at {kafka} answered for service {name!r}" in done.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-n", "5", "--duration", "5"], "one of them"),
        (["-n", "0"], "--calls 0"),
        (["--duration", "-1"], "--duration -1"),
        (["--rate", "0"], "--rate 0"),
        (["-c", "0"], "--concurrency 0"),
        (["-c", "10001"], "10000"),
        (["-H", "tenant"], "NAME=VALUE"),
        (["{"], "no JSON"),
    ],
)
def test_options_that_do_not_fit_are_one_line(kafka: str, run: Command, options: list[str], says: str) -> None:
    done = run("bench", "any/method", *options)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert says in done.err
