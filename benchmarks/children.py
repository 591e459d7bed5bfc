"""Processes that are measured, each answering line by line of JSON."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

START, STOP = 60, 15
"""Seconds that a process may take to get ready, and to close its clients when its input ends."""


class ChildError(Exception):
    """A process ended, or did not answer in time; says which."""


class Child:
    """A process that is led by lines of JSON; what it says first is that it is ready. All wait raises ChildError."""

    def __init__(self, what: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, env=environment)
        self._what = what
        self._unread = b""

    def wait_ready(self) -> Any:
        """What it said."""
        return self.answer(START)

    def order(self, order: object) -> None:
        """Does not wait for the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            raise ChildError(f"{self._what} ended") from None

    def answer(self, seconds: float) -> Any:
        """Of the order before, within so many seconds."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise ChildError(f"{self._what} did not answer within {seconds:g} s")
            read = self._process.stdout.read(65_536)
            if not read:
                raise ChildError(f"{self._what} ended")
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def ask(self, order: object, seconds: float) -> Any:
        """The answer to an order."""
        self.order(order)
        return self.answer(seconds)

    def dismiss(self) -> None:
        """Ends its input, and so the process soon."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def stop(self) -> None:
        """Ends its input, and kills the process if it does not end then."""
        self.dismiss()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            print(f"{self._what} did not end and is killed", file=sys.stderr)
            self._process.kill()
            self._process.wait()
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
