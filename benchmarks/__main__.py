"""Every contender on the same work, in turns, in one run: `scripts/kafka.py run -- python -m benchmarks`."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.report import Row, ratios, table
from benchmarks.work import WORKS

CONTENDERS = {"typed": "typedrpc", "raw_send": "aiokafka", "nats_py": "nats", "grpc_aio": "grpc_tools"}
"""The modules of contenders, and the library that each needs."""
LIBRARIES = ("aiokafka", "faststream", "grpcio", "nats-py", "pydantic", "uvloop")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def nats_server() -> Generator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-P", f"{folder}/pid", "-l", f"{folder}/log"]
        process = subprocess.Popen(command)
        try:
            deadline = time.monotonic() + 15
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


class Process:
    """A server or client of a contender, that answers lines by lines."""

    def __init__(self, contender: str, role: str, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.process", contender, role]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self._what = f"{contender} {role}"

    def wait_ready(self) -> None:
        assert self._read() == "ready", self._what

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._what} ended")
        return json.loads(line)

    def ask(self, order: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(arguments: argparse.Namespace, contenders: list[str], environment: dict[str, str]) -> list[Row]:
    rows: list[Row] = []
    with ExitStack() as stack:
        pairs: dict[str, tuple[Process, Process]] = {}
        for each in contenders:
            sides: list[Process] = []
            for role in ("server", "client"):
                sides.append(Process(each, role, environment))
                stack.callback(sides[-1].stop)
                sides[-1].wait_ready()
            pairs[each] = (sides[0], sides[1])
        for number in range(arguments.rounds):
            turn = number % len(contenders)
            for work in arguments.works:
                for at_once in arguments.at_once:
                    for each in contenders[turn:] + contenders[:turn]:
                        server, client = pairs[each]
                        order = {"work": work, "at_once": at_once, "seconds": arguments.seconds, "rate": arguments.rate}
                        client.ask({**order, "warm": True})
                        before = server.ask("cpu")
                        sample = client.ask({**order, "warm": False})
                        cpu = server.ask("cpu") - before
                        rows.append(
                            Row(round=number, contender=each, work=work, at_once=at_once, server_cpu=cpu, sample=sample)
                        )
    return rows


def installed(contenders: list[str]) -> list[str]:
    """Those whose library and server are there; a line tells of each other."""
    found: list[str] = []
    for each in contenders:
        if importlib.util.find_spec(CONTENDERS[each]) is None:
            print(f"{each} is left out: {CONTENDERS[each]} is not installed")
        elif each == "nats_py" and shutil.which("nats-server") is None:
            print(f"{each} is left out: nats-server is not installed")
        else:
            found.append(each)
    return found


def machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.processor())
    versions = {each: version(each) for each in LIBRARIES if importlib.util.find_spec("uvloop")}
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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
    contenders = installed(arguments.contenders)
    environment = {**os.environ, "BENCH_NAME": f"bench-{uuid4().hex[:8]}", "BENCH_GRPC": f"127.0.0.1:{free_port()}"}
    with ExitStack() as stack:
        if "nats_py" in contenders:
            environment["BENCH_NATS"] = stack.enter_context(nats_server())
        rows = measure(arguments, contenders, environment)
    for row in rows:
        if row["sample"]["errors"] or row["sample"]["late"]:
            kept = "could not keep the rate; " if row["sample"]["late"] else ""
            print(f"{row['contender']}, {row['work']}, {row['at_once']}: {kept}{row['sample']['errors']} errors")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps({"machine": machine(), "samples": rows}, indent=1))
    tables = "\n\n".join(f"## {work}\n\n{table(rows, work)}" for work in arguments.works)
    (arguments.out / "table.md").write_text(tables + "\n")
    print(table(rows, arguments.works[0]))
    for name, value in ratios(rows).items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
