"""One server or client of a measurement, led by lines of JSON: `python -m benchmarks.scale.process ROLE SETTINGS`.

Each order gets one line in answer. CPU is in seconds, memory and traffic in bytes.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvloop
from faststream.kafka import KafkaBroker

from benchmarks.memory import memory
from benchmarks.scale.work import Load, Work, named
from typedrpc import Limits, Rpc, Topics

_BYTES_RECEIVED = slice(128, 136)  # tcpi_bytes_received in Linux' struct tcp_info


def received() -> int:
    """Over all TCP connections that are open now: what Kafka really sent, headers and foreign replies too."""
    total = 0
    for name in os.listdir("/proc/self/fd"):
        if not os.path.realpath(f"/proc/self/fd/{name}").rpartition("/")[2].startswith("socket:"):
            continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            total += int.from_bytes(info[_BYTES_RECEIVED], sys.byteorder)
    return total


def look(rpc: Rpc) -> dict[str, float]:
    calls = rpc._calls  # pyright: ignore[reportPrivateUsage]  # nothing public counts what other processes were sent
    foreign = calls.dispatcher.foreign if calls is not None else 0
    return {"cpu": time.process_time(), "rss": memory("VmRSS"), "received": received(), "foreign": foreign}


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


async def _obey(rpc: Rpc, do: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
    """Until standard input ends, as it does when the measurement is over or dead."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        match order["do"]:
            case "look":
                _say(look(rpc))
            case "tidy":  # so that what is left is what is held
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)
                _say(look(rpc))
            case _:
                _say(await do(order))


def _rpc(settings: dict[str, Any]) -> Rpc:
    topics, limits = Topics(**settings.get("topics", {})), Limits(**settings.get("limits", {}))
    return Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None), timeout=60, topics=topics, limits=limits)


async def server(settings: dict[str, Any]) -> None:
    rpc, begun = _rpc(settings), time.perf_counter()
    works: list[Work] = [named(name)() for name in settings["services"]]
    rpc.serve(*works)

    async def hold_or_release(order: dict[str, Any]) -> object:
        while sum(work.holding for work in works) < order["calls"]:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.1)
        if order["do"] == "hold":
            return look(rpc)
        for work in works:
            work.held.set()
            work.held = asyncio.Event()
        return order

    async with rpc:
        _say({"ready": time.perf_counter() - begun})
        await _obey(rpc, hold_or_release)


async def client(settings: dict[str, Any]) -> None:
    rpc, begun = _rpc(settings), time.perf_counter()
    async with rpc:
        ready = time.perf_counter() - begun
        load = Load(rpc, rpc.client(named(settings["services"][0])))
        await load.echo()
        _say({"ready": ready, "first": time.perf_counter() - begun})
        await _obey(rpc, load.do)


if __name__ == "__main__":
    role = {"server": server, "client": client}[sys.argv[1]]
    uvloop.run(role(json.loads(sys.argv[2])))
