"""What `typedrpc check` makes of topics, and of what the user may do with them. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from typedrpc.cli.check.findings import Finding, Subject
from typedrpc.config import Topics
from typedrpc.reflection import Instance
from typedrpc.transport import TopicSpec
from typedrpc.transport.kafka.looking import Operation, SeenCluster, SeenTopic

_TIMESTAMPS = "message.timestamp.type"
_REFUSED = "oneways and large bodies are refused, with acks=all every record"
_LARGEST = 1024 * 1024  # bytes of a record, which our own bodies with their headers stay below


def topic_findings(subject: Subject, cluster: SeenCluster) -> Iterator[Finding]:
    """What is missing, differs or does not work; those that the user may not see are left to `acl_findings`."""
    seen = [(topic, cluster.topics[topic.name]) for topic in subject.required]
    there = [(topic, found) for topic, found in seen if found.state == "there"]
    problems = [list(_problems(subject, topic, found, len(cluster.brokers))) for topic, found in there]
    yield from itertools.chain.from_iterable(problems)
    if missing := [topic.name for topic, found in seen if found.state == "missing"]:
        yield _missing(subject, missing)
    if fine := problems.count([]):
        yield Finding("topics", "ok", f"{fine} of {len(seen)} topics are as needed")
    if unknown := [topic.name for topic, found in there if found.config is None]:
        remedy = _acl(subject, "DescribeConfigs", "topic", *unknown)
        title = f"this user may not ask for the settings of {', '.join(unknown)}, and need not"
        yield Finding("topics", "skipped", title, f"to have them checked: {remedy}")
    if hidden := [topic.name for topic, found in seen if found.state == "hidden"]:
        yield Finding("topics", "skipped", f"this user may not see whether these are there: {', '.join(hidden)}")


def _missing(subject: Subject, names: list[str]) -> Finding:
    title = f"missing: {', '.join(names)}"
    if not subject.target:
        remedy = "is this the right Kafka? The first client or server that may make topics makes them"
        return Finding("topics", "warning", title, remedy)
    apply = f"`typedrpc topics apply {subject.target}` makes them"
    if subject.creates:
        return Finding("topics", "warning", title, f"{apply}, and so does the Rpc when it starts, where it may")
    return Finding("topics", "failed", title, f"{apply}; with create_topics=False the Rpc does not, and cannot start")


def _problems(subject: Subject, topic: TopicSpec, found: SeenTopic, brokers: int) -> Iterator[Finding]:
    name, config = topic.name, found.config or {}
    change = f"kafka-configs.sh {subject.tool} --alter --entity-type topics --entity-name {name} --add-config"
    if found.leaderless:
        title = f"{name}: no broker leads partition {', '.join(map(str, found.leaderless))}"
        yield Finding("topics", "failed", title, "start the brokers that have replicas of it; calls there time out")
    if found.partitions != topic.partitions and topic.partitions > 1:  # all partitions of the others are read by all
        title = f"{name} has {found.partitions} partition{'s' * (found.partitions > 1)}, not {topic.partitions}"
        yield Finding("topics", "warning", title, _partitions_remedy(subject, topic, found.partitions))
    if config.get(_TIMESTAMPS, "LogAppendTime") != "LogAppendTime" and name != subject.topics.reflection:
        title = f"{name} has {_TIMESTAMPS}={config[_TIMESTAMPS]}: {_without_broker_time(subject, name)}"
        yield Finding("topics", "warning", title, f"{change} {_TIMESTAMPS}=LogAppendTime")
    if "compact" in config.get("cleanup.policy", ""):
        title = f"{name} is compacted: Kafka refuses calls without a key"
        yield Finding("topics", "failed", title, f"{change} cleanup.policy=delete")
    if (largest := int(config.get("max.message.bytes", _LARGEST))) < _LARGEST:
        title = f"{name} takes records of {largest} bytes at most: larger calls fail"
        yield Finding("topics", "warning", title, f"{change} max.message.bytes=1048588")
    yield from _replication(name, found, int(config.get("min.insync.replicas", 1)), brokers, change)


def _replication(name: str, found: SeenTopic, least: int, brokers: int, change: str) -> Iterator[Finding]:
    if found.replicas < least:
        title = f"{name} has {found.replicas} replicas and min.insync.replicas={least}: {_REFUSED}"
        yield Finding("topics", "failed", title, f"{change} min.insync.replicas={found.replicas}, or add replicas")
    elif found.in_sync < least:
        title = f"{name} has {found.in_sync} replicas in sync and min.insync.replicas={least}: {_REFUSED}"
        yield Finding("topics", "failed", title, "start the brokers that have its other replicas")
    elif found.in_sync < found.replicas:
        title = f"{name} has {found.in_sync} of {found.replicas} replicas in sync"
        yield Finding("topics", "warning", title, "start the brokers that have the others: calls go on meanwhile")
    elif found.replicas == 1 and brokers > 1:
        title = f"{name} has one replica: calls stop where its broker does"
        yield Finding("topics", "warning", title, "add replicas by kafka-reassign-partitions.sh")


def _partitions_remedy(subject: Subject, topic: TopicSpec, there: int) -> str:
    replies = topic.name == subject.topics.replies
    works = "it works" if replies else f"it works, for at most {there} server process{'es' * (there > 1)} at once"
    if there < topic.partitions:
        more = f"kafka-topics.sh {subject.tool} --alter --topic {topic.name} --partitions {topic.partitions}"
        return f"{works}; for more: {more}"
    argument = "reply_partitions" if replies else "request_partitions"
    return f"{works}; a count cannot be lowered, so say Topics({argument}={there})"


def _without_broker_time(subject: Subject, name: str) -> str:
    if name in (subject.topics.replies, subject.topics.cancels):
        return "what is written there does not tell servers the broker's time, by which they judge deadlines"
    return "the time that a request waits there does not count, so expired ones are run"


class Need(NamedTuple):
    """A right, and what it is for. `must`: without it nothing works."""

    kind: Literal["topic", "group"]
    name: str
    operation: Operation
    purpose: str
    must: bool = True


def needs(subject: Subject, seen: Mapping[str, SeenTopic]) -> list[Need]:
    """The rights of a server where it serves anything, else of a client: as docs/security.md lists them."""
    topics, found = subject.topics, list[Need]()
    if subject.services:
        found += [Need("topic", name, "Read", "requests come by it") for name in subject.request_topics]
        found += [Need("group", name, "Read", "its servers share requests by it") for name in subject.services]
        found += [Need("topic", topics.cancels, "Read", "callers say by it what they do not wait for any more")]
        found += [Need("topic", topics.replies, "Read", "replies to calls of handlers come by it", must=False)]
        if topics.reflection in {topic.name for topic in subject.required}:
            found.append(Need("topic", topics.reflection, "Read", "tools ask by it", must=False))
        ours = topics.replies == Topics().replies  # else it may be its own, and callers have another one
        for name in sorted(topics.reply_to or {topics.replies}):
            found.append(
                Need("topic", name, "Write", "callers that read it get no answer", ours or bool(topics.reply_to))
            )
        found.append(Need("topic", topics.cancels, "Write", "it asks by it for the broker's time", must=False))
    else:
        found.append(Need("topic", topics.replies, "Read", "replies come by it"))
        found.append(Need("topic", topics.cancels, "Write", "calls that are not awaited any more are ended by it"))
        if not subject.target:
            asks = "`typedrpc list`, `describe` and `call` ask by it"
            found.append(Need("topic", topics.reflection, "Write", asks, must=False))
    if subject.target and subject.creates:
        missing = [topic.name for topic in subject.required if seen[topic.name].state == "missing"]
        found += [Need("topic", name, "Create", "the Rpc would make it at its start") for name in missing]
    return found


def acl_findings(subject: Subject, cluster: SeenCluster) -> Iterator[Finding]:
    """One for each right that is missing, with the command that grants it."""
    needed = needs(subject, cluster.topics)
    role = "server" if subject.services else "client"
    who = subject.user or "this user"
    allowed = 0
    for need in needed:
        rights = cluster.groups.get(need.name) if need.kind == "group" else cluster.topics[need.name].rights
        if need.operation == "Create" and cluster.rights and "Create" in cluster.rights:
            allowed += 1
        elif rights is None:
            title = f"Kafka does not tell whether {who} may {need.operation.lower()} {need.kind} {need.name}"
            yield Finding("acls", "skipped", title)
        elif need.operation in rights:
            allowed += 1
        else:
            title = f"{who} may not {need.operation.lower()} {need.kind} {need.name}: {need.purpose}"
            remedy = _acl(subject, need.operation, need.kind, need.name)
            yield Finding("acls", "failed" if need.must else "warning", title, remedy)
    if allowed == len(needed):
        yield Finding("acls", "ok", f"{who} has the {allowed} rights that a {role} needs")


def call_findings(
    subject: Subject, processes: Sequence[Instance], topics: Mapping[str, SeenTopic]
) -> Iterator[Finding]:
    """What this user may not call of what runs, which a client need not."""
    refused = {
        (served.name, topic)
        for process in processes
        for served in process.services
        for topic in served.topics
        if (rights := topics[topic].rights) is not None and "Write" not in rights
    }
    if refused:
        services, names = sorted({service for service, _ in refused}), sorted({topic for _, topic in refused})
        remedy = f"where it is to: {_acl(subject, 'Write', 'topic', *names)}"
        yield Finding("acls", "warning", f"{subject.user or 'this user'} may not call {', '.join(services)}", remedy)


def untimed(subject: Subject, cluster: SeenCluster) -> str:
    """Why the broker cannot be asked for its time, "" where it can."""
    found = cluster.topics[subject.topics.cancels]
    if (found.config or {}).get(_TIMESTAMPS, "LogAppendTime") != "LogAppendTime":
        return f"{subject.topics.cancels} has {_TIMESTAMPS}=CreateTime: the broker does not tell its time there"
    return _unusable(cluster, subject.topics.cancels, "Write")


def unasked(subject: Subject, cluster: SeenCluster) -> str:
    """Why servers cannot be asked who they are, "" where they can."""
    question = _unusable(cluster, subject.topics.reflection, "Write")
    return question or _unusable(cluster, subject.topics.replies, "Read")


def _unusable(cluster: SeenCluster, topic: str, operation: Operation) -> str:
    found = cluster.topics[topic]
    if found.rights is not None and operation not in found.rights:
        return f"this user may not {operation.lower()} topic {topic}"
    return "" if found.state == "there" and not found.leaderless else f"topic {topic} is missing or has no leader"


def _acl(subject: Subject, operation: str, kind: str, *names: str) -> str:
    on = " ".join(f"--{kind} {name}" for name in names)
    principal = f"--allow-principal User:{subject.user or 'NAME'}"
    return f"kafka-acls.sh {subject.tool} --add {principal} --operation {operation} {on}"
