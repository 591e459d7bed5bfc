"""`tail`, on a real Kafka, beside calls that are made meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli_runs import Command

pytestmark = pytest.mark.kafka


@contextmanager
def tailing(*arguments: str) -> Generator[subprocess.Popen[str]]:
    """Runs until it ends by itself; reads when entered."""
    command = [sys.executable, "-m", "typedrpc", "tail", *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "stop with Ctrl-C" in line, line + process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def output_of(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out.splitlines()


def test_a_request_and_its_reply_are_shown_with_status_and_time(server: Path, run: Command, name: str) -> None:
    with tailing(name, "-n", "2", "--json", "--metadata") as process:
        run("call", f"{name}/echo", '{"msg": {"text": "hi"}}', "-H", "tenant=a")
        run("call", f"{name}/echo", '{"msg": {"text": "ho"}, "mode": "shout"}')
        first, ok, second, failed = [json.loads(line) for line in output_of(process)]
    assert (first["kind"], first["method"], first["body"]) == ("request", f"{name}/echo", {"msg": {"text": "hi"}})
    assert first["metadata"] == {"tenant": "a"}
    assert (ok["kind"], ok["status"], ok["body"]) == ("reply", "OK", {"text": "hi", "loud": False})
    assert ok["correlation_id"] == first["correlation_id"] != second["correlation_id"]
    assert 0 <= ok["ms"] < 10_000
    assert (failed["status"], failed["body"]["data"]) == ("FAILED_PRECONDITION", {"decibels": 120})


def test_only_errors_are_shown_where_that_is_asked(server: Path, run: Command, name: str) -> None:
    with tailing(name, "-n", "1", "--errors") as process:
        run("call", f"{name}/echo", '{"msg": {"text": "hi"}}')
        run("call", f"{name}/echo", '{"msg": {"text": "ho"}, "mode": "shout"}')
        request, reply = output_of(process)
    assert f"→ {name}/echo" in request
    assert '{"msg":{"text":"ho"},"mode":"shout"}' in request
    assert f"← {name}/echo" in reply
    assert "FAILED_PRECONDITION" in reply


def test_only_methods_that_fit_are_shown(server: Path, run: Command, name: str) -> None:
    with tailing(name, "-n", "1", "--method", "who", "--json") as process:
        run("call", f"{name}/echo", '{"msg": {"text": "hi"}}')
        run("call", f"{name}/who", "-H", "password=hidden")
        lines = output_of(process)
    assert {json.loads(line)["method"] for line in lines} == {f"{name}/who"}
    assert "metadata" not in json.loads(lines[0])


def test_plain_requests_are_chosen_by_topic_and_framework(server: Path, run: Command, name: str) -> None:
    run("call", f"{name}/plain", '{"line": "up"}')  # makes the topic of plain replies
    arguments = ("--replies", "rpc.replies.plain", "-n", "1", "--json")
    with tailing(f"{name}-plain", "--method", "*(faststream)", *arguments) as process:
        run("call", f"{name}/plain", '{"line": "up"}')
        lines = output_of(process)
    assert {json.loads(line)["method"] for line in lines} == {f"{name}-plain (faststream)"}


def test_a_topic_that_is_not_there_is_one_line(kafka: str, run: Command, name: str) -> None:
    done = run("tail", name)
    assert (done.code, done.err.count("\n")) == (1, 1), done.err
    assert name in done.err


def test_an_unknown_status_is_one_line(kafka: str, run: Command) -> None:
    done = run("tail", "any", "--status", "GOOD")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "NOT_FOUND" in done.err
