"""`typedrpc check`: why calls do not work, from the settings of the connection to the servers that run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from typedrpc.broker_clock import BrokerClock
from typedrpc.cli import flags
from typedrpc.cli.check.findings import (
    Address,
    Finding,
    Subject,
    bootstrap_findings,
    broker_findings,
    clock_findings,
    config_findings,
    server_findings,
    skipped,
)
from typedrpc.cli.check.topic_findings import acl_findings, call_findings, topic_findings, unasked, untimed
from typedrpc.cli.connection import Patience, Settings
from typedrpc.cli.gathering import WAIT, instances
from typedrpc.cli.importing import load
from typedrpc.cli.outcome import told
from typedrpc.cli.terminal import json_text, prints_aside, words
from typedrpc.config import Topics
from typedrpc.errors import UsageError
from typedrpc.rpc import Rpc
from typedrpc.transport import TransportError
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.kafka.looking import SeenCluster, look
from typedrpc.transport.kafka.refusal import Refusal, addresses, refusal_at

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}

Tell = Callable[[Iterable[Finding]], None]


def check(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="MODULE:RPC", help="An Rpc, with its own connection; else this command, as a client."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")] = False,
    timeout: Patience = 5.0,
) -> None:
    """Find out why calls do not work. Makes no topics and calls no service; exits with 1 where something failed."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is a finding
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # so are handshakes of TLS that fail
    findings: list[Finding] = []
    console = Console(highlight=False, soft_wrap=True)

    def tell(some: Iterable[Finding]) -> None:
        for finding in some:
            findings.append(finding)
            if not as_json:
                _print(finding, console)

    with told():
        with prints_aside():
            rpc = load(context, target) if target else None
        try:
            subject = _client(flags.settings(context)) if rpc is None else _subject(rpc, target or "")
            addresses(subject.connection.shared)
        except UsageError as error:
            remedy = f"change it where {target} is made" if target else "see `typedrpc --help` for the settings"
            tell([Finding("config", "failed", str(error), remedy)])
            tell(skipped("config", "the settings are not valid"))
        else:
            asyncio.run(_check(subject, timeout, tell))
    if as_json:
        typer.echo(json_text([finding._asdict() for finding in findings], indent=2))
    if any(finding.sign == "failed" for finding in findings):
        raise typer.Exit(1)


def _print(finding: Finding, console: Console) -> None:
    sign = (f"{finding.sign:8}", _COLOURS[finding.sign])
    console.print(Text.assemble(sign, words(f" {finding.check}: {finding.title}")))
    if finding.remedy:
        console.print(words(f"         → {finding.remedy}"))


def _client(settings: Settings) -> Subject:
    """The command line itself. Raises UsageError."""
    connection, topics = connection_of(settings.broker()), Topics()
    assert connection is not None  # it is no TestKafkaBroker
    required = (topics.reply_topic(), topics.cancel_topic(), topics.reflection_topic())
    return Subject(connection=connection, topics=topics, required=required)


def _subject(rpc: Rpc, target: str) -> Subject:
    connection = connection_of(rpc.broker) if rpc.broker is not None else None
    if connection is None:
        raise UsageError("this Rpc is in memory: it uses no Kafka")
    required = [topic for topic in rpc.required_topics if rpc.services or topic.name != rpc.topics.reflection]
    return Subject(
        connection=connection,
        topics=rpc.topics,
        required=tuple(required),
        services={document.service: document.hash for document in rpc.contracts},
        creates=rpc.create_topics,
        target=target,
    )


async def _check(subject: Subject, seconds: float, tell: Tell) -> None:
    at = addresses(subject.connection.shared)
    tell(config_findings(subject, at, time.time()))
    reached = await _reached(subject, at, seconds)
    tell(bootstrap_findings(subject, reached))
    first = next((each for each, refusal in reached.items() if refusal is None), None)
    if first is None:
        tell(skipped("connectivity", "no connection"))
        return
    try:
        cluster = await look(subject.connection, first, sorted(_names(subject)), subject.services, seconds)
    except TransportError as error:
        tell([Finding("connectivity", "failed", str(error), "is the broker overloaded, or older than Kafka 2.3?")])
        tell(skipped("connectivity", "Kafka did not tell what is there"))
        return
    others = {each for each in cluster.brokers.values() if each not in reached}
    reached |= await _reached(subject, sorted(others), seconds)
    tell(broker_findings(subject, cluster.brokers, reached))
    tell(topic_findings(subject, cluster))
    tell(acl_findings(subject, cluster))
    if any(reached[each] for each in cluster.brokers.values()):
        tell(skipped("acls", "not all brokers are reached"))
    else:
        await _ask(subject, cluster, first, seconds, tell)


def _names(subject: Subject) -> set[str]:
    """All topics that anything is to be known of."""
    own = {subject.topics.replies, subject.topics.cancels, subject.topics.reflection}
    return {topic.name for topic in subject.required} | own | (subject.topics.reply_to or set())


async def _reached(subject: Subject, at: Iterable[Address], seconds: float) -> dict[Address, Refusal | None]:
    shared, every = subject.connection.shared, list(dict.fromkeys(at))
    answers = await asyncio.gather(*(refusal_at(*each, shared, seconds) for each in every))
    return dict(zip(every, answers, strict=True))


async def _ask(subject: Subject, cluster: SeenCluster, at: Address, seconds: float, tell: Tell) -> None:
    """The clock and the servers, for which records are written that nobody takes for calls."""
    transport = KafkaTransport(subject.connection, start_timeout=seconds, instance_id=None)
    try:
        await transport.start()
        if reason := untimed(subject, cluster):
            tell([Finding("clock", "skipped", reason)])
        else:
            tell(clock_findings(*await _skew(transport, subject.topics.cancels)))
        if reason := unasked(subject, cluster):
            tell([Finding("servers", "skipped", reason)])
            return
        processes = await instances(transport, subject.topics, WAIT)
        tell(server_findings(subject, processes, WAIT))
        called = {topic for process in processes for served in process.services for topic in served.topics}
        if called and not subject.services:
            seen = await look(subject.connection, at, sorted(called), (), seconds)
            tell(call_findings(subject, processes, seen.topics))
    except TransportError as error:
        tell([Finding("servers", "failed", str(error), "calls meet the same; the broker's log may say more")])
    finally:
        await transport.stop()


async def _skew(transport: KafkaTransport, topic: str) -> tuple[float | None, float]:
    """By how many milliseconds the broker's clock is ahead of ours, and how many the question took."""
    clock = BrokerClock(transport, topic)
    await clock.check()  # the first one waits for connections
    asked = time.monotonic()
    await clock.check()
    trip, there = (time.monotonic() - asked) * 1000, clock.now()
    return None if there is None else there - time.time() * 1000, trip
