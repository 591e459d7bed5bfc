"""The flags that say where Kafka is: they may stand anywhere on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import typer

from typedrpc.cli.connection import Settings
from typedrpc.errors import UsageError


def foremost(words: Sequence[str], takes: Mapping[str, int]) -> list[str]:
    """The same command line with the flags that `takes` names before everything else, each with so many values."""
    first: list[str] = []
    rest: list[str] = []
    coming = iter(words)
    for word in coming:
        name, has_value, _ = word.partition("=")
        if word == "--":
            rest += [word, *coming]
        elif name in takes:
            wanted = 0 if has_value else takes[name]
            values = [*islice(coming, wanted)]
            if len(values) < wanted:
                return [word]  # alone, it is said to need a value
            first += [word, *values]
        else:
            rest.append(word)
    return [*first, *rest]


def given(context: typer.Context) -> dict[str, Any]:
    """What the flags say, by the names of `Settings`."""
    params = context.find_root().params
    return {name: params[name] for name in Settings.model_fields if params.get(name) is not None}


def settings(context: typer.Context) -> Settings:
    """The connection, by the flags and the environment; raises UsageError."""
    return Settings.given(**given(context))


def refuse(context: typer.Context) -> None:
    """Raises UsageError for flags, where the module's own broker says where Kafka is."""
    names = [f"--{name.replace('_', '-')}" for name in given(context)]
    if names:
        raise UsageError(f"{', '.join(names)}: the connection is that of the Rpc, and set where its broker is made")
