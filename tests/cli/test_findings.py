"""What `check` makes of facts, also of those that are hard to bring about."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext

from real_kafka import kafka_script
from typedrpc import Topics
from typedrpc.cli.check.findings import (
    Finding,
    Subject,
    bootstrap_findings,
    broker_findings,
    clock_findings,
    config_findings,
    server_findings,
)
from typedrpc.cli.check.topic_findings import acl_findings, call_findings, topic_findings, unasked, untimed
from typedrpc.reflection import Instance, ServedService
from typedrpc.transport.kafka import connection_of
from typedrpc.transport.kafka.looking import Operation, SeenCluster, SeenTopic
from typedrpc.transport.kafka.refusal import Refusal


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.sign != "ok"]


def subject(
    *, security: BaseSecurity | None = None, topics: Topics | None = None, target: str = "shop:rpc", serves: bool = True
) -> Subject:
    connection = connection_of(KafkaBroker("kafka:9092", security=security, logger=None))
    assert connection is not None
    topics = topics or Topics()
    required = (topics.request_topic("users"), topics.reply_topic(), topics.cancel_topic(), topics.reflection_topic())
    services = {"users": "a" * 64} if serves else {}
    return Subject(connection=connection, topics=topics, required=required, services=services, target=target)


ALL: frozenset[Operation] = frozenset({"Read", "Write", "Create", "Describe"})
USUAL = SeenTopic(state="there", partitions=12, replicas=3, in_sync=3, rights=ALL)


def there(config: dict[str, str] | None = None, **facts: Any) -> SeenTopic:
    usual = {"message.timestamp.type": "LogAppendTime", "min.insync.replicas": "2"}
    return replace(USUAL, config={**usual, **(config or {})}, **facts)


def cluster(users: SeenTopic | None = None, **topics: SeenTopic) -> SeenCluster:
    own = {
        "users": users or there(),
        "rpc.replies": there(partitions=48),
        "rpc.cancels": there(partitions=1),
        "rpc.reflection": there(partitions=1),
    }
    return SeenCluster(
        brokers={1: ("a", 9092), 2: ("b", 9092)},
        rights=frozenset(),
        topics={**own, **{name.replace("_", "."): seen for name, seen in topics.items()}},
        groups={"users": ALL},
    )


@pytest.mark.parametrize(
    ("seen", "sign", "title", "remedy"),
    [
        (there(leaderless=(2, 5)), "failed", "users: no broker leads partition 2, 5", "start the brokers"),
        (there(replicas=1, in_sync=1), "failed", "users has 1 replicas and min.insync.replicas=2", "min.insync.replicas=1"),
        (there(in_sync=2), "warning", "users has 2 of 3 replicas in sync", "start the brokers"),
        (there(in_sync=1), "failed", "users has 1 replicas in sync and min.insync.replicas=2", "start the brokers"),
        (
            there(replicas=1, in_sync=1, config={"min.insync.replicas": "1"}),
            "warning",
            "users has one replica",
            "kafka-reassign-partitions.sh",
        ),
        (there(config={"cleanup.policy": "compact"}), "failed", "users is compacted", "cleanup.policy=delete"),
        (there(config={"max.message.bytes": "1000"}), "warning", "users takes records of 1000 bytes", "max.message.bytes"),
        (USUAL, "skipped", "this user may not ask for the settings of users", "--operation DescribeConfigs --topic users"),
        (SeenTopic(state="hidden", rights=frozenset()), "skipped", "this user may not see whether", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_topic_is_one_line_with_its_remedy(
    seen: SeenTopic, sign: str, title: str, remedy: str
) -> None:
    (finding,) = wrong(topic_findings(subject(), cluster(seen)))
    assert (finding.check, finding.sign) == ("topics", sign)
    assert finding.title.startswith(title)
    assert remedy in finding.remedy


def test_topics_as_they_should_be_are_one_line() -> None:
    assert list(topic_findings(subject(), cluster())) == [Finding("topics", "ok", "4 of 4 topics are as needed")]


def test_every_right_that_is_missing_is_named_with_the_command_that_grants_it() -> None:
    user = SASLPlaintext("shop", "secret")
    nothing = cluster(
        there(rights=frozenset({"Write"})),
        rpc_replies=there(rights=frozenset({"Read"})),
        rpc_cancels=SeenTopic(state="missing", rights=frozenset({"Read", "Write"})),
        rpc_reflection=SeenTopic(state="hidden", rights=frozenset()),
    )
    findings = list(acl_findings(subject(security=user), nothing))
    grant = "kafka-acls.sh --bootstrap-server kafka:9092 --add --allow-principal User:shop --operation"
    assert [(each.sign, each.title.partition(":")[0], each.remedy) for each in findings] == [
        ("failed", "shop may not read topic users", f"{grant} Read --topic users"),
        ("warning", "shop may not read topic rpc.reflection", f"{grant} Read --topic rpc.reflection"),
        ("failed", "shop may not write topic rpc.replies", f"{grant} Write --topic rpc.replies"),
        ("failed", "shop may not create topic rpc.cancels", f"{grant} Create --topic rpc.cancels"),
    ]


def test_a_right_that_kafka_does_not_tell_is_skipped() -> None:
    (finding,) = acl_findings(subject(), cluster(there(rights=None)))
    assert (finding.sign, finding.title) == ("skipped", "Kafka does not tell whether this user may read topic users")


def test_only_topics_that_a_server_answers_to_need_to_be_written() -> None:
    limited = Topics(replies="directory.replies", reply_to={"rpc.replies"})
    seen = cluster(rpc_replies=there(rights=frozenset()), directory_replies=there(rights=frozenset({"Read"})))
    (finding,) = acl_findings(subject(topics=limited), seen)
    assert (finding.sign, finding.title.partition(":")[0]) == ("failed", "this user may not write topic rpc.replies")
    (finding,) = acl_findings(subject(topics=Topics(replies="directory.replies")), seen)
    assert (finding.sign, finding.remedy[-25:]) == ("warning", "--topic directory.replies")


def test_a_client_needs_no_right_of_a_server() -> None:
    client = subject(serves=False, target="")
    seen = cluster(rpc_replies=there(rights=frozenset({"Read"})), rpc_cancels=there(rights=frozenset({"Write"})))
    (finding,) = acl_findings(client, seen)
    assert finding.title == "this user has the 3 rights that a client needs"


def test_services_that_a_client_may_not_call_are_named() -> None:
    topics = {"users": there(rights=frozenset()), "prices": there(rights=None)}
    (finding,) = call_findings(subject(), [instance(users="a"), instance(prices="b")], topics)
    assert finding.title == "this user may not call users"
    assert finding.remedy.endswith("--operation Write --topic users")


def test_nothing_is_asked_where_it_cannot_be_answered() -> None:
    assert (untimed(subject(), cluster()), unasked(subject(), cluster())) == ("", "")
    assert untimed(subject(), cluster(rpc_cancels=there(config={"message.timestamp.type": "CreateTime"})))
    mute = cluster(rpc_replies=there(rights=frozenset({"Write"})))
    assert unasked(subject(), mute) == "this user may not read topic rpc.replies"


def test_a_password_in_the_clear_is_a_warning_but_for_this_machine_alone() -> None:
    remote = subject(security=SASLPlaintext("alice", "alice-secret"), target="")
    (finding,) = wrong(config_findings(remote, [("kafka", 9092)], 0))
    assert (finding.sign, finding.title) == ("warning", "PLAIN without TLS sends the password in the clear")
    assert finding.remedy == "--tls, and a listener that has it"
    assert wrong(config_findings(remote, [("127.0.0.1", 9092), ("localhost", 9092)], 0)) == []
    assert "alice-secret" not in repr(list(config_findings(remote, [("kafka", 9092)], 0)))


def test_certificates_that_are_not_checked_or_expired_are_found(tmp_path: Path) -> None:
    kafka_script().make_certificate(tmp_path / "ca.pem")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    secure = subject(security=BaseSecurity(use_ssl=True, ssl_context=context))
    (fine,) = config_findings(secure, [], 0)
    assert fine.title == "kafka:9092, without a user, over TLS"
    (finding,) = wrong(config_findings(secure, [], 1e11))
    assert (finding.sign, finding.remedy) == ("failed", "get their successors")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    (finding,) = wrong(config_findings(secure, [], 0))
    assert finding.title.startswith("the brokers' certificates are not checked")


def test_remedies_speak_of_flags_or_of_the_broker_object_as_the_subject_has_them() -> None:
    refusal = {("kafka", 9092): Refusal("wants TLS", "it speaks TLS", "use_ssl=True")}
    assert next(bootstrap_findings(subject(), refusal)).remedy == "use_ssl=True"
    assert next(bootstrap_findings(subject(target=""), refusal)).remedy.startswith("connect by TLS: --tls")


def test_each_broker_is_reached_or_not() -> None:
    brokers = {1: ("a", 1), 2: ("b", 2), 3: ("c", 3)}
    reached = {
        ("a", 1): None,
        ("b", 2): Refusal("name", "no such name"),
        ("c", 3): Refusal("certificate", "not trusted"),
    }
    ok, name, certificate = broker_findings(subject(), brokers, reached)
    assert ok.title == "reached where it advertises itself: broker 1 at a:1"
    assert "advertised.listeners of broker 2" in name.remedy
    assert certificate.remedy.startswith("give the ssl_context its authority")


@pytest.mark.parametrize(
    ("ahead", "trip", "sign", "title"),
    [
        (900.0, 10.0, "ok", "this machine's clock is 900 ms behind the broker's (± 5 ms)"),
        (-1500.0, 20.0, "warning", "this machine's clock is 1500 ms ahead of the broker's (± 10 ms)"),
        (1100.0, 400.0, "ok", "this machine's clock is 1100 ms behind the broker's (± 200 ms)"),
        (None, 1.0, "skipped", "the broker did not tell its time"),
    ],
)
def test_a_clock_that_surely_differs_by_more_than_a_second_is_a_warning(
    ahead: float | None, trip: float, sign: str, title: str
) -> None:
    (finding,) = clock_findings(ahead, trip)
    assert (finding.sign, finding.title[: len(title)]) == (sign, title)
    assert ("NTP" in finding.remedy) == (sign == "warning")


def instance(version: str = "0.1.0", **hashes: str) -> Instance:
    services = [ServedService(name=n, contract_hash=h * 64, topics=[n], in_flight=0) for n, h in hashes.items()]
    return Instance(id="i", host="web1", pid=1, typedrpc=version, python="3.11", uptime=1, services=services)


def test_servers_that_do_not_agree_are_warnings() -> None:
    client = subject(serves=False, target="")
    (nobody,) = server_findings(client, [], 1)
    assert (nobody.sign, nobody.title) == ("warning", "no server answered within 1 s")
    rollout, versions = server_findings(client, [instance(users="a"), instance("0.0.9", users="b")], 1)
    assert rollout.title == "users: 2 servers serve 2 different contracts"
    assert versions.title == "servers and this command have different versions of typedrpc: 0.0.9, 0.1.0"
    (other,) = server_findings(subject(), [instance(users="a"), instance(users="b")], 1)
    assert other.title == "users: another contract than this code's is served by 1 of 2 servers, on web1"
    (fine,) = server_findings(subject(), [instance(users="a", prices="c")], 1)
    assert fine == Finding("servers", "ok", "users: 1 server, contract aaaaaaaaaaaa")
    (unserved,) = server_findings(subject(), [instance(prices="c")], 1)
    assert unserved.remedy.startswith("start one: `typedrpc run shop:rpc`")
