"""What others wrote, on its way to a terminal or to a program that reads it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from faststream.kafka import KafkaBroker
from rich.console import Console

from cli_runs import Command, patiently
from real_kafka import FEW
from typedrpc import ContractDocument, Rpc, Service, Status, contract_schema, service
from typedrpc.cli.tail.command import Printer
from typedrpc.cli.tail.conversation import Answered, Asked
from typedrpc.cli.terminal import json_text, visible

STEERING = "\x1b[2J\x07\x9b31m\r\u202e\u2028"
SHOWN = r"\u001b[2J\u0007\u009b31m\u000d\u202e\u2028"


def steers(text: str) -> set[str]:
    return {each for each in text if not each.isprintable()}


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert visible(f"a{STEERING}b\n") == f"a{SHOWN}b\\u000a"
    assert visible("a\tb\n\x1b", lines=True) == "a\tb\n\\u001b"
    assert visible("naïve 👩\u200d🚀 שלום →") == "naïve 👩\u200d🚀 שלום →"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_stays_json(indent: int | None) -> None:
    value = {"text": f"a{STEERING}\n\t", "names": ["é"]}
    text = json_text(value, indent=indent)
    assert json.loads(text) == value
    assert steers(text) == {"\n"} if indent else not steers(text)
    assert json.loads(json_text([float("nan"), float("-inf")])) == ["NaN", "-Infinity"]


def test_calls_that_are_watched_steer_no_terminal() -> None:
    out = StringIO()
    printer = Printer(Console(file=out, soft_wrap=True), metadata=True, as_json=False)
    asked = Asked(
        time=2**62,  # as any producer may write it
        place="t[0]@0",
        method=f"s/m{STEERING}\n",
        correlation_id=STEERING,
        metadata={STEERING: STEERING},
        body=STEERING,
    )
    printer.asked(asked)
    printer.answered(Answered(request=asked, time=-1, status=Status.OK, metadata={}, body=None))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert all(f"s/m{SHOWN}" in line for line in lines)
    assert steers(out.getvalue()) == {"\n"}


@pytest.mark.kafka
def test_a_contract_steers_no_terminal(server: Path, run: Command, name: str) -> None:
    for arguments in ([], ["--json"]):
        done = run("describe", name, *arguments)
        assert r"Names the caller.\u001b[2J\u202e" in done.out
        assert "\x1b" not in done.out


@pytest.mark.kafka
def test_an_error_and_a_reply_steer_no_terminal(server: Path, run: Command, name: str) -> None:
    done = run("call", f"{name}/echo", json.dumps({"msg": {"text": "\x1b[2J"}}))
    assert (done.code, done.out, done.err) == (64 + 5, "", "typedrpc: NOT_FOUND: \\u001b[2J\n")
    for arguments in ([], ["--json"]):
        done = run("call", f"{name}/echo", json.dumps({"msg": {"text": "\x9b2J"}}), *arguments)
        assert r'"\u009b2J"' in done.out
        assert "\x9b" not in done.out


@pytest.mark.kafka
async def test_the_names_of_hosts_steer_no_terminal(
    broker: KafkaBroker, run: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quiet(Service, service=name):
        @service.method
        async def nothing(self) -> None: ...

    monkeypatch.setattr("typedrpc.reflection.socket.gethostname", lambda: "host\x1b[2J\nother  1  0.1")
    rpc = Rpc(broker, topics=FEW)
    rpc.serve(Quiet())
    async with rpc:
        done = await asyncio.to_thread(patiently, lambda: run("list"), lambda done: name in done.out)
    (line,) = [line for line in done.out.splitlines() if name in line]
    assert r"host\u001b[2J\u000aother" in line
    assert "\x1b" not in done.out


def test_a_comparison_steers_no_terminal(run: Command, tmp_path: Path) -> None:
    class Empty(Service, service="empty"):
        @service.method
        async def get(self) -> None: ...

    old = contract_schema(Empty).model_dump(mode="json")
    new = json.loads(json.dumps(old).replace('"get"', json.dumps("get\x1b[2J\nMORE")))
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    for file, document in zip(files, (old, new), strict=True):
        file.write_text(json.dumps(document))
    done = run("diff", *map(str, files))
    assert r"get\u001b[2J\u000aMORE" in done.out
    assert "\x1b" not in done.out
    assert not any(line.startswith("MORE") for line in done.out.splitlines())


def test_a_page_steers_no_terminal(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "page.json"
    empty = ContractDocument(service=f"empty{STEERING}", hash="", typedrpc="", methods=[])
    file.write_text(empty.model_dump_json())
    done = run("asyncapi", str(file), "--html")
    assert f"<title>empty{SHOWN} AsyncAPI</title>" in done.out
    assert steers(done.out) == {"\n"}


@pytest.mark.kafka
def test_an_encoding_that_lacks_characters_ends_no_command(server: Path, run: Command, name: str) -> None:
    body = json.dumps({"msg": {"text": "é → 🚀"}})
    for arguments in ([], ["--json"]):
        done = run("call", f"{name}/echo", body, *arguments, PYTHONIOENCODING="ascii")
        assert done.code == 0, done.err
        assert "é → 🚀" in str(json.loads(done.out))
    assert "1 of 1 calls" in run("bench", f"{name}/echo", body, "-n", "1", PYTHONIOENCODING="ascii").out


@pytest.mark.parametrize("arguments", [["-"], ['{"msg": "\udcff"}'], ["{}", "-H", "a=\udcff"]])
def test_bytes_that_are_no_text_are_one_line(arguments: list[str], kafka: str) -> None:
    command = [sys.executable, "-m", "typedrpc", "call", "echo/echo", "--timeout", "0.1", *arguments]
    done = subprocess.run(command, input=b'"\xff"', capture_output=True, check=False, env=os.environ)
    assert b"Traceback" not in done.stderr
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--wait", "inf"],
        ["list", "--wait", "nan"],
        ["describe", "x", "--timeout", "1e9"],
        ["diff", "a", "b", "--timeout", "soon"],
        ["tail", "x", "-n", "0"],
        ["tail", "x", "-n", "-1"],
        ["bench", "x/y", "--rate", "inf"],
        ["bench", "x/y", "--duration", "inf"],
        ["call", "x/y", "--timeout", "nan"],
        ["call", "x/y", "--timeout", "inf"],
    ],
    ids=" ".join,
)
def test_what_would_never_end_is_refused(run: Command, arguments: list[str]) -> None:
    assert run(*arguments).code == 2
