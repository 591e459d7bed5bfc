"""`typedrpc diff`: what changed between two contracts, and whether it breaks who keeps the old one."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, get_args

import typer

from typedrpc.change_rules import Break
from typedrpc.changes import Change, listing, services_changes
from typedrpc.cli import flags
from typedrpc.cli.completing import complete_source
from typedrpc.cli.connection import Patience
from typedrpc.cli.outcome import told
from typedrpc.cli.sources import HELP, contracts
from typedrpc.cli.terminal import json_text, visible


class FailOn(StrEnum):
    """What a change must break for the command to fail; for `any`, nothing."""

    WIRE_CALLERS = "wire-callers"
    WIRE_SERVERS = "wire-servers"
    SOURCE_CALLERS = "source-callers"
    SOURCE_SERVERS = "source-servers"
    ANY = "any"


def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help=HELP, autocompletion=complete_source)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.", autocompletion=complete_source)],
    fail_on: Annotated[list[FailOn], typer.Option(help="What ends with 1; may be repeated.")] = [FailOn.WIRE_CALLERS],  # noqa: B006  # typer's way
    as_json: Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")] = False,
    timeout: Patience = 5.0,
) -> None:
    """Say what changed between two contracts, and whom it breaks."""
    with told(2):
        settings = flags.settings(context)
        changes = services_changes(contracts(settings, [old], timeout), contracts(settings, [new], timeout))
    if as_json:
        typer.echo(_as_json(changes))
    else:
        shown = [replace(each, where=visible(each.where), text=visible(each.text)) for each in changes]
        typer.echo(listing(shown))
    if any(FailOn.ANY in fail_on or each.breaks & set(fail_on) for each in changes):
        raise typer.Exit(1)


def _as_json(changes: list[Change]) -> str:
    """`breaks` has the words of `--fail-on`."""
    return json_text(
        [
            {
                "rule": each.rule,
                "where": each.where,
                "text": each.text,
                "breaks": [word for word in get_args(Break) if word in each.breaks],
            }
            for each in changes
        ],
        indent=2,
    )
