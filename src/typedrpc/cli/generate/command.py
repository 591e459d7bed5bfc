"""`typedrpc generate`: a package for those who call a service without having its code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from typedrpc.cli import flags
from typedrpc.cli.completing import complete_source
from typedrpc.cli.connection import Patience
from typedrpc.cli.outcome import told
from typedrpc.cli.sources import HELP, contracts
from typedrpc.errors import UsageError


def generate(
    context: typer.Context,
    source: Annotated[str, typer.Option("--from", metavar="SOURCE", help=HELP, autocompletion=complete_source)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PACKAGE", help="The folder of the package.")],
    timeout: Patience = 5.0,
) -> None:
    """Write a package with the models, errors, contract and client of a service."""
    with told():
        for needed in ("datamodel_code_generator", "jinja2", "ruff"):
            if importlib.util.find_spec(needed) is None:
                raise UsageError("`typedrpc generate` needs its extra: pip install 'typedrpc[generate]'")
        from typedrpc.cli.generate.package import write_package  # needs the extra

        documents = contracts(flags.settings(context), [source], timeout)
        if len(documents) != 1:
            names = ", ".join(document.service for document in documents)
            raise UsageError(f"{source!r} has several services, {names}: name one contract, as MODULE:NAME")
        for file in write_package(documents[0], output):
            typer.echo(str(file))
