"""The command line, as processes: `typedrpc run module:rpc`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faststream.kafka import KafkaBroker

from real_kafka import FEW
from typedrpc import Rpc, Service, Unavailable, client, service
from typedrpc.cli.event_loop import run_loop

pytestmark = pytest.mark.timeout(120)

SERVER = """
import asyncio, gc, os
from faststream.kafka import KafkaBroker
from typedrpc import Limits, Rpc, Service, Topics, service

class Work(Service, service=os.environ["NAME"]):
    @service.method
    async def twice(self, number: int) -> int:
        return 2 * number

    @service.method
    async def frozen(self) -> tuple[int, int]:
        return gc.get_freeze_count(), gc.get_threshold()[0]

    @service.method(timeout=60)
    async def sleep(self, seconds: float) -> str:
        print("handler runs", flush=True)
        await asyncio.sleep(seconds)
        print("handler ends", flush=True)
        return "slept"

rpc = Rpc(
    KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None),
    topics=Topics(request_partitions=3),
    limits=Limits(start_timeout=float(os.environ.get("START_TIMEOUT", 10))),
)
rpc.serve(Work())
class Holder:
    rpc = rpc
"""


class Work(Service):
    """What SERVER serves, under a name of the test's own."""

    @service.method
    async def twice(self, number: int) -> int:
        raise NotImplementedError

    @service.method
    async def frozen(self) -> tuple[int, int]:
        raise NotImplementedError

    @service.method(timeout=60)
    async def sleep(self, seconds: float) -> str:
        raise NotImplementedError


class Server:
    """A `typedrpc` process; what it wrote, standard output and error together."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []

    def wait_for(self, text: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if text in line:
                return
        pytest.fail(f"it ended without {text!r}: {''.join(self._lines)}")

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, seconds: float = 60) -> str:
        """All that it wrote, once it has ended with exit code 0 and without complaints."""
        rest, _ = self._process.communicate(timeout=seconds)
        output = "".join(self._lines) + rest
        assert self._process.returncode == 0, output
        for word in ("Traceback", "Warning", "Unclosed", "never retrieved", "destroyed"):
            assert word not in output, output
        return output


@contextmanager
def typedrpc(*arguments: str, folder: Path, **environment: str) -> Generator[Server]:
    command = [sys.executable, "-W", "error", "-m", "typedrpc", *arguments]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and output of a command that should end by itself."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "typedrpc", *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


@pytest.fixture
def name(unique: Callable[[str], str]) -> str:
    return unique("work")


def work_client(name: str) -> Work:
    class Named(Work, service=name):
        pass

    return client(Named)


@pytest.fixture
def rpc(broker: KafkaBroker) -> Rpc:
    """The caller's."""
    return Rpc(broker, topics=FEW)


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("target", ["server:rpc", "server:Holder.rpc"])
async def test_run_serves_until_a_signal_and_ends_cleanly(
    rpc: Rpc, folder: Path, name: str, number: int, target: str
) -> None:
    with typedrpc("run", target, folder=folder, NAME=name) as server:
        server.wait_for(f"serving {name}")
        async with rpc:
            assert await work_client(name).twice(21) == 42
        server.send(number)
        assert "stopped" in server.end(15)


@pytest.mark.kafka
async def test_a_server_collects_garbage_less_often_and_leaves_out_what_was_imported(
    rpc: Rpc, folder: Path, name: str
) -> None:
    with typedrpc("run", "server:rpc", folder=folder, NAME=name) as server:
        server.wait_for("serving")
        async with rpc:
            frozen, threshold = await work_client(name).frozen()
            assert frozen > 10_000
            assert threshold == 5000
        server.send(signal.SIGTERM)
        server.end()


@pytest.mark.kafka
async def test_a_handler_that_runs_at_the_first_signal_finishes_and_answers(rpc: Rpc, folder: Path, name: str) -> None:
    with typedrpc("run", "server:rpc", folder=folder, NAME=name) as server:
        server.wait_for("serving")
        async with rpc:
            call = start(work_client(name).sleep(3))
            await in_thread(server.wait_for, "handler runs")
            server.send(signal.SIGTERM)
            assert await call == "slept"
        assert "handler ends" in server.end()


@pytest.mark.kafka
@pytest.mark.parametrize("pause", [0.5, 2.5])
async def test_a_second_signal_does_not_wait_for_handlers(rpc: Rpc, folder: Path, name: str, pause: float) -> None:
    with typedrpc("run", "server:rpc", folder=folder, NAME=name) as server:
        server.wait_for("serving")
        async with rpc:
            call = start(work_client(name).sleep(50))
            await in_thread(server.wait_for, "handler runs")
            server.send(signal.SIGINT)
            await asyncio.sleep(pause)
            server.send(signal.SIGINT)
            output = await in_thread(server.end, 20)
            with pytest.raises(Unavailable):
                await call
        assert "handler ends" not in output


def test_a_signal_while_it_starts_ends_it_cleanly(folder: Path) -> None:
    with (
        listening() as (address, connected),
        typedrpc("run", "server:rpc", folder=folder, NAME="w", TYPEDRPC_KAFKA=address) as server,
    ):
        connected.wait(20)
        server.send(signal.SIGTERM)
        server.end(20)


# What is wrong is one line, and the exit code is 1; 2 where the command itself is used wrongly.


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("server", "write MODULE:RPC"),
        ("server:", "write MODULE:RPC"),
        (":rpc", "write MODULE:RPC"),
        ("nowhere:rpc", "there is no module 'nowhere'"),
        ("server.nowhere:rpc", "server.nowhere"),
        ("package.nowhere:rpc", "there is no module 'package.nowhere'"),
        ("imports_nothing_there:rpc", "No module named 'not_there_at_all'"),
        ("serverless:rpc", "No module named 'serv'"),
        ("raises:rpc", "ZeroDivisionError"),
        ("no_python:rpc", "SyntaxError"),
        ("server:nothing", "it has rpc"),
        ("server:rpc.nothing", "it has rpc"),
        ("server:Work", "no Rpc"),
        ("empty:rpc", "it has none at all"),
    ],
)
def test_a_wrong_target_is_one_clear_line(folder: Path, target: str, says: str) -> None:
    (folder / "imports_nothing_there.py").write_text("import not_there_at_all")
    (folder / "serverless.py").write_text("import serv")
    (folder / "raises.py").write_text("\n1 / 0")
    (folder / "no_python.py").write_text("def")
    (folder / "empty.py").touch()
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    code, output = run("run", target, folder=folder, NAME="work", TYPEDRPC_KAFKA="127.0.0.1:1")
    assert code == 2, output
    assert output.startswith("typedrpc: ")
    assert output.count("\n") == 1, output
    assert says in output


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n1 / 0", 2),
        ("def", 1),
        ("import sys\n\nsys.exit(0)", 3),
        ("import json\n\njson.loads('{')", 3),
        ("from typedrpc import Service\n\nclass Odd(Service, service='one/two'):\n    pass", 3),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line_of_ones_own(
    folder: Path, text: str, line: int
) -> None:
    (folder / "raises.py").write_text(text)
    _, output = run("run", "raises:rpc", folder=folder)
    assert output.endswith(f"{folder / 'raises.py'}:{line})\n"), output


async def test_what_a_handler_raises_has_no_other_cause_where_uvloop_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None: ...

    monkeypatch.setattr("importlib.util.find_spec", absent)

    async def fail() -> None:
        raise KeyError("99")

    with pytest.raises(KeyError) as caught:
        await asyncio.to_thread(lambda: run_loop(fail()))
    assert caught.value.__context__ is None


def test_an_unreachable_broker_is_one_clear_line_that_names_it(folder: Path) -> None:
    started = time.monotonic()
    code, output = run("run", "server:rpc", folder=folder, NAME="work", TYPEDRPC_KAFKA="127.0.0.1:1")
    assert time.monotonic() - started < 20
    assert code == 1, output
    assert output.startswith("typedrpc: ")
    assert "127.0.0.1:1" in output
    assert output.count("\n") == 1, output


def test_a_broker_that_says_nothing_is_one_clear_line_that_names_it(folder: Path) -> None:
    with listening() as (address, _):
        variables = {"NAME": "work", "TYPEDRPC_KAFKA": address, "START_TIMEOUT": "2"}
        code, output = run("run", "server:rpc", folder=folder, **variables)
    assert code == 1, output
    assert address in output
    assert output.count("\n") == 1, output


@pytest.mark.parametrize("arguments", [["run"], ["walk"], ["run", "a:b", "c:d"], ["run", "a:b", "--fast"]])
def test_wrong_usage_is_exit_code_2(folder: Path, arguments: list[str]) -> None:
    code, output = run(*arguments, folder=folder)
    assert code == 2
    assert "Traceback" not in output


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_says_what_it_does(folder: Path, arguments: list[str]) -> None:
    code, output = run(*arguments, folder=folder)
    assert code == 0
    assert "Serve an Rpc until SIGTERM" in output


@contextmanager
def listening() -> Generator[tuple[str, threading.Event]]:
    """The address of something that accepts connections and says nothing, and when it had the first one."""
    connected = threading.Event()
    accepted: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                accepted.append(server.accept()[0])
            except OSError:  # it was closed
                return
            connected.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", connected
        server.shutdown(socket.SHUT_RDWR)
    accepting.join()
    for connection in accepted:
        connection.close()


async def in_thread(fn: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, fn, *args)


def start(call: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
    return asyncio.create_task(call)
