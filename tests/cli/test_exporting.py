"""`asyncapi`, of a module, of a file and of a server that runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cli_runs import Command

CONTRACT = '''
from typing import Protocol
from faststream.kafka import KafkaBroker
from typedrpc import Rpc, Service, service

class Users(Service, Protocol, service="users"):
    @service.method
    async def get(self, id: int) -> str:
        """Find a user."""
        ...

class Hello(Service, service="hello"):
    @service.method
    async def hello(self) -> str:
        return "hello"

rpc = Rpc(KafkaBroker("nowhere:9092"))
rpc.serve(Hello())
nothing = None
'''


@pytest.fixture
def folder(tmp_path: Path, run: Command) -> Path:
    """Where commands run; it has a module."""
    here = tmp_path / "elsewhere"
    (here / "contracts.py").write_text(CONTRACT)
    return here


def test_contracts_and_rpcs_of_modules_are_described_without_kafka(folder: Path, run: Command) -> None:
    done = run("asyncapi", "contracts:Users", "contracts:rpc")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert sorted(document["operations"]) == ["hello.hello", "users.get"]
    assert document["info"]["title"] == "users, hello"
    assert "servers" not in document


def test_a_module_stands_for_all_contracts_that_it_defines(folder: Path, run: Command) -> None:
    (folder / "server.py").write_text(
        "from contracts import *\nclass UsersServer(Users):\n    @service.method\n"
        "    async def get(self, id: int) -> str: return ''\n"
    )
    assert sorted(json.loads(run("asyncapi", "contracts").out)["operations"]) == ["hello.hello", "users.get"]
    done = run("asyncapi", "server")
    assert (done.code, done.out) == (2, "")
    assert "module 'server' defines no contract; of others it has server:Users, server:Hello, server:rpc" in done.err


def test_a_package_stands_for_the_contracts_of_its_modules(folder: Path, run: Command) -> None:
    (folder / "api").mkdir()
    (folder / "api" / "own.py").write_text(CONTRACT)
    (folder / "api" / "__init__.py").write_text("from .own import Hello, Users\nfrom contracts import Users as Other")
    assert sorted(json.loads(run("asyncapi", "api").out)["operations"]) == ["hello.hello", "users.get"]


def test_a_title_and_a_version_may_be_given(folder: Path, run: Command) -> None:
    info = json.loads(run("asyncapi", "contracts:Users", "--title", "People", "--api-version", "1.2").out)["info"]
    assert (info["title"], info["version"]) == ("People", "1.2")


def test_a_page_is_written_to_a_file(folder: Path, run: Command) -> None:
    done = run("asyncapi", "contracts:Users", "--html", "-o", "users.html")
    assert (done.code, done.out) == (0, ""), done.err
    page = (folder / "users.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "Find a user." in page


def test_the_page_and_the_document_are_served_until_ctrl_c(folder: Path) -> None:
    command = [sys.executable, "-m", "typedrpc", "asyncapi", "contracts:Users", "--serve", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process, killing(process):
        assert process.stderr is not None
        address = process.stderr.readline().partition(" ")[0]
        assert address.startswith("http://127.0.0.1:")
        with urlopen(f"{address}/asyncapi.json", timeout=10) as answer:
            assert list(json.load(answer)["operations"]) == ["users.get"]
        with urlopen(address, timeout=10) as answer:
            assert "Find a user." in answer.read().decode()
        with urlopen(Request(address, method="HEAD"), timeout=10) as answer:
            assert answer.read() == b""
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"{address}/etc/passwd", timeout=10)
        refused.value.close()
        process.send_signal(signal.SIGINT)
        assert (process.wait(20), process.stderr.read()) == (130, "")


@contextmanager
def killing(process: subprocess.Popen[str]) -> Generator[None]:
    try:
        yield
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["users"], "no module 'users' here or on the Python path; a service that runs is written users@running"),
        (["contracts.py"], "'contracts.py' is a file: write 'contracts', as Python imports it"),
        (["./shop/api.py"], "'./shop/api.py' is a file: write 'shop.api', as Python imports it"),
        (["contracts:nothing"], "nothing of this name"),
        (["contracts:KafkaBroker"], "no service"),
        (["absent.json"], "absent.json: No such file"),
        (["other.json"], "no contract document"),
        (["contracts:Users", "contracts:Users"], "two documents of the service 'users'"),
        (["contracts:Users", "--serve", "x:y"], "--serve x:y: give PORT or HOST:PORT"),
        (["contracts:Users", "--serve", "99999"], "--serve 99999: give PORT or HOST:PORT"),
        (["contracts:Users", "-o", "absent/file"], "absent/file: No such file"),
    ],
)
def test_what_cannot_be_described_is_said_in_one_line(
    folder: Path, run: Command, arguments: list[str], said: str
) -> None:
    (folder / "other.json").write_text("{}")
    done = run("asyncapi", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.kafka
def test_a_server_that_runs_is_described_as_its_contract_document_is(
    server: Path, run: Command, kafka: str, name: str, tmp_path: Path
) -> None:
    done = run("asyncapi", f"{name}@running")
    assert done.code == 0, done.err
    running = json.loads(done.out)
    assert running["servers"]["kafka"]["host"] == kafka.partition(",")[0]
    assert f"{name}.echo" in running["operations"]
    (tmp_path / "elsewhere" / "echo.json").write_text(run("describe", name, "--json").out)
    written = json.loads(run("asyncapi", "echo.json").out)
    assert written == {key: value for key, value in running.items() if key != "servers"}
