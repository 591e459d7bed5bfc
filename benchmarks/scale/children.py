"""Servers and clients of typedrpc for a measurement: `benchmarks.scale.process` each."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

from benchmarks.children import Child

_PATIENCE = 240.0  # seconds for any one answer


class Process:
    """`started` is what it said when it was ready; `spawned` is how many seconds that took from its start."""

    def __init__(self, role: str, services: Sequence[str], stack: ExitStack, **settings: Any) -> None:
        command = [sys.executable, "-m", "benchmarks.scale.process", role]
        command.append(json.dumps({"services": list(services), **settings}))
        self._began = time.perf_counter()
        self._child = Child(f"a {role}", command)
        stack.callback(self._child.stop)
        self.started: dict[str, Any] = {}
        self.spawned = 0.0
        self.dismiss = self._child.dismiss

    def wait_ready(self) -> None:
        self.started = self._child.wait_ready()
        self.spawned = time.perf_counter() - self._began

    def order(self, do: str, **words: Any) -> None:
        self._child.order({"do": do, **words})

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = self._child.answer(_PATIENCE)
        return found

    def ask(self, do: str, **words: Any) -> dict[str, Any]:
        self.order(do, **words)
        return self.answer()


@contextmanager
def processes(role: str, services: Sequence[str], number: int = 1, **settings: Any) -> Generator[list[Process]]:
    """So many alike, started together and all ready."""
    with ExitStack() as stack:
        found = [Process(role, services, stack, **settings) for _ in range(number)]
        for process in found:
            process.wait_ready()
        yield found
        for process in found:
            process.dismiss()  # all at once; the stack waits for each


def ask_all(found: Sequence[Process], do: str, **words: Any) -> list[dict[str, Any]]:
    """All at the same time."""
    for process in found:
        process.order(do, **words)
    return [process.answer() for process in found]


def fresh(name: str) -> str:
    """A name that no earlier run left anything on."""
    return f"{name}-{uuid4().hex[:8]}"
