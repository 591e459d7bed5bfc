"""Makes contracts out of source text, so that an old and a new one may have classes of the same names."""

from __future__ import annotations

from typing import Any

from typedrpc import ContractDocument, contract_schema
from typedrpc.change_rules import BREAKS
from typedrpc.changes import contract_changes

PRELUDE = """
import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import *
from uuid import UUID
from pydantic import *
from typing_extensions import TypeAliasType, TypedDict
from typedrpc import *
"""

NOBODY = "class Nobody(RpcError, code=Status.NOT_FOUND):\n    id: int\n"
RAISES = "raises=[Nobody]"


def method(
    parameters: str = "", reply: str = "None", *, name: str = "get", decorator: str = "", body: str = "..."
) -> str:
    """One method of a class."""
    own = f"self, {parameters}" if parameters else "self"
    return f"    @service.method({decorator})\n    async def {name}({own}) -> {reply}: {body}\n"


def users(*methods: str, before: str = "", options: str = "", served: bool = False) -> str:
    """The service `users`; `served`: contract and server in one class."""
    bases = "Service" if served else "Service, Protocol"
    return f"{before}\nclass Users({bases}, service='users', {options}):\n" + "".join(methods)


def names_of(source: str) -> dict[str, Any]:
    """What the source defines."""
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(PRELUDE + source, "a contract", "exec", dont_inherit=True), names)
    return names


def document(source: str) -> ContractDocument:
    """The document of its class `Users`."""
    return contract_schema(names_of(source)["Users"])


def words(breaks: object) -> str:
    """Whom a change breaks, as in the table of rules: `WC WS SC SS`."""
    assert isinstance(breaks, frozenset)
    return " ".join(word for word, each in BREAKS.items() if each in breaks)


def changes(old: str, new: str) -> set[tuple[str, str]]:
    """The rules between two sources, with whom they break."""
    return {(each.rule, words(each.breaks)) for each in contract_changes(document(old), document(new))}


def changes_at(old: str, new: str) -> dict[str, str]:
    """The rules between two sources, with where they are."""
    return {each.rule: each.where for each in contract_changes(document(old), document(new))}
