"""Echo of a small model by typedrpc and by raw aiokafka, in turns, in one run.

`scripts/kafka.py run -- python -m benchmarks.echo`: only figures of one run may be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from statistics import median
from uuid import uuid4

from faststream.kafka import KafkaBroker

from benchmarks.load import Result
from typedrpc import Topics
from typedrpc.transport.kafka import KafkaTransport, connection_of

CONTENDERS = {"raw aiokafka send": "benchmarks.raw", "typedrpc": "benchmarks.typed"}


async def make_topics(names: list[str]) -> None:
    connection = connection_of(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=20, instance_id=None)
    topics = Topics()
    await transport.ensure_topics([*map(topics.request_topic, names), topics.reply_topic()], create=True)
    await transport.stop()


@contextmanager
def server(module: str, name: str) -> Generator[None]:
    process = subprocess.Popen([sys.executable, "-m", module, "server", name], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", f"{module} did not start"
        yield
    finally:
        process.kill()
        process.wait()


def run_client(module: str, name: str, arguments: argparse.Namespace) -> Result:
    command = [sys.executable, "-m", module, "client", name]
    command += [str(arguments.alone), str(arguments.calls), arguments.at_once]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout
    read = json.loads(out.splitlines()[-1])
    for field in ("calls_per_second", "cpu_per_call"):
        read[field] = {int(n): value for n, value in read[field].items()}
    return Result(**read)


def run(arguments: argparse.Namespace) -> dict[str, list[Result]]:
    names = {contender: f"bench-{uuid4().hex[:8]}" for contender in CONTENDERS}
    asyncio.run(make_topics(list(names.values())))
    results: dict[str, list[Result]] = {contender: [] for contender in CONTENDERS}
    with ExitStack() as stack:
        for contender, module in CONTENDERS.items():
            stack.enter_context(server(module, names[contender]))
        for _ in range(arguments.rounds):
            for contender, module in CONTENDERS.items():
                results[contender].append(run_client(module, names[contender], arguments))
    return results


def table(results: dict[str, list[Result]], at_once: list[int]) -> str:
    """Medians of the rounds, as Markdown."""
    heads = ["", "p50 alone, ms", "p99 alone, ms", *(f"calls/s, {n:,} at once" for n in at_once)]
    rows = [heads, ["---"] * len(heads)]
    for contender, rounds in results.items():
        speeds = [f"{median(r.calls_per_second[n] for r in rounds):,.0f}" for n in at_once]
        alone = [f"{median(r.p50_alone for r in rounds):.2f}", f"{median(r.p99_alone for r in rounds):.2f}"]
        rows.append([contender, *alone, *speeds])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def ratio(results: dict[str, list[Result]], at_once: int) -> float:
    """typedrpc's calls/s by raw aiokafka's: the median of the rounds, each compared within itself."""
    pairs = zip(results["typedrpc"], results["raw aiokafka send"], strict=True)
    return median(ours.calls_per_second[at_once] / raw.calls_per_second[at_once] for ours, raw in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--alone", type=int, default=500)
    parser.add_argument("--at-once", default="100,1000,5000")
    parser.add_argument("--json", action="store_true", help="the ratio at 1,000 at once only, for the tests")
    arguments = parser.parse_args()
    results = run(arguments)
    at_once = [int(n) for n in arguments.at_once.split(",")]
    if arguments.json:
        print(json.dumps({n: ratio(results, n) for n in at_once}))
        return
    print(table(results, at_once))
    for n in at_once:
        print(f"typedrpc / raw at {n:,} at once: {ratio(results, n):.2f}")
    ours, raw = results["typedrpc"], results["raw aiokafka send"]
    print(f"p50 alone, typedrpc / raw: {median(r.p50_alone for r in ours) / median(r.p50_alone for r in raw):.2f}")


if __name__ == "__main__":
    main()
