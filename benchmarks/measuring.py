"""Samples of all contenders, in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.children import Child
from benchmarks.peers import CONTENDERS, command
from benchmarks.report import Row
from benchmarks.samples import PATIENCE, Sample

START_UP = 1.0
"""Seconds of calls before the first round: until Java has compiled the broker, calls alone take twice as long."""
WARM_UP = 0.3
"""Seconds of calls before each sample; after that the first half second of one is as fast as later ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Samples of `seconds` each; `rate`: calls/s of an open loop, in place of workers."""

    works: Sequence[str]
    at_once: Sequence[int]
    rounds: int
    seconds: float
    rate: float | None = None


class Pair:
    """The server and the client of a contender, for a whole run."""

    def __init__(self, contender: str, environment: Mapping[str, str], stack: ExitStack) -> None:
        self.contender = contender
        self._server = self._start("server", environment, stack)
        self._client = self._start("client", environment, stack)

    def _start(self, role: str, environment: Mapping[str, str], stack: ExitStack) -> Child:
        child = Child(f"the {role} of {self.contender}", command(self.contender, role), environment)
        stack.callback(child.stop)
        child.wait_ready()
        return child

    def measure(self, number: int, work: str, at_once: int, plan: Plan) -> Row:
        """A sample, after a warm-up."""
        self.sample(work, at_once, WARM_UP, plan.rate)
        before = self._server.ask("cpu", PATIENCE)
        sample = self.sample(work, at_once, plan.seconds, plan.rate)
        cpu = self._server.ask("cpu", PATIENCE) - before
        return Row(round=number, contender=self.contender, work=work, at_once=at_once, server_cpu=cpu, sample=sample)

    def sample(self, work: str, at_once: int, seconds: float, rate: float | None) -> Sample:
        order = {"work": work, "at_once": at_once, "seconds": seconds, "rate": rate}
        found: Sample = self._client.ask(order, seconds + 4 * PATIENCE)
        return found


def measure(plan: Plan, contenders: Sequence[str], environment: Mapping[str, str]) -> list[Row]:
    """All samples, by rounds; contenders take turns at who begins."""
    rows: list[Row] = []
    with ExitStack() as stack:
        pairs = [Pair(each, environment, stack) for each in contenders]
        _say("warming up")
        for work in plan.works:
            for pair in pairs:
                if seconds := CONTENDERS[pair.contender].compiles:
                    pair.sample(work, 1000, seconds, plan.rate)
            for at_once in (100, 1):
                for pair in pairs:
                    pair.sample(work, at_once, START_UP, plan.rate)
        for number in range(plan.rounds):
            turn = number % len(pairs)
            for work in plan.works:
                _say(f"round {number + 1} of {plan.rounds}: {work}")
                for at_once in plan.at_once:
                    rows += [
                        pair.measure(number, work, at_once, plan)
                        for pair in pairs[turn:] + pairs[:turn]
                        if at_once <= CONTENDERS[pair.contender].at_most.get(work, at_once)
                    ]
    return rows


def _say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)
