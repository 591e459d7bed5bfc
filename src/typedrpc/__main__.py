"""The command line: `typedrpc run module:rpc`."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

from typedrpc.errors import UsageError
from typedrpc.rpc import Rpc
from typedrpc.transport import TransportError

try:
    import typer
except ImportError:  # pragma: no cover  # the extra is installed where the tests run
    sys.exit("the typedrpc command needs its extra: pip install 'typedrpc[cli]'")

_log = logging.getLogger("typedrpc")

app: typer.Typer = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Typed RPC over Kafka."""


@app.command()
def run(
    target: Annotated[str, typer.Argument(metavar="MODULE:RPC", help="Where the Rpc is, as in `server:rpc`.")],
) -> None:
    """Serve an Rpc until SIGTERM or Ctrl-C; a second one does not wait for running handlers."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    try:
        _runner()(serve(load(target)))
    except (UsageError, TransportError) as error:
        typer.echo(f"typedrpc: {error}", err=True)
        raise typer.Exit(1) from None


def load(target: str) -> Rpc:
    """The Rpc that `module:attribute` names; raises UsageError that says what is not there."""
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"{target!r}: write MODULE:RPC, as in `server:rpc`")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # one of the module's own imports
        raise UsageError(f"{target!r}: there is no module {error.name!r} here or on the Python path") from None
    for name in attribute.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, Rpc):
        raise UsageError(f"{target!r}: {module_name} has no Rpc of that name, but {found!r}")
    return found


async def serve(rpc: Rpc) -> None:
    """Runs the Rpc until a signal; raises TransportError and UsageError."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        async with rpc:
            _log.info("serving %s; stop with Ctrl-C", ", ".join(rpc.services) or "nothing")
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        _log.info("stopped")


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop  # an extra
    except ImportError:
        return asyncio.run
    return uvloop.run


def main() -> None:
    """The entry point of the `typedrpc` command."""
    app()


if __name__ == "__main__":
    main()
