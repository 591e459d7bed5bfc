"""`typedrpc run module:rpc`."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from typedrpc.cli.outcome import told
from typedrpc.errors import UsageError
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


def load(target: str) -> Rpc:
    """The Rpc that `module:attribute` names; raises UsageError that says what is not there."""
    module, found = named(target)
    if isinstance(found, Rpc):
        return found
    there = [name for name, value in vars(module).items() if isinstance(value, Rpc)]
    has = f"it has {', '.join(there)}" if there else "it has none at all"
    what = "nothing" if found is None else f"a {type(found).__name__}"
    attribute = target.partition(":")[2]
    raise UsageError(f"{target!r}: {attribute!r} is {what} and no Rpc in module {module.__name__!r}; {has}")


def named(target: str) -> tuple[ModuleType, Any]:
    """The module of `module:attribute`, and what the attribute is, or None; raises UsageError."""
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"{target!r}: write MODULE:RPC, as in `server:rpc`")
    sys.path.insert(0, str(Path.cwd()))
    module = _import(module_name)
    found: Any = module
    for name in attribute.split("."):
        found = getattr(found, name, None)
    return module, found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"there is no module {error.name!r} here or on the Python path") from None
        raise _import_failed(name, error) from error
    except Exception as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: Exception) -> UsageError:
    """Says where, in one line: a traceback of the import machinery helps nobody."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (frame.filename, frame.lineno)
    return UsageError(f"module {name!r} cannot be imported: {type(error).__name__}: {error} ({where[0]}:{where[1]})")


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
