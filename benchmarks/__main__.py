"""Every contender on the same work, in turns, in one run: `scripts/kafka.py run -- python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.children import Child
from benchmarks.peers import CONTENDERS, missing, servers
from benchmarks.plots import plot
from benchmarks.report import OPEN, Row, ratios, table
from benchmarks.samples import PATIENCE, Sample
from benchmarks.work import WORKS

LIBRARIES = ("aio-pika", "aiokafka", "faststream", "grpcio", "nats-py", "pydantic", "uvloop")

START_UP = 1.0
"""Seconds of calls before the first round: until Java has compiled the broker, calls alone take twice as long."""
WARM_UP = 0.3
"""Seconds of calls before each sample; after that the first half second of one is as fast as later ones."""


class Pair:
    """The server and the client of a contender, for a whole run."""

    def __init__(self, contender: str, environment: dict[str, str], stack: ExitStack) -> None:
        self.contender = contender
        self._server = self._start("server", environment, stack)
        self._client = self._start("client", environment, stack)

    def _start(self, role: str, environment: dict[str, str], stack: ExitStack) -> Child:
        child = Child(self.contender, role, environment)
        stack.callback(child.stop)
        child.wait_ready()
        return child

    def measure(self, number: int, work: str, at_once: int, arguments: argparse.Namespace) -> Row:
        """A sample, after a warm-up."""
        self.sample(work, at_once, WARM_UP, arguments.rate)
        before = self._server.ask("cpu", PATIENCE)
        sample = self.sample(work, at_once, arguments.seconds, arguments.rate)
        cpu = self._server.ask("cpu", PATIENCE) - before
        return Row(round=number, contender=self.contender, work=work, at_once=at_once, server_cpu=cpu, sample=sample)

    def sample(self, work: str, at_once: int, seconds: float, rate: float | None) -> Sample:
        order = {"work": work, "at_once": at_once, "seconds": seconds, "rate": rate}
        found: Sample = self._client.ask(order, seconds + 4 * PATIENCE)
        return found


def measure(arguments: argparse.Namespace, contenders: list[str], environment: dict[str, str]) -> list[Row]:
    """All samples, by rounds; contenders take turns at who begins."""
    rows: list[Row] = []
    with ExitStack() as stack:
        pairs = [Pair(each, environment, stack) for each in contenders]
        say("warming up")
        for work in arguments.works:
            for at_once in (100, 1):
                for pair in pairs:
                    pair.sample(work, at_once, START_UP, arguments.rate)
        for number in range(arguments.rounds):
            turn = number % len(pairs)
            for work in arguments.works:
                say(f"round {number + 1} of {arguments.rounds}: {work}")
                for at_once in arguments.at_once:
                    rows += [
                        pair.measure(number, work, at_once, arguments)
                        for pair in pairs[turn:] + pairs[:turn]
                        if at_once <= CONTENDERS[pair.contender].at_most.get(work, at_once)
                    ]
    return rows


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def remarks(rows: Sequence[Row], arguments: argparse.Namespace, contenders: Sequence[str]) -> list[str]:
    """What the table does not show: who is left out, and what went wrong."""
    said = [
        f"{each} is left out: no {what} here" for each in arguments.contenders if (what := missing(CONTENDERS[each]))
    ]
    for each in contenders:
        for work, most in CONTENDERS[each].at_most.items():
            if work in arguments.works and max(arguments.at_once) > most:
                said.append(f"{each}, {work}: left out over {most:,} at once, its calls would time out")
    for row in rows:
        what = f"{row['contender']}, {row['work']}, {row['at_once']:,} at once, round {row['round'] + 1}"
        if row["sample"]["errors"]:
            said.append(f"{what}: {row['sample']['errors']:,} errors, as {row['sample']['error']}")
        if row["sample"]["late"]:
            said.append(f"{what}: could not keep the rate")
    return said


def machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.processor())
    versions: dict[str, str] = {}
    for each in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[each] = version(each)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(rows: list[Row], arguments: argparse.Namespace, said: list[str]) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    compared = ratios(rows)
    results = {"machine": machine(), "ratios": compared, "remarks": said, "samples": rows}
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
    parts = [f"## {work}\n\n{table(rows, work)}" for work in arguments.works]
    parts += ["\n".join(f"- {name}: {value:.2f}" for name, value in compared.items())] if compared else []
    parts += ["\n".join(f"- {line}" for line in said)] if said else []
    (arguments.out / "table.md").write_text("\n\n".join(parts) + "\n")
    plot(rows, arguments.out)
    print("\n\n".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--at-once", nargs="+", type=int, default=[1, 100, 1000, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of measuring, per sample")
    parser.add_argument("--rate", type=float, help="calls/s of an open loop, in place of workers")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    arguments = parser.parse_args()
    if arguments.rate:
        arguments.at_once = [OPEN]
    contenders = [each for each in arguments.contenders if missing(CONTENDERS[each]) is None]
    with servers(contenders) as environment:
        rows = measure(arguments, contenders, environment)
    write(rows, arguments, remarks(rows, arguments, contenders))


if __name__ == "__main__":
    main()
