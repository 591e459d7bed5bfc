"""A server that the commands never saw, in a process of its own, and a way to run them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_runs import Command, Run

SERVER = '''
import os
from typing import Literal, Protocol
from faststream.kafka import KafkaBroker
from pydantic import BaseModel, Field
from typedrpc import Call, NotFound, Rpc, RpcError, Service, Status, service

class Message(BaseModel):
    """What is said."""
    text: str
    loud: bool = Field(False, description="shouted")

class TooLoud(RpcError, code=Status.FAILED_PRECONDITION):
    """Not in here."""
    decibels: int

class Echo(Service, Protocol, service=os.environ["NAME"]):
    """Says it [bold]again[/]."""

    @service.method(raises=[TooLoud], timeout=5)
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        """Answer with the message."""
        ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...

    @service.method
    async def who(self) -> dict[str, str]:
        """Names the caller.\\x1b[2J\\u202e"""
        ...

    @service.method(topic=os.environ["NAME"] + "-plain", dialect="faststream")
    async def plain(self, line: str) -> str: ...

class EchoServer(Echo):
    @service.method
    async def echo(self, msg: Message, *, mode: Literal["plain", "shout"] = "plain") -> Message:
        if mode == "shout":
            raise TooLoud("too loud", decibels=120)
        if "\\x1b" in msg.text:
            raise NotFound(msg.text)
        return msg

    @service.method(oneway=True)
    async def log(self, line: str) -> None:
        print("logged", line, flush=True)

    @service.method
    async def who(self, ctx: Call) -> dict[str, str]:
        return dict(ctx.metadata)

    @service.method
    async def plain(self, line: str) -> str:
        return line.upper()

rpc = Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None))
rpc.serve(EchoServer())
'''


@pytest.fixture
def name(unique: Callable[[str], str]) -> str:
    return unique("echo")


@pytest.fixture
def server(kafka: str, name: str, tmp_path: Path) -> Iterator[Path]:
    """Runs; where it writes its log."""
    (tmp_path / "unseen.py").write_text(SERVER)
    log = tmp_path / "server.log"
    command = [sys.executable, "-m", "typedrpc", "run", "unseen:rpc"]
    with log.open("w") as out:
        environment = {**os.environ, "NAME": name, "TYPEDRPC_KAFKA": kafka}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 40
        while "serving" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield log
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def run(tmp_path: Path) -> Command:
    """Runs `typedrpc` in a folder that has none of the server's code."""
    folder = tmp_path / "elsewhere"
    folder.mkdir(exist_ok=True)

    def typedrpc(*arguments: str, stdin: str = "", **environment: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "typedrpc", *arguments],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    return typedrpc
