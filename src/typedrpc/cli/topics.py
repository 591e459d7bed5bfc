"""`typedrpc topics`: what an Rpc needs of Kafka, beside what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import typer

from typedrpc.cli.importing import load
from typedrpc.cli.outcome import told
from typedrpc.cli.terminal import json_text, prints_aside
from typedrpc.errors import UsageError
from typedrpc.rpc import Rpc
from typedrpc.transport import TopicSpec
from typedrpc.transport.kafka import connection_of
from typedrpc.transport.kafka.connection import Connection
from typedrpc.transport.kafka.topics import ensure_topics, found_topics

_PATIENCE = 20.0

app: typer.Typer = typer.Typer(no_args_is_help=True, help="Plan and make the topics that an Rpc needs.")

Target = Annotated[str, typer.Argument(metavar="MODULE:RPC", help="Where the Rpc is, as in `server:rpc`.")]
Json = Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")]


class Step(NamedTuple):
    """What one topic needs: to be made, nothing, or a human's look."""

    sign: Literal["+", "=", "~"]
    topic: str
    text: str


def plan(required: Sequence[TopicSpec], existing: Mapping[str, TopicSpec]) -> list[Step]:
    """What is missing, as needed, or differs. Pure."""
    return [_step(topic, existing.get(topic.name)) for topic in required]


def _step(needed: TopicSpec, found: TopicSpec | None) -> Step:
    if found is None:
        plural = "s" if needed.partitions > 1 else ""
        settings = [f"{key}={value}" for key, value in needed.config.items()]
        return Step("+", needed.name, ", ".join([f"{needed.partitions} partition{plural}", *settings]))
    differs: list[str] = []
    if found.partitions != needed.partitions:
        differs.append(f"it has {found.partitions} partitions, not {needed.partitions}")
    for key, value in needed.config.items():
        if (there := found.config.get(key)) != value:
            differs.append(f"its {key} is {there}, not {value}")
    return Step("~" if differs else "=", needed.name, "; ".join(differs))


@app.command("plan")
def plan_topics(context: typer.Context, target: Target, as_json: Json = False) -> None:
    """Say which topics are missing or differ; makes nothing."""
    with told():
        with prints_aside():
            rpc = load(context, target)
        _show(plan(rpc.required_topics, asyncio.run(_found(rpc))), as_json=as_json)


@app.command("apply")
def apply_topics(context: typer.Context, target: Target, as_json: Json = False) -> None:
    """Make the topics that are missing; what is there is not changed."""
    with told():
        with prints_aside():
            rpc = load(context, target)
        steps = plan(rpc.required_topics, asyncio.run(_found(rpc)))
        missing = {step.topic for step in steps if step.sign == "+"}
        asyncio.run(_make(rpc, [topic for topic in rpc.required_topics if topic.name in missing]))
        _show(steps, as_json=as_json)


def _show(steps: Sequence[Step], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json_text([step._asdict() for step in steps], indent=2))
        return
    for step in steps:
        typer.echo(f"{step.sign} {step.topic}" + (f": {step.text}" if step.text else ""))


def _connection(rpc: Rpc) -> Connection:
    connection = connection_of(rpc.broker) if rpc.broker is not None else None
    if connection is None:
        raise UsageError("this Rpc is in memory: it needs no topics of Kafka")
    return connection


async def _found(rpc: Rpc) -> dict[str, TopicSpec]:
    return await found_topics(_connection(rpc), [topic.name for topic in rpc.required_topics], _PATIENCE)


async def _make(rpc: Rpc, missing: Sequence[TopicSpec]) -> None:
    if missing:
        await ensure_topics(_connection(rpc), missing, create=True, timeout=_PATIENCE)
