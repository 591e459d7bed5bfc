"""What a command's argument names in the user's own code: a module, or something in one."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

import typer

from typedrpc.cli import flags
from typedrpc.errors import UsageError
from typedrpc.rpc import Rpc


def load(context: typer.Context, target: str) -> Rpc:
    """The Rpc that `module:attribute` names, which knows where Kafka is; raises UsageError that says what is not there,
    and for flags of the connection.
    """
    flags.refuse(context)
    module, found = named(target)
    if isinstance(found, Rpc):
        return found
    there = [name for name, value in vars(module).items() if isinstance(value, Rpc)]
    has = f"it has {', '.join(there)}" if there else "it has none at all"
    what = "nothing" if found is None else "a class" if isinstance(found, type) else f"a {type(found).__name__}"
    attribute = target.partition(":")[2]
    raise UsageError(f"{target!r}: {attribute!r} is {what} and no Rpc in module {module.__name__!r}; {has}")


def named(target: str) -> tuple[ModuleType, Any]:
    """The module of `module:attribute`, and what the attribute is, or None; raises UsageError."""
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"{target!r}: write MODULE:RPC, as in `server:rpc`")
    module = imported(module_name)
    found: Any = module
    for name in attribute.split("."):
        found = getattr(found, name, None)
    return module, found


def imported(name: str) -> ModuleType:
    """The module, found here or on the Python path; raises UsageError."""
    if name.endswith(".py"):
        raise UsageError(
            f"{name!r} is a file: write {'.'.join(PurePath(name).with_suffix('').parts)!r}, as Python imports it"
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"there is no module {error.name!r} here or on the Python path") from None
        raise _import_failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: BaseException) -> UsageError:
    """Says where in the user's own code, in one line: a traceback of the import machinery helps nobody."""
    frames = traceback.extract_tb(error.__traceback__)
    here = [f for f in frames if Path(f.filename).is_relative_to(Path.cwd()) and "site-packages" not in f.filename]
    frame = (here or frames)[-1]
    where = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (frame.filename, frame.lineno)
    return UsageError(f"module {name!r} cannot be imported: {type(error).__name__}: {error} ({where[0]}:{where[1]})")
