"""The examples, as a newcomer runs them: each a process of its own, with warnings as errors."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

EXAMPLES = Path(__file__).parents[1] / "examples"
PYTHON = [sys.executable, "-W", "error"]
COMPLAINTS = ("Traceback", "Warning", "Unclosed", "never retrieved", "destroyed")


@pytest.fixture(autouse=True)
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Their topics have fixed names."""
    with (tmp_path_factory.getbasetemp().parent / "examples.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def environment(kafka: str | None) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("TYPEDRPC_")}
    return own | {"PYTHONUNBUFFERED": "1"} | ({"TYPEDRPC_KAFKA": kafka} if kafka else {})


def output_of(path: str, *, kafka: str | None) -> str:
    """What the script prints; its exit code is 0 and it complains of nothing."""
    script = EXAMPLES / path
    done = subprocess.run(
        [*PYTHON, script.name],
        cwd=script.parent,
        env=environment(kafka),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for word in COMPLAINTS:
        assert word not in done.stdout + done.stderr
    return done.stdout


@contextmanager
def server(*command: str, kafka: str) -> Generator[None]:
    """Runs in examples/two_processes; ends on SIGTERM with exit code 0 and without complaints."""
    process = subprocess.Popen(
        [*PYTHON, "-m", *command],
        cwd=EXAMPLES / "two_processes",
        env=environment(kafka),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "serving" in line or "started successfully" in line:
                break
        yield
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, "".join(lines) + rest
        for word in COMPLAINTS:
            assert word not in "".join(lines) + rest
    finally:
        process.kill()
        process.communicate()


QUICKSTART = (
    "a typed call",
    "Ada, Grace",
    "UserNotFound, with its field id=404",
    "DEADLINE_EXCEEDED",
    "INVALID_ARGUMENT",
)


def test_the_quickstart_shows_its_five_calls_in_memory_within_seconds() -> None:
    started = time.monotonic()
    output = output_of("quickstart.py", kafka=None)
    assert time.monotonic() - started < 20
    assert [text for text in QUICKSTART if text not in output] == []


@pytest.mark.kafka
def test_the_quickstart_shows_the_same_on_kafka(kafka: str) -> None:
    output = output_of("quickstart.py", kafka=kafka)
    assert [text for text in QUICKSTART if text not in output] == []


@pytest.mark.kafka
@pytest.mark.parametrize(
    "command", [("typedrpc", "run", "server:rpc"), ("faststream", "run", "server:app")], ids=" ".join
)
def test_the_client_process_calls_the_server_process_which_either_command_runs(
    kafka: str, command: tuple[str, ...]
) -> None:
    with server(*command, kafka=kafka):
        output = output_of("two_processes/client.py", kafka=kafka)
    assert "reserved   Reservation(item='apple', quantity=2" in output
    assert "refused    only" in output
    assert "restocked" in output


def test_plain_subscribers_and_a_service_call_each_other_in_memory() -> None:
    assert output_of("beside_faststream.py", kafka=None) == "3 x apple: 7.50\n"


@pytest.mark.kafka
def test_plain_subscribers_and_a_service_call_each_other_on_kafka(kafka: str) -> None:
    assert "3 x apple: 7.50\n" in output_of("beside_faststream.py", kafka=kafka)


@pytest.mark.kafka
def test_faststreams_recipe_calls_a_service_beside_the_two_ways_that_need_no_recipe(kafka: str) -> None:
    lines = output_of("faststream_recipe/main.py", kafka=kafka).splitlines()
    assert [line.split("  ")[-1].strip() for line in lines] == [
        "Hello, Ada!",
        "Hello, Grace!",
        "Hello, Edsger!",
        "Hello, Barbara!",
    ]
