"""What the tests of the command line share."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Run(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Command(Protocol):
    """Runs `typedrpc` with these arguments, and these variables in its environment."""

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Run: ...
