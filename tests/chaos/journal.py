"""What happened, written line by line so that it survives a kill -9, by clients and by handlers.

Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class Journal:
    """Appends lines, each by one write of its own."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *fields: str) -> None:
        os.write(self._file, "\t".join((f"{time.monotonic():.4f}", *fields, "\n")).encode())

    # Of a client

    def begin(self, call: str, method: str, timeout: float) -> None:
        self.write("begin", call, method, f"{timeout:g}")

    def end(self, call: str, outcome: str) -> None:
        """`outcome` is OK, WRONG, CANCELLED, the status of an RpcError, or the name of another exception."""
        self.write("end", call, outcome)

    # Of a server

    def start(self, call: str, method: str) -> None:
        self.write("start", call, method)

    # Of both

    def stall(self, seconds: float) -> None:
        """The event loop did not turn for so long, until now."""
        self.write("stall", f"{seconds:.3f}")

    def bye(self) -> None:
        """The process ended by itself, with all that it had begun."""
        self.write("bye")


@dataclass(slots=True)
class Call:
    """One call as its client saw it."""

    id: str
    method: str
    begun: float
    timeout: float
    ends: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])


@dataclass
class Client:
    """A client's journal, read."""

    calls: dict[str, Call] = field(default_factory=dict[str, Call])
    stalls: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a handler."""

    call: str
    method: str
    at: float


def lines(path: Path) -> Iterator[Sequence[str]]:
    """All whole lines: of a process that was killed, the last may be cut off."""
    with path.open() as file:
        for line in file:
            if line.endswith("\t\n"):
                yield line[:-2].split("\t")


def read_client(path: Path) -> Client:
    client = Client()
    for at, what, *rest in lines(path):
        if what == "begin":
            client.calls[rest[0]] = Call(rest[0], rest[1], float(at), float(rest[2]))
        elif what == "end":
            client.calls[rest[0]].ends.append((float(at), rest[1]))
        elif what == "stall":
            client.stalls.append((float(at) - float(rest[0]), float(at)))
        elif what == "bye":
            client.ended = True
    return client


def read_runs(path: Path) -> Iterator[Run]:
    for at, what, *rest in lines(path):
        if what == "start":
            yield Run(rest[0], rest[1], float(at))
