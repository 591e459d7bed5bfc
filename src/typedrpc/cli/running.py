"""`typedrpc run module:rpc`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from typedrpc.cli.importing import load
from typedrpc.cli.outcome import told
from typedrpc.rpc import Rpc

_log = logging.getLogger("typedrpc")

_YOUNG = 5000  # objects, in place of Python's 700: a call leaves a few for as long as it waits


def run(
    target: Annotated[str, typer.Argument(metavar="MODULE:RPC", help="Where the Rpc is, as in `server:rpc`.")],
) -> None:
    """Serve an Rpc until SIGTERM or Ctrl-C; a second one does not wait for running handlers."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with told():
        _runner()(serve(load(target)))


async def serve(rpc: Rpc) -> None:
    """Runs the Rpc until a signal; raises TransportError and UsageError."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    aiokafka = logging.getLogger("aiokafka")
    aiokafka.setLevel(logging.CRITICAL)  # what goes wrong in the start is raised
    _collect_less()
    try:
        async with rpc:
            aiokafka.setLevel(logging.WARNING)
            _log.info("serving %s; stop with Ctrl-C", ", ".join(rpc.services) or "nothing")
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        _log.info("stopped")


def _collect_less() -> None:
    """What was imported stays: full collections, a tenth of a busy server's time, need not walk it. Young ones, each
    for as many calls as wait at once, take a twentieth; where an app has chosen for itself to have fewer, it has."""
    gc.collect()
    gc.freeze()
    if 0 < gc.get_threshold()[0] < _YOUNG:
        gc.set_threshold(_YOUNG)


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop  # an extra
    except ImportError:
        return asyncio.run
    return uvloop.run
