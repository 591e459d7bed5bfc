"""Makes classes out of source text: what type checkers refuse too, with annotations evaluated at once or postponed."""

from __future__ import annotations
import __future__

from typing import Any

import pytest

from typedrpc import ContractError

PRELUDE = """
from collections.abc import AsyncIterator
from typing import *
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, JsonValue
from typedrpc import *

class Item(BaseModel):
    x: int = 1

class Missing(RpcError, code=Status.NOT_FOUND):
    id: int

class Gone(RpcError, code=Status.ABORTED): ...

def another(name):
    return type(name, (RpcError,), {})

class Socket: ...

T = TypeVar("T")
Bound = TypeVar("Bound", bound=BaseModel)
"""


def run(source: str, *, postponed: bool) -> dict[str, Any]:
    """The names that the source defines; `postponed`: as under `from __future__ import annotations`."""
    flags = __future__.annotations.compiler_flag if postponed else 0
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(PRELUDE + source, "a contract", "exec", flags=flags, dont_inherit=True), names)
    return names


def refusal(source: str, *, postponed: bool = True) -> str:
    """What the ContractError says, on one line."""
    with pytest.raises(ContractError) as caught:
        run(source, postponed=postponed)
    text = str(caught.value)
    assert "\n" not in text
    return text
