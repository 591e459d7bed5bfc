"""The servers of peers, each with a folder and ports of its own, for as long as the benchmarks run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_START, _STOP = 60, 20
"""Seconds that a server may take."""
_RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Debian's script without the wrapper, which changes the user and forgets the environment."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], port: int, log: Path, environment: Mapping[str, str]) -> Generator[None]:
    """A process that listens at `port`; raises RuntimeError with the end of its output if it does not start."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def nats_command() -> str | None:
    """What starts a NATS server; None if there is none here."""
    return shutil.which("nats-server")


@contextmanager
def nats_server() -> Generator[str]:
    """Yields the address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-nats-") as folder:
        command = [nats_command() or "nats-server", "-a", "127.0.0.1", "-p", str(port)]
        with _running(command, port, Path(folder, "log"), os.environ):
            yield f"nats://127.0.0.1:{port}"


def rabbitmq_command() -> str | None:
    """What starts a RabbitMQ server; None if there is none here, or no `epmd`, the port mapper of Erlang."""
    server = _RABBITMQ if os.access(_RABBITMQ, os.X_OK) else shutil.which("rabbitmq-server")
    return server if shutil.which("epmd") else None


@contextmanager
def rabbitmq_server() -> Generator[str]:
    """Yields the address. Without plugins; with an `epmd` of its own, since the shared one would go on running."""
    port, distribution, mapper = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bench-rabbitmq-") as folder:
        plugins = Path(folder, "plugins")
        plugins.write_text("[].\n")
        environment = {
            **os.environ,
            "HOME": folder,  # of the cookie
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_NODENAME": f"bench-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/logs",
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_PID_FILE": f"{folder}/pid",
        }
        with (
            _running(["epmd", "-address", "127.0.0.1"], mapper, Path(folder, "epmd.log"), environment),
            _running([rabbitmq_command() or "rabbitmq-server"], port, Path(folder, "log"), environment),
        ):
            yield f"amqp://guest:guest@127.0.0.1:{port}/"
