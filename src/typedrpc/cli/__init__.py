"""The command line: a module or a folder for each command, and what they share.

`connection` says where Kafka is, `importing` and `sources` what an argument names, `outcome` how a command ends.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from typedrpc.cli import calling, diffing, exporting, flags, running, services, topics
from typedrpc.cli.bench.command import bench
from typedrpc.cli.check.command import check
from typedrpc.cli.connection import Settings
from typedrpc.cli.generate.command import generate
from typedrpc.cli.tail.command import tail
from typedrpc.document import VERSION


class _Commands(TyperGroup):
    """`typedrpc list --kafka X` is `typedrpc --kafka X list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        connection = [option for option in self.params if option.name in Settings.model_fields]
        takes = {
            name: 0 if getattr(option, "is_flag", False) else 1
            for option in connection
            for name in (*option.opts, *option.secondary_opts)
        }
        return super().parse_args(ctx, flags.foremost(args, takes))


app: typer.Typer = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(running.run)
app.command("list")(services.list_services)
app.command()(services.describe)
app.command()(calling.call)
app.command()(tail)
app.command()(bench)
app.command()(check)
app.add_typer(topics.app, name="topics")
app.command()(generate)
app.command()(diffing.diff)
app.command()(exporting.asyncapi)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"typedrpc {VERSION}")
        raise typer.Exit


def _flag(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="Connection; each is also read from the environment")


@app.callback()
def root(
    kafka: Annotated[str | None, _flag(help="Bootstrap servers: TYPEDRPC_KAFKA, else localhost:9092.")] = None,
    tls: Annotated[bool | None, _flag("--tls/--no-tls", help="Encrypt: TYPEDRPC_TLS.")] = None,
    tls_ca: Annotated[str | None, _flag(help="File of authorities to trust: TYPEDRPC_TLS_CA.")] = None,
    tls_cert: Annotated[str | None, _flag(help="This client's certificate: TYPEDRPC_TLS_CERT.")] = None,
    tls_key: Annotated[str | None, _flag(help="Its key: TYPEDRPC_TLS_KEY.")] = None,
    sasl_mechanism: Annotated[
        str | None, _flag(help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: TYPEDRPC_SASL_MECHANISM.")
    ] = None,
    sasl_username: Annotated[
        str | None, _flag(help="TYPEDRPC_SASL_USERNAME; the password is read from TYPEDRPC_SASL_PASSWORD only.")
    ] = None,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which this is.")] = False,
) -> None:
    """Typed RPC over Kafka."""  # the commands take the flags of the connection, by `flags`
