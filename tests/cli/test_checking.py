"""`check`, on a real Kafka and on addresses where none is."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import socketserver
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli_runs import Command, Run, patiently
from typedrpc.cli.check.findings import Finding

MODULE = """
import os
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity
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
commas = Rpc(KafkaBroker("one:9092,two:9092"))
bare = Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], security=BaseSecurity(use_ssl=True)))
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
    findings = patiently(lambda: found(run("check", "unseen:rpc", "--json", NAME=name)), lambda all: not wrong(all))
    assert wrong(findings) == []
    assert list(dict.fromkeys(each.check for each in findings)) == [
        "config", "connectivity", "topics", "acls", "clock", "servers",
    ]  # fmt: skip
    assert one(findings, "topics", "ok").title == "5 of 5 topics are as needed"
    assert one(findings, "acls", "ok").title == "this user has the 8 rights that a server needs"
    assert one(findings, "servers", "ok").title.startswith(f"{name}: 1 server, contract ")


@pytest.mark.kafka
def test_the_command_line_itself_is_checked_as_a_client(server: Path, run: Command, kafka: str, name: str) -> None:
    done = patiently(lambda: run("check"), lambda done: f"servers: {name}" in done.out)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"ok       config: {kafka}, without a user, without TLS"
    assert "ok       acls: this user has the 3 rights that a client needs" in lines
    assert any(line.startswith(f"ok       servers: {name}: 1 server, contract ") for line in lines)


@pytest.mark.kafka
def test_a_server_of_another_contract_is_named(server: Path, run: Command, name: str, module: str) -> None:
    findings = patiently(
        lambda: found(run("check", f"{module}:shared", "--json", NAME=name)),
        lambda all: any("another contract" in each.title for each in all),
    )
    warning = one(findings, "servers", "warning")
    assert (
        warning.title
        == f"{name}: another contract than this code's is served by 1 of 1 server, on {socket.gethostname()}"
    )
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
    asyncio.run(make(kafka, {name: 2, f"{name}.replies": 4}))
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


async def make(kafka: str, topics: dict[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        create_time = {"message.timestamp.type": "CreateTime"}
        await admin.create_topics([NewTopic(name, n, 1, topic_configs=create_time) for name, n in topics.items()])
        while not all(each["partitions"] for each in await admin.describe_topics(list(topics))):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
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
    assert failed.remedy.startswith("is this a port of Kafka's, and not of a proxy")


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
def misleading(host: str, port: int) -> Generator[str]:
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
        assert title == f"--kafka (TYPEDRPC_KAFKA): {[address]!r}: write each bootstrap server as HOST:PORT"


def test_several_addresses_in_one_text_are_told(run: Command, module: str) -> None:
    failed = one(found(run("check", f"{module}:commas", "--json", NAME="n", TYPEDRPC_KAFKA="h:1")), "config", "failed")
    assert failed.title.endswith("give several bootstrap servers as a list, not as one text with commas")
    assert failed.remedy == "change it where checked:commas is made"


@pytest.mark.kafka
def test_tls_without_a_context_is_told(run: Command, module: str, kafka: str) -> None:
    failed = connection_failure(run("check", f"{module}:bare", "--json", NAME="n"))
    assert failed.title == f"{kafka}: use_ssl=True needs an ssl_context"
    assert failed.remedy == "give the broker's security one: ssl.create_default_context()"


def test_an_rpc_in_memory_and_one_that_is_not_there_are_told(run: Command, module: str) -> None:
    failed = one(found(run("check", f"{module}:memory", "--json", NAME="n", TYPEDRPC_KAFKA="h:1")), "config", "failed")
    assert failed.title == "this Rpc is in memory: it uses no Kafka"
    done = run("check", f"{module}:absent", NAME="n", TYPEDRPC_KAFKA="h:1")
    assert (done.code, done.err.count("\n")) == (2, 1)
