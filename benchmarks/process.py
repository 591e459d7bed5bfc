"""One process of a contender, led by lines of JSON on stdin: `python -m benchmarks.process CONTENDER server|client`."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import Any

import uvloop

from benchmarks.samples import take

WARM = 0.3
"""Seconds of warming before every sample."""


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


async def _orders() -> Any:
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


async def server(contender: Any) -> None:
    async with contender.serve():
        _say("ready")
        while await _orders() is not None:
            _say(time.process_time())


async def client(contender: Any) -> None:
    async with contender.calls() as calls:
        _say("ready")
        while (order := await _orders()) is not None:
            call = calls[order["work"]]
            if order["warm"]:
                await take(call, order["at_once"], WARM, None)
                _say("warm")
            else:
                _say(await take(call, order["at_once"], order["seconds"], order["rate"]))


if __name__ == "__main__":
    module = importlib.import_module(f"benchmarks.contenders.{sys.argv[1]}")
    uvloop.run({"server": server, "client": client}[sys.argv[2]](module))
