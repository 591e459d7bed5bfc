"""Contract documents, from wherever a command's arguments say: a module, a file or a server that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from typedrpc.cli.connection import Settings, connected
from typedrpc.cli.importing import imported, named
from typedrpc.cli.terminal import prints_aside
from typedrpc.codec import summary
from typedrpc.contract import contracts_of
from typedrpc.document import ContractDocument, contract_schema
from typedrpc.errors import UsageError
from typedrpc.rpc import Rpc

HELP = (
    "MODULE, all contracts that it defines, or MODULE:NAME, a contract or an Rpc; FILE.json, as `typedrpc describe "
    "--json` writes it; or SERVICE@running, asked of a server."
)

_RUNNING = "@running"


def is_running(target: str) -> bool:
    """Whether a server has to be asked."""
    return target.endswith(_RUNNING)


def contracts(settings: Settings, targets: list[str], seconds: float) -> list[ContractDocument]:
    """Those of all targets, in order. Raises UsageError, TransportError, and DeadlineExceeded for what does not run."""
    running = [target.removesuffix(_RUNNING) for target in targets if is_running(target)]
    asked = iter(asyncio.run(_asked(settings, running, seconds)) if running else [])
    found: list[ContractDocument] = []
    for target in targets:
        if is_running(target):
            found.append(next(asked))
        elif target.endswith(".json"):
            found.append(_read(target))
        else:
            with prints_aside():
                found += _imported(target)
    return found


async def _asked(settings: Settings, services: list[str], seconds: float) -> list[ContractDocument]:
    async with connected(settings) as client:
        return await asyncio.gather(*(client.contract(service, seconds) for service in services))


def _read(file: str) -> ContractDocument:
    try:
        return ContractDocument.model_validate_json(Path(file).read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError(f"{file} is no contract document: {summary(error)}") from None


def _imported(target: str) -> list[ContractDocument]:
    if ":" not in target:
        return _defined(target)
    _, found = named(target)
    if isinstance(found, Rpc):
        return list(found.contracts)
    if found is None:
        raise UsageError(f"{target!r}: the module has nothing of this name")
    return [contract_schema(found)]


def _defined(name: str) -> list[ContractDocument]:
    """The contracts that a module, or a package with its modules, defines; a class that implements one is none."""
    try:
        module = imported(name)
    except UsageError as error:
        running = "" if name.endswith(".py") else f"; a service that runs is written {name}@running"
        raise UsageError(f"{error}{running}") from None
    there = {n: value for n, value in vars(module).items() if _is_contract(value)}
    own = [value for value in there.values() if f"{value.__module__}.".startswith(f"{name}.")]
    if not own:
        rpcs = [n for n, value in vars(module).items() if isinstance(value, Rpc)]
        others = ", ".join(f"{name}:{n}" for n in (*there, *rpcs))
        raise UsageError(f"module {name!r} defines no contract" + (f"; of others it has {others}" if others else ""))
    return [contract_schema(contract) for contract in dict.fromkeys(own)]


def _is_contract(value: Any) -> bool:
    return isinstance(value, type) and value in contracts_of(value)
