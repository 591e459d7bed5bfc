"""`scripts/kafka.py`: what it does without a Kafka, and one throw-away cluster of its own."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer  # pyright: ignore[reportMissingTypeStubs] - it has none
from aiokafka.errors import KafkaConnectionError  # pyright: ignore[reportMissingTypeStubs] - it has none

from real_kafka import kafka_script

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "kafka.py"

kafka = kafka_script()

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path_factory: pytest.TempPathFactory) -> Script:
    """Runs the script with the given arguments and environment, TYPEDRPC_KAFKA unset unless given.

    It is a copy elsewhere, which does not see a development cluster of this project that may be up.
    """
    copy = tmp_path_factory.mktemp("project") / "scripts" / SCRIPT.name
    copy.parent.mkdir()
    shutil.copy(SCRIPT, copy)

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TYPEDRPC_KAFKA")}
        return subprocess.run(
            [sys.executable, str(copy), *arguments], env=inherited | environment, capture_output=True, text=True
        )

    return run


@pytest.fixture
def empty_path(tmp_path: Path) -> str:
    """A PATH on which nothing but `true` is found: no java, no mvn, no docker."""
    true = shutil.which("true")
    assert true
    (tmp_path / "true").symlink_to(true)
    return str(tmp_path)


@pytest.fixture
def path_with(tmp_path: Path) -> Callable[..., str]:
    """A PATH with nothing but the given programs, each of which is a shell script."""

    def make(**programs: str) -> str:
        for name, text in programs.items():
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        return str(tmp_path)

    return make


def test_a_preset_kafka_is_handed_to_the_command_as_it_is(script: Script) -> None:
    result = script("run", "--", "sh", "-c", "echo $TYPEDRPC_KAFKA", TYPEDRPC_KAFKA="elsewhere:9092")
    assert (result.returncode, result.stdout) == (0, "elsewhere:9092\n")
    assert "using TYPEDRPC_KAFKA=elsewhere:9092" in result.stderr


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)])
def test_the_exit_status_is_that_of_the_command(script: Script, command: str, status: int) -> None:
    assert script("run", "--", "sh", "-c", command, TYPEDRPC_KAFKA="elsewhere:9092").returncode == status


def test_a_command_that_does_not_exist_is_127_and_starts_nothing(script: Script) -> None:
    result = script("run", "--", "no-such-command")
    assert (result.returncode, result.stderr) == (127, "kafka.py: no-such-command: command not found\n")


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "--"], ["up", "--", "true"], ["run", "--nodes", "0", "--", "true"]]
)
def test_wrong_usage_is_2(script: Script, arguments: list[str]) -> None:
    assert script(*arguments).returncode == 2


@pytest.mark.parametrize("arguments", [["check"], ["up"], ["run", "--", "true"]])
def test_without_java_it_says_what_to_install_and_is_3(script: Script, empty_path: str, arguments: list[str]) -> None:
    result = script(*arguments, PATH=empty_path)
    assert result.returncode == 3
    assert result.stdout == ""
    assert "java is not on the PATH" in result.stderr
    assert "sudo apt install default-jre-headless maven" in result.stderr
    assert "brew install openjdk maven" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_old_java_is_named(script: Script, path_with: Callable[..., str]) -> None:
    path = path_with(java="""echo 'openjdk version "11.0.2"' >&2""")
    result = script("check", PATH=path)
    assert result.returncode == 3
    assert f"{path}/java is Java 11" in result.stderr


def test_check_is_0_where_a_kafka_can_be_had(script: Script, path_with: Callable[..., str]) -> None:
    java = """echo 'openjdk version "17.0.15"' >&2"""
    result = script("check", PATH=path_with(java=java, mvn="exit 0"))
    assert (result.returncode, result.stderr) == (0, f"kafka.py: Kafka {kafka.KAFKA_VERSION} can run here on Java\n")
    assert script("check", PATH="", TYPEDRPC_KAFKA="elsewhere:9092").returncode == 0


def test_docker_stands_in_for_java_with_one_node_only(script: Script, path_with: Callable[..., str]) -> None:
    path = path_with(docker="exit 0")
    assert "on Docker" in script("check", PATH=path).stderr
    several = script("check", "--nodes", "3", PATH=path)
    assert several.returncode == 3
    assert "Docker runs one node only" in several.stderr


def test_a_secure_cluster_needs_java(monkeypatch: pytest.MonkeyPatch, path_with: Callable[..., str]) -> None:
    monkeypatch.setenv("PATH", path_with(docker="exit 0"))
    with pytest.raises(kafka.NoKafkaError, match="a secure cluster runs on Java only, and java is not on the PATH"):
        kafka.Cluster(users={"alice": "alice-secret"})


def test_a_docker_command_without_its_engine_is_no_kafka(script: Script, path_with: Callable[..., str]) -> None:
    assert script("check", PATH=path_with(docker="exit 1")).returncode == 3


def test_the_docker_command_publishes_the_advertised_ports(tmp_path: Path) -> None:
    node = kafka.Node(1, tmp_path, [20001, 20002, 20003])
    command: list[str] = kafka.docker_command(node, "a-name")
    assert command[:5] == ["docker", "run", "--rm", "--name", "a-name"]
    assert command[-1] == f"apache/kafka:{kafka.KAFKA_VERSION}"
    published = [value for option, value in itertools.pairwise(command) if option == "--publish"]
    assert published == [f"127.0.0.1:{port}:{port}" for port in (node.port, node.sasl_port)]
    environment = dict(value.split("=", 1) for option, value in itertools.pairwise(command) if option == "--env")
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == (
        f"PLAINTEXT://127.0.0.1:{node.port},SASL://127.0.0.1:{node.sasl_port}"
    )
    assert environment["KAFKA_LISTENERS"] == (
        f"PLAINTEXT://0.0.0.0:{node.port},SASL://0.0.0.0:{node.sasl_port},CONTROLLER://127.0.0.1:{node.controller_port}"
    )
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@127.0.0.1:{node.controller_port}"
    assert environment["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "1"
    assert environment["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "1"
    assert environment["CLUSTER_ID"]


@pytest.mark.parametrize(("nodes", "copies", "in_sync"), [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (5, "3", "2")])
def test_replication_follows_the_number_of_nodes(tmp_path: Path, nodes: int, copies: str, in_sync: str) -> None:
    cluster = [kafka.Node(number, tmp_path, [20001, 20002, 20003]) for number in range(1, nodes + 1)]
    settings: dict[str, str] = kafka.properties(cluster[0], cluster, data="data")
    assert settings["default.replication.factor"] == settings["offsets.topic.replication.factor"] == copies
    assert settings["min.insync.replicas"] == settings["transaction.state.log.min.isr"] == in_sync
    assert len(settings["controller.quorum.voters"].split(",")) == nodes


def test_the_ports_of_a_cluster_are_distinct() -> None:
    assert len(set(kafka.free_ports(30))) == 30


def test_a_port_where_nothing_answers_knows_no_brokers() -> None:
    assert kafka.known_brokers(kafka.free_ports(1)[0]) == set()


def test_destroy_spares_a_process_that_is_not_the_clusters(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    directory.mkdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        (directory / "1.pid").write_text(str(other.pid))
        kafka.destroy(directory)
        assert other.poll() is None
        other.kill()
    assert not directory.exists()


def test_a_cluster_refuses_a_directory_that_exists_and_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path_with: Callable[..., str]
) -> None:
    monkeypatch.setenv("PATH", path_with(docker="exit 0"))
    with pytest.raises(FileExistsError):
        kafka.Cluster(1, tmp_path).start()
    assert tmp_path.exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    if kafka.java_problem():
        pytest.skip(kafka.java_problem())
    with kafka.Cluster(1) as cluster:
        yield cluster
    assert not cluster.directory.exists()
    assert not cluster.nodes[0].running


@pytest.mark.kafka
def test_a_cluster_id_may_begin_with_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    if kafka.java_problem():
        pytest.skip(kafka.java_problem())
    monkeypatch.setattr(kafka.uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xfb" + bytes(15)))
    with kafka.Cluster(1) as cluster:
        assert_it_is_ready(cluster.nodes[0].port)


@pytest.mark.kafka
def test_a_node_freezes_resumes_and_starts_again_on_its_ports(cluster: Any) -> None:
    (node,) = cluster.nodes
    node.freeze()
    assert kafka.known_brokers(node.port) == set()
    assert node.running
    node.resume()
    assert_it_is_ready(node.port)
    node.terminate()
    assert not node.running
    node.start()
    assert_it_is_ready(node.port)


@pytest.mark.kafka
def test_brokers_compile_as_in_production_where_that_is_asked_for_only(cluster: Any) -> None:
    assert kafka.LIGHT_COMPILER in cluster.nodes[0].command
    with kafka.Cluster(jit=True) as benchmarked:
        assert kafka.LIGHT_COMPILER not in benchmarked.nodes[0].command
        assert_it_is_ready(benchmarked.nodes[0].port)


@pytest.mark.kafka
async def test_the_sasl_listener_tells_right_from_wrong_credentials(cluster: Any) -> None:
    def producer(password: str) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=cluster.sasl,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_plain_username="alice",
            sasl_plain_password=password,
        )

    right, wrong = producer("alice-secret"), producer("wrong")
    try:
        await right.start()
        with pytest.raises(KafkaConnectionError):
            await wrong.start()
    finally:
        await right.stop()
        await wrong.stop()


@pytest.mark.kafka
def test_killing_the_script_takes_its_brokers_along(script: Script, tmp_path: Path) -> None:
    if kafka.java_problem():
        pytest.skip(kafka.java_problem())
    told = tmp_path / "told"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TYPEDRPC_KAFKA")}
    command = f"echo $TYPEDRPC_KAFKA $$ > {told}; exec sleep 100"
    arguments = [sys.executable, str(SCRIPT), "run", "--", "sh", "-c", command]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: told.exists() and bool(told.read_text()), 60)
            address, pid = told.read_text().split()
            port = int(address.rpartition(":")[2])
            assert_it_is_ready(port)
        finally:
            process.kill()
    wait_until(lambda: not is_open(port), 30)
    os.kill(int(pid), signal.SIGKILL)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def assert_it_is_ready(port: int) -> None:
    """It listens, and answers: within 30 seconds, for each try has one only, and a broker that stood still enrols again."""
    assert is_open(port)
    wait_until(lambda: kafka.known_brokers(port) == {1}, 30)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
