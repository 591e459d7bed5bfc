"""What the client and the server process have in common: orders by standard input, stalls, and a skewed clock."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer

from chaos.journal import Journal

_TICK = 0.1
_STALL = 0.3
"""Seconds of a tick that count as a stall: the machine is busy, too."""

_real_time = time.time
_skew = 0.0


async def obey(journal: Journal) -> None:
    """Obeys the lines of standard input until it is told to stop: `stop`, `block S`, `skew S`, `fetch`."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    time.time = lambda: _real_time() + _skew  # the clock that is skewed
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    watching = asyncio.create_task(_watch(journal))
    orders: dict[str, Callable[[float], None]] = {"block": time.sleep, "skew": _set_skew, "fetch": _end_fetching}
    try:
        async for line in reader:
            order, _, argument = line.decode().strip().partition(" ")
            if order == "stop":
                return
            orders[order](float(argument or 0))
    finally:
        watching.cancel()


async def _watch(journal: Journal) -> None:
    before = time.monotonic()
    while True:
        await asyncio.sleep(_TICK)
        now = time.monotonic()
        if now - before > _STALL:
            journal.stall(now - before)
        before = now


def _set_skew(seconds: float) -> None:
    global _skew
    _skew = seconds


def _end_fetching(_: float) -> None:
    """Ends the background tasks by which this process' consumers fetch, as a bug in them would."""
    for consumer in gc.get_objects():
        if isinstance(consumer, AIOKafkaConsumer) and getattr(consumer, "_fetcher", None) is not None:
            consumer._fetcher._fetch_task.cancel()  # type: ignore[attr-defined]  # pyright: ignore
