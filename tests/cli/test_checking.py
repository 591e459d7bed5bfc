"""`check`: on a real Kafka, on addresses where none is, and its decisions on facts that are hard to bring about."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext

from cli_runs import Command, Run
from real_kafka import kafka_script
from typedrpc import Topics
from typedrpc.cli.findings import (
    Finding,
    Subject,
    bootstrap_findings,
    broker_findings,
    clock_findings,
    config_findings,
    server_findings,
)
from typedrpc.cli.topic_findings import acl_findings, call_findings, topic_findings, unasked, untimed
from typedrpc.reflection import Instance, ServedService
from typedrpc.transport.kafka import connection_of
from typedrpc.transport.kafka.looking import Operation, SeenCluster, SeenTopic
from typedrpc.transport.kafka.refusal import Refusal

MODULE = """
import os
from faststream.kafka import KafkaBroker
from typedrpc import Rpc, Service, Topics, service

class Work(Service, service=os.environ["NAME"]):
    @service.method
    async def do(self) -> None: ...

topics = Topics(**{each: f"{os.environ['NAME']}.{each}" for each in ("replies", "cancels", "reflection")},
                request_partitions=3, reply_partitions=2)
broker = KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None)
rpc = Rpc(broker, topics=topics)
strict = Rpc(broker, topics=topics, create_topics=False)
shared = Rpc(broker)
memory = Rpc.in_memory()
caller = Rpc(broker)
for each in (rpc, strict, shared, memory):
    each.serve(Work())
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    (tmp_path / "elsewhere" / "checked.py").write_text(MODULE)
    return "checked"


def found(done: Run) -> list[Finding]:
    """What `--json` tells; the exit code fits it."""
    findings = [Finding(**each) for each in json.loads(done.out)]
    assert done.code == any(finding.sign == "failed" for finding in findings)
    assert done.err == ""
    return findings


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.sign != "ok"]


def one(findings: Iterable[Finding], check: str, sign: str) -> Finding:
    (finding,) = [each for each in findings if (each.check, each.sign) == (check, sign)]
    return finding


@pytest.mark.kafka
def test_a_server_that_works_is_ok_in_every_check(server: Path, run: Command, name: str, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "unseen.py", tmp_path / "elsewhere")
    done = run("check", "unseen:rpc", "--json", NAME=name)
    findings = found(done)
    assert wrong(findings) == []
    assert list(dict.fromkeys(each.check for each in findings)) == [
        "config", "connectivity", "topics", "acls", "clock", "servers",
    ]  # fmt: skip
    assert one(findings, "topics", "ok").title == "5 of 5 topics are as needed"
    assert one(findings, "acls", "ok").title == "this user has the 8 rights that a server needs"
    assert one(findings, "servers", "ok").title.startswith(f"{name}: 1 server, contract ")


@pytest.mark.kafka
def test_the_command_line_itself_is_checked_as_a_client(server: Path, run: Command, kafka: str, name: str) -> None:
    done = run("check")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"ok       config: {kafka}, without a user, without TLS"
    assert "ok       acls: this user has the 3 rights that a client needs" in lines
    assert any(line.startswith(f"ok       servers: {name}: 1 server, contract ") for line in lines)


@pytest.mark.kafka
def test_a_server_of_another_contract_is_named(server: Path, run: Command, name: str, module: str) -> None:
    warning = one(found(run("check", f"{module}:shared", "--json", NAME=name)), "servers", "warning")
    assert warning.title == f"{name}: 1 of 1 server serve another contract than this code, on {socket.gethostname()}"
    assert warning.remedy == f"deploy one of the two; `typedrpc describe {name}` shows what runs"


@pytest.mark.kafka
def test_missing_topics_are_named_and_not_made(kafka: str, run: Command, module: str, name: str) -> None:
    for _ in range(2):
        findings = found(run("check", f"{module}:rpc", "--json", NAME=name))
        warning = one(findings, "topics", "warning")
        assert warning.title == f"missing: {name}, {name}.replies, {name}.cancels, {name}.reflection"
        assert warning.remedy.startswith("`typedrpc topics apply checked:rpc` makes them, and so does the Rpc")
        assert one(findings, "clock", "skipped").title == f"topic {name}.cancels is missing or has no leader"
        assert one(findings, "servers", "skipped").title == f"topic {name}.reflection is missing or has no leader"
    failed = one(found(run("check", f"{module}:strict", "--json", NAME=name)), "topics", "failed")
    assert failed.remedy.endswith("with create_topics=False the Rpc does not, and cannot start")


@pytest.mark.kafka
def test_what_differs_of_topics_is_said_with_the_command_that_changes_it(
    kafka: str, run: Command, module: str, name: str
) -> None:
    create_time = {"message.timestamp.type": "CreateTime"}
    own = {
        topic: NewTopic(f"{name}{topic}", count, 1, topic_configs=create_time)
        for topic, count in (("", 2), (".replies", 4))
    }
    asyncio.run(make(kafka, list(own.values())))
    findings = found(run("check", f"{module}:rpc", "--json", NAME=name))
    few, clock, many, replies, missing = [each for each in findings if each.check == "topics"]
    assert few == Finding(
        "topics",
        "warning",
        f"{name} has 2 partitions, not 3",
        "it works, for at most 2 server processes at once; for more: "
        f"kafka-topics.sh --bootstrap-server {kafka} --alter --topic {name} --partitions 3",
    )
    assert clock.title == (
        f"{name} has message.timestamp.type=CreateTime: the time that a request waits there does not count, "
        "so expired ones are run"
    )
    assert clock.remedy == (
        f"kafka-configs.sh --bootstrap-server {kafka} --alter --entity-type topics --entity-name {name} "
        "--add-config message.timestamp.type=LogAppendTime"
    )
    assert many.remedy == "it works; a count cannot be lowered, so say Topics(reply_partitions=4)"
    assert "does not tell servers the broker's time" in replies.title
    assert missing.title == f"missing: {name}.cancels, {name}.reflection"


async def make(kafka: str, topics: list[NewTopic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics(topics)
        await asyncio.sleep(0.5)  # the broker that is asked hears of them a moment later
    finally:
        await admin.close()


def connection_failure(done: Run) -> Finding:
    """All that needs a connection is skipped."""
    findings = found(done)
    rest = [each for each in findings if each.check not in ("config", "connectivity")]
    assert {(each.sign, each.title) for each in rest} == {("skipped", "no connection")}
    assert len(rest) == 4
    return one(findings, "connectivity", "failed")


def test_a_port_where_nothing_listens_is_told_from_a_name_that_does_not_resolve(run: Command) -> None:
    failed = connection_failure(run("--kafka", "localhost:1", "check", "--json"))
    assert failed.title == "localhost:1: nothing listens there: the connection is refused"
    assert failed.remedy == "is Kafka up, and is this the port of one of its listeners?"
    failed = connection_failure(run("--kafka", "nothing.invalid:9092", "check", "--json"))
    assert failed.title.startswith("nothing.invalid:9092: the name 'nothing.invalid' does not resolve")
    assert failed.remedy.startswith("look for a misspelling")


def test_a_listener_that_never_answers_is_given_up(run: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        failed = connection_failure(run("--kafka", address, "check", "--json", "--timeout", "1"))
    assert failed.title == f"{address}: it takes the connection and did not answer Kafka's protocol within 1 s"
    assert failed.remedy.startswith("is this a port of Kafka's")


@pytest.mark.kafka
def test_tls_where_there_is_none_is_told(run: Command, kafka: str) -> None:
    failed = connection_failure(run("--kafka", kafka, "--tls", "check", "--json"))
    assert failed.title == f"{kafka}: it does not speak TLS and this client does"
    assert failed.remedy.startswith("leave out --tls (TYPEDRPC_TLS)")


@pytest.mark.kafka
def test_users_are_told_from_strangers(run: Command, kafka: str, sasl: str) -> None:
    flags = ["--sasl-mechanism", "PLAIN", "--sasl-username", "alice", "check", "--json"]
    right = run("--kafka", sasl, *flags, TYPEDRPC_SASL_PASSWORD="alice-secret")
    assert one(found(right), "acls", "ok").title == "alice has the 3 rights that a client needs"
    assert one(found(right), "config", "ok").title == f"{sasl}, as alice by PLAIN, without TLS"
    wrong_password = run("--kafka", sasl, *flags, TYPEDRPC_SASL_PASSWORD="guessed-secret")
    failed = connection_failure(wrong_password)
    assert "Invalid username or password" in failed.title
    assert failed.remedy.startswith("look at --sasl-username and TYPEDRPC_SASL_PASSWORD")
    assert "guessed-secret" not in wrong_password.out
    stranger = connection_failure(run("--kafka", sasl, "check", "--json"))
    assert stranger.remedy == "give --sasl-mechanism, --sasl-username and TYPEDRPC_SASL_PASSWORD"
    needless = connection_failure(run("--kafka", kafka, *flags, TYPEDRPC_SASL_PASSWORD="alice-secret"))
    assert needless.remedy.startswith("leave out --sasl-mechanism and --sasl-username")


@pytest.mark.kafka
def test_one_bootstrap_server_that_answers_is_enough(run: Command, kafka: str) -> None:
    findings = found(run("--kafka", f"127.0.0.1:1,{kafka}", "check", "--json"))
    assert one(findings, "connectivity", "warning").title.startswith("127.0.0.1:1: nothing listens there")
    assert one(findings, "acls", "ok")


@pytest.mark.kafka
def test_an_advertised_address_that_is_not_reached_fails_though_the_bootstrap_works(run: Command, kafka: str) -> None:
    host, _, port = kafka.partition(",")[0].partition(":")
    with misleading(host, int(port)) as address:
        findings = found(run("--kafka", address, "check", "--json"))
    failed = one(findings, "connectivity", "failed")
    assert failed.title == f"broker 1 advertises {host}:1: nothing listens there: the connection is refused"
    assert failed.remedy.startswith("clients are sent there after the bootstrap: let advertised.listeners of broker 1")
    assert one(findings, "connectivity", "ok").title == f"{address} answers"
    assert one(findings, "acls", "ok")  # which the bootstrap server tells
    assert one(findings, "servers", "skipped").title == "not all brokers are reached"


@contextmanager
def misleading(host: str, port: int) -> Iterator[str]:
    """A way to Kafka on which the answers' addresses are changed to a port where nothing is."""
    written = len(host).to_bytes(2) + host.encode()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, port)) as kafka:
                threading.Thread(target=pump, args=(self.request, kafka, bytes), daemon=True).start()
                pump(
                    kafka,
                    self.request,
                    lambda data: data.replace(written + port.to_bytes(4), written + bytes((0, 0, 0, 1))),
                )

    def pump(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has ended

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"127.0.0.1:{proxy.server_address[1]}"
        finally:
            proxy.shutdown()


def test_settings_that_do_not_fit_fail_the_first_check(run: Command) -> None:
    first, *rest = found(run("check", "--json", TYPEDRPC_SASL_USERNAME="alice"))
    assert (first.check, first.sign) == ("config", "failed")
    assert "--sasl-mechanism" in first.title
    assert [each.sign for each in rest] == ["skipped"] * 5
    for address in ("nowhere:port", "nowhere:99999", ""):
        title = found(run("--kafka", address, "check", "--json"))[0].title
        assert title == f"{[address]!r}: write each bootstrap server as HOST:PORT"


def test_an_rpc_in_memory_and_one_that_is_not_there_are_told(run: Command, module: str) -> None:
    failed = one(found(run("check", f"{module}:memory", "--json", NAME="n", TYPEDRPC_KAFKA="h:1")), "config", "failed")
    assert failed.title == "this Rpc is in memory: it uses no Kafka"
    done = run("check", f"{module}:absent", NAME="n", TYPEDRPC_KAFKA="h:1")
    assert (done.code, done.err.count("\n")) == (1, 1)


# Decisions alone


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


NOW = 1_800_000_000.0


def test_a_password_in_the_clear_is_a_warning_but_for_this_machine_alone() -> None:
    remote = subject(security=SASLPlaintext("alice", "alice-secret"), target="")
    (finding,) = wrong(config_findings(remote, [("kafka", 9092)], NOW))
    assert (finding.sign, finding.title) == ("warning", "PLAIN without TLS sends the password in the clear")
    assert finding.remedy == "--tls, and a listener that has it"
    assert wrong(config_findings(remote, [("127.0.0.1", 9092), ("localhost", 9092)], NOW)) == []
    assert "alice-secret" not in repr(list(config_findings(remote, [("kafka", 9092)], NOW)))


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
    assert ok.title == "1 broker advertises an address that is reached: 1 at a:1"
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
    assert other.title == "users: 1 of 2 servers serve another contract than this code, on web1"
    (fine,) = server_findings(subject(), [instance(users="a", prices="c")], 1)
    assert fine == Finding("servers", "ok", "users: 1 server, contract aaaaaaaaaaaa")
    (unserved,) = server_findings(subject(), [instance(prices="c")], 1)
    assert unserved.remedy.startswith("start one: `typedrpc run shop:rpc`")
