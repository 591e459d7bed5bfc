"""python -m fuzz --records 1000000 --seed 1"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from fuzz.fire import fire
from fuzz.report import GROWTH, Report

ON_KAFKA = 20  # one record of so many is thrown at the real Kafka, where there is one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    kafka = os.environ.get("TYPEDRPC_KAFKA")
    on_kafka = given.records // ON_KAFKA if kafka else 0
    wrong = show("in memory", asyncio.run(fire(given.records - on_kafka, given.seed)))
    if on_kafka:
        wrong += show("on Kafka", asyncio.run(fire(on_kafka, given.seed, kafka)))
    else:
        print("TYPEDRPC_KAFKA is not set: nothing was thrown at a real Kafka")
    return 1 if wrong else 0


def show(where: str, report: Report) -> int:
    count = report.thrown.total()
    print(f"\n{where}: {count} records in {report.seconds:.0f} s, {count / report.seconds:.0f} a second")
    print(f"  real calls: {report.real_calls}, the slowest took {report.slowest_call:.2f} s")
    for name in ("thrown", "answered", "counted", "forged", "logged"):
        print(f"  {name}: {dict(getattr(report, name).most_common())}")
    print(f"  objects: {report.objects}, resident MB: {report.resident_mb}")
    if report.growth > GROWTH:
        report.wrong.append(f"memory grew by {report.growth} objects in the last three tenths")
    for text in report.wrong[:20]:
        print(f"  WRONG: {text}")
    print(f"  {len(report.wrong)} things went wrong")
    return len(report.wrong)


if __name__ == "__main__":
    sys.exit(main())
