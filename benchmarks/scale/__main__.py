"""What grows with what, on the Kafka of TYPEDRPC_KAFKA.

`scripts/kafka.py run -- python -m benchmarks.scale [growth|clients|start|memory|idle|bodies|all ...]`
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.plots import plot_curves
from benchmarks.scale.bodies import bodies
from benchmarks.scale.costs import idle, memory, start
from benchmarks.scale.curves import clients, growth
from benchmarks.scale.report import Table

MEASUREMENTS: dict[str, Callable[[], list[Table]]] = {
    "growth": growth,
    "clients": clients,
    "start": start,
    "memory": memory,
    "idle": idle,
    "bodies": bodies,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*MEASUREMENTS, "all"], default="all")
    parser.add_argument("--out", type=Path, help="a folder for plots of the curves")
    arguments = parser.parse_args()
    if not os.environ.get("TYPEDRPC_KAFKA"):
        parser.error("TYPEDRPC_KAFKA is not set; run it by `scripts/kafka.py run --`")
    tables: list[Table] = []
    for name, measurement in MEASUREMENTS.items():
        if name in arguments.what or "all" in arguments.what:
            for table in measurement():
                print(table.markdown(), flush=True)
                tables.append(table)
    if arguments.out is not None:
        plot_curves(tables, arguments.out)


if __name__ == "__main__":
    main()
