"""`typedrpc run module:rpc`."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Annotated

import typer

from typedrpc.cli.event_loop import collect_less, run_loop
from typedrpc.cli.importing import load
from typedrpc.cli.outcome import told
from typedrpc.rpc import Rpc

_log = logging.getLogger("typedrpc")


def run(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="MODULE:RPC", help="Where the Rpc is, as in `server:rpc`.")],
) -> None:
    """Serve an Rpc until SIGTERM or Ctrl-C; a second one does not wait for running handlers."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with told():
        run_loop(serve(load(context, target)))


async def serve(rpc: Rpc) -> None:
    """Runs the Rpc until a signal; raises TransportError and UsageError."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    aiokafka = logging.getLogger("aiokafka")
    aiokafka.setLevel(logging.CRITICAL)  # what goes wrong in the start is raised
    collect_less()
    try:
        async with rpc:
            aiokafka.setLevel(logging.WARNING)
            _log.info("serving %s; stop with Ctrl-C", ", ".join(rpc.services) or "nothing")
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        _log.info("stopped")
