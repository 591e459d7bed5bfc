"""`diff`, of modules, of files and of a server that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_runs import Command

CONTRACT = """
from typing import Protocol
from typedrpc import Service, service

class Users(Service, Protocol, service="users"):
    @service.method
    async def get(self, id: int) -> str: ...
"""
MORE = CONTRACT + "    @service.method\n    async def put(self, id: int, name: str) -> None: ...\n"
OTHER = CONTRACT.replace("Users", "Prices").replace("users", "prices")


@pytest.fixture
def folder(tmp_path: Path, run: Command) -> Path:
    """Where commands run; it has modules."""
    here = tmp_path / "elsewhere"
    for name, text in (("less", CONTRACT), ("more", MORE), ("two", CONTRACT + OTHER)):
        (here / f"{name}.py").write_text(text)
    return here


def test_what_a_module_prints_is_no_part_of_the_output(folder: Path, run: Command) -> None:
    (folder / "loud.py").write_text(f"print('loading')\n{CONTRACT}")
    done = run("diff", "less", "loud", "--json")
    assert (done.code, json.loads(done.out), done.err) == (0, [], "loading\n")


def test_changes_are_listed_with_whom_they_break(folder: Path, run: Command) -> None:
    done = run("diff", "less:Users", "more:Users")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "WIRE     SOURCE   CHANGE",
        "servers  servers  METHOD_ADDED users/put: added",
        "1 change: 1 breaks servers on the wire; roll out servers before callers",
    ]
    assert run("diff", "less", "less") == (0, "no changes\n", "")


@pytest.mark.parametrize(
    ("old", "new", "arguments", "code"),
    [
        ("less", "more", [], 0),
        ("more", "less", [], 1),
        ("less", "more", ["--fail-on", "wire-servers"], 1),
        ("less", "more", ["--fail-on", "source-callers"], 0),
        ("less", "more", ["--fail-on", "source-callers", "--fail-on", "source-servers"], 1),
        ("more", "less", ["--fail-on", "wire-servers"], 0),
        ("less", "more", ["--fail-on", "any"], 1),
        ("less", "less", ["--fail-on", "any"], 0),
        ("less", "more", ["--fail-on", "callers"], 2),
    ],
)
def test_the_exit_code_says_whether_there_is_a_change_of_a_kind(
    folder: Path, run: Command, old: str, new: str, arguments: list[str], code: int
) -> None:
    assert run("diff", old, new, *arguments).code == code


def test_json_is_for_machines(folder: Path, run: Command) -> None:
    done = run("diff", "more", "less", "--json")
    assert (done.code, json.loads(done.out)) == (
        1,
        [
            {
                "rule": "METHOD_REMOVED",
                "where": "users/put",
                "text": "gone",
                "breaks": ["wire-callers", "source-callers", "source-servers"],
            }
        ],
    )
    assert run("diff", "less", "less", "--json").out == "[]\n"


def test_several_services_are_paired_by_name(folder: Path, run: Command) -> None:
    done = run("diff", "less", "two", "--json")
    assert [(each["rule"], each["where"]) for each in json.loads(done.out)] == [("SERVICE_ADDED", "prices")]


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("absent.json", "absent.json: No such file"),
        ("other.json", "no contract document"),
        ("users", "no module 'users' here or on the Python path; a service that runs is written users@running"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line_and_is_2(folder: Path, run: Command, old: str, said: str) -> None:
    (folder / "other.json").write_text("{}")
    done = run("diff", old, "less")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


@pytest.mark.kafka
def test_a_server_that_runs_is_compared_with_a_file(server: Path, run: Command, name: str, tmp_path: Path) -> None:
    document = json.loads(run("describe", name, "--json").out)
    document["methods"] = [method for method in document["methods"] if method["name"] != "who"]
    (tmp_path / "elsewhere" / "echo.json").write_text(json.dumps(document))
    assert run("diff", f"{name}@running", f"{name}@running").out == "no changes\n"
    done = run("diff", f"{name}@running", "echo.json")
    assert (done.code, done.out.splitlines()[1]) == (1, f"callers  both     METHOD_REMOVED {name}/who: gone")


@pytest.mark.kafka
def test_a_service_that_nobody_serves_is_no_comparison(kafka: str, run: Command, name: str, folder: Path) -> None:
    assert run("diff", f"{name}@running", "less", "--timeout", "1").code == 64 + 4
