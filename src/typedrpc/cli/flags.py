"""The flags that say where Kafka is: they may stand anywhere on the command line."""

from __future__ import annotations

from itertools import islice
from typing import Any

import typer
from typer.core import TyperGroup

from typedrpc.cli.connection import Settings
from typedrpc.errors import UsageError


class ConnectingGroup(TyperGroup):
    """Commands that share the flags of the connection: `typedrpc list --kafka X` is `typedrpc --kafka X list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: D102
        options = {
            name: option
            for option in self.params
            if option.name in Settings.model_fields
            for name in (*option.opts, *option.secondary_opts)
        }
        first: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            name, has_value, _ = word.partition("=")
            if word == "--":
                rest += [word, *words]
            elif name in options:
                takes = 0 if has_value or getattr(options[name], "is_flag", False) else 1
                taken = [*islice(words, takes)]
                if len(taken) < takes:
                    return super().parse_args(ctx, [word])  # which says that a value is missing
                first += [word, *taken]
            else:
                rest.append(word)
        return super().parse_args(ctx, [*first, *rest])


def given(context: typer.Context) -> dict[str, Any]:
    """What the flags say, by the names of `Settings`."""
    params = context.find_root().params
    return {name: params[name] for name in Settings.model_fields if params.get(name) is not None}


def refuse(context: typer.Context) -> None:
    """Raises UsageError for flags, where the module's own broker says where Kafka is."""
    names = [f"--{name.replace('_', '-')}" for name in given(context)]
    if names:
        raise UsageError(f"{', '.join(names)}: the connection is that of the Rpc, and set where its broker is made")
