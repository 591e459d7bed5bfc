"""`python -m chaos`: see `--help`. The status is 1 where a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from chaos.checker import Verdict
from chaos.run import Run
from chaos.schedule import Fault, Kind, schedule
from chaos.soak import Memory
from real_kafka import kafka_script

_GROWTH = 0.05


async def run(
    *,
    seed: int,
    calls: int,
    rate: float,
    at_once: int,
    kinds: Sequence[Kind],
    folder: Path,
    nodes: int = 3,
    every: float = 9.0,
    memory: Memory | None = None,
) -> tuple[Verdict, list[tuple[Fault, float | None]]]:
    """The verdict on so many calls of two clients to two servers, and how long each fault was felt."""
    with kafka_script().Cluster(nodes) as cluster:
        chaos = Run(cluster, folder, seed, rate=rate / 2, at_once=at_once // 2)
        faults = schedule(seed, calls / rate if rate else 0, kinds, every=every)
        try:
            await chaos.start(servers=2, clients=2)
            began = time.monotonic()
            await chaos.let_befall(faults, calls, memory)
            print(f"{calls} calls in {time.monotonic() - began:.0f} s", flush=True)
            await chaos.stop()
        finally:
            await chaos.kill()
        return chaos.verdict(), chaos.recoveries()


def main() -> int:
    options = _options()
    kinds = list(Kind) if options.faults == "all" else [Kind(k) for k in options.faults.split(",") if k != "none"]
    folder = Path(options.folder or tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(exist_ok=True)
    print(f"seed {options.seed}, journals in {folder}")
    memory = Memory()
    calls = int(options.rate * options.minutes * 60) if options.minutes else options.calls
    verdict, felt = asyncio.run(
        run(
            seed=options.seed,
            calls=calls,
            rate=options.rate,
            at_once=options.at_once,
            kinds=kinds,
            folder=folder,
            nodes=options.nodes,
            memory=memory,
        )
    )
    report(verdict, felt)
    grown = memory.growth() if options.minutes else {}
    for name, (mib, growth) in grown.items():
        print(f"{name}: {mib:.0f} MiB, {growth:+.1%} over the last 80%")
    return int(not verdict.good or any(growth >= _GROWTH for _, growth in grown.values()))


def report(verdict: Verdict, felt: Sequence[tuple[Fault, float | None]]) -> None:
    for fault, seconds in felt:
        print(f"  {fault.kind:22} {'no call failed' if seconds is None else f'calls failed for {seconds:.1f} s'}")
    print(f"{verdict.calls} calls: {', '.join(f'{n} {how}' for how, n in verdict.outcomes.most_common())}")
    print(f"{verdict.cut_off} cut off by the death of their client, {verdict.repeated} runs repeated")
    print(f"the latest {verdict.latest:.2f} s after its deadline; clients stalled for {verdict.stalled:.1f} s")
    for what, calls in verdict.violations.items():
        print(f"BROKEN: {what}: {len(calls)}, such as {', '.join(calls[:5])}")
    print("every promise held" if verdict.good else "PROMISES WERE BROKEN")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=sys.modules["chaos"].__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=300, help="calls a second; 0: as fast as they are answered")
    parser.add_argument("--at-once", type=int, default=1000, help="with --rate 0")
    parser.add_argument("--faults", default="all", help=f"all, none, or some of {','.join(Kind)}")
    parser.add_argument("--minutes", type=float, default=0, help="instead of --calls; memory may not grow")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--folder", help="for the journals")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
