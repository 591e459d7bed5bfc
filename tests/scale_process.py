"""One process of the scale tests: `python scale_process.py ROLE SERVICE ...`, with TYPEDRPC_KAFKA set."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from array import array
from pathlib import Path
from typing import Protocol

from faststream.kafka import KafkaBroker

from typedrpc import Rpc, Service, client, service
from typedrpc.cli.running import serve

ROLE, NAME = sys.argv[1], sys.argv[2]


class Numbers(Service, Protocol, service=NAME):
    @service.method
    async def twice(self, number: int) -> int: ...


class NumbersServer(Numbers):
    def __init__(self) -> None:
        self.seen = array("L")

    @service.method
    async def twice(self, number: int) -> int:
        self.seen.append(number)
        return 2 * number


NumbersClient = client(Numbers)


def make_rpc() -> Rpc:
    return Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None), timeout=60)


async def run_server(log: str) -> None:
    numbers = NumbersServer()
    rpc = make_rpc()
    rpc.serve(numbers)
    await serve(rpc)
    Path(log).write_bytes(numbers.seen.tobytes())  # noqa: ASYNC240  # the loop has ended its work


async def run_client(first: int, count: int, at_once: int) -> None:
    """Prints how many replies were someone else's, and how long it took."""
    wrong = 0
    async with make_rpc():
        numbers = iter(range(first, first + count))

        async def worker() -> None:
            nonlocal wrong
            for number in numbers:
                wrong += await NumbersClient.twice(number) != 2 * number

        started = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        print(json.dumps({"wrong": wrong, "seconds": time.monotonic() - started}), flush=True)


async def run_fresh() -> None:
    """Prints how long the first call took, made right after the start."""
    async with make_rpc():
        started = time.monotonic()
        assert await NumbersClient.twice.with_options(timeout=10)(21) == 42
        print(json.dumps({"seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    if ROLE == "server":
        asyncio.run(run_server(sys.argv[3]))
    elif ROLE == "client":
        asyncio.run(run_client(*map(int, sys.argv[3:6])))
    else:
        asyncio.run(run_fresh())
