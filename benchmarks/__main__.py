"""Every contender on the same work, in turns, in one run: `scripts/kafka.py run -- python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measuring import Plan, measure
from benchmarks.peers import CONTENDERS, missing, servers
from benchmarks.plots import plot
from benchmarks.report import OPEN, Row, ratios, table
from benchmarks.work import WORKS

LIBRARIES = ("aio-pika", "aiokafka", "faststream", "grpcio", "nats-py", "pydantic", "uvloop")


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
    plan = Plan(
        works=arguments.works,
        at_once=arguments.at_once,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        rate=arguments.rate,
    )
    with servers(contenders) as environment:
        rows = measure(plan, contenders, environment)
    write(rows, arguments, remarks(rows, arguments, contenders))


if __name__ == "__main__":
    main()
