"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Run(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Command(Protocol):
    """Runs `typedrpc` with these arguments, and these variables in its environment."""

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Run: ...


def patiently(ask: Callable[[], T], good: Callable[[T], object]) -> T:
    """The first good answer, else the last of five: servers have a second, and a busy machine can take that away."""
    for _ in range(4):
        answer = ask()
        if good(answer):
            return answer
    return ask()
