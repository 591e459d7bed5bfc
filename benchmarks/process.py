"""One process of a contender, led by lines of JSON on stdin: `python -m benchmarks.process CONTENDER server|client`.

As under `typedrpc run`, garbage is collected less, for every contender alike: what is there after set-up is left out,
for full collections would take a tenth of a busy process' time, and young ones are rarer.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from typing import Any

import uvloop

from benchmarks.samples import take


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


def _ready() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000)
    _say("ready")


async def _orders() -> Any:
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


async def server(contender: Any) -> None:
    async with contender.serve():
        _ready()
        while await _orders() is not None:
            _say(time.process_time())


async def client(contender: Any) -> None:
    async with contender.calls() as calls:
        _ready()
        while (order := await _orders()) is not None:
            _say(await take(calls[order["work"]], order["at_once"], order["seconds"], order["rate"]))


if __name__ == "__main__":
    module = importlib.import_module(f"benchmarks.contenders.{sys.argv[1]}")
    uvloop.run({"server": server, "client": client}[sys.argv[2]](module))
