#!/usr/bin/env python3
"""Apache Kafka for tests and development, out of nothing but Java and Maven (or Docker).

    scripts/kafka.py run [--nodes N] [--jit] -- COMMAND…   a throw-away cluster around one command
    scripts/kafka.py up [--nodes N] [--jit]                a cluster that stays; use as: eval "$(scripts/kafka.py up)"
    scripts/kafka.py down                                  stop and remove what `up` made
    scripts/kafka.py check                                 can a Kafka be had here?

COMMAND finds the brokers in TYPEDRPC_KAFKA (host:port,…), and in TYPEDRPC_KAFKA_SASL the same brokers behind SASL/PLAIN
over SASL_PLAINTEXT, user alice, password alice-secret. `run` uses a TYPEDRPC_KAFKA that is already set as it is.

Exit status: that of COMMAND (128+n if signal n ended it); 2 wrong usage; 3 no Kafka can be had here; 4 Kafka failed.
"""

import argparse
import base64
import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import FrameType

KAFKA_VERSION = "4.1.0"
LOG4J_VERSION = "2.24.3"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
JVM_OPTIONS = ["-Xmx512m", "-XX:+UseSerialGC", "-Dlog4j2.level=INFO"]
LIGHT_COMPILER = "-XX:TieredStopAtLevel=1"  # saves tests CPU time; a broker that runs for long is slower by a sixth
KEY_STORE_PASSWORD = "throw-away"
START_TIMEOUT = 60.0
COMMAND_GRACE = 10.0

HOME = Path(__file__).resolve().parent.parent / ".kafka"
JARS = HOME / f"lib-{KAFKA_VERSION}"
DEVELOPMENT = HOME / "cluster"

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>typedrpc</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
  <version>{KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
  <version>{LOG4J_VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId>
  <version>{LOG4J_VERSION}</version></dependency>
</dependencies></project>
"""

HOW_TO_INSTALL = """no Kafka can be had here: {}. Install Java 17 or newer and Maven:
  Debian, Ubuntu:  sudo apt install default-jre-headless maven    (Ubuntu 22.04: openjdk-21-jre-headless maven)
  macOS:           brew install openjdk maven && export PATH="$(brew --prefix openjdk)/bin:$PATH"
or start Docker, or set TYPEDRPC_KAFKA to the host:port of a Kafka of your own."""


class KafkaError(Exception):
    """A cluster did not start or stop; the message says why, with the end of the broker's log."""

    exit_status = 4


class NoKafkaError(KafkaError):
    """Neither Java and Maven nor a Docker engine is here; the message says what to install."""

    exit_status = 3


class Interrupted(BaseException):
    """Raised in the main thread by SIGINT, SIGTERM and SIGHUP."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Node:
    """One broker (and controller): `port` without security, `sasl_port` with SASL/PLAIN, its output in `log`.

    Of a secure cluster also `tls_port`, and `scram_port` with SCRAM-SHA-512 over TLS.
    """

    def __init__(self, number: int, directory: Path, ports: Sequence[int]) -> None:
        self.number = number
        self.port, self.sasl_port, self.controller_port, self.tls_port, self.scram_port = [*ports, 0, 0][:5]
        self.log = directory / f"{number}.log"
        self.command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives; true for a frozen one."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start the broker, on the same ports and data as before, and wait until it answers.

        Raises KafkaError if it exits or is not ready in time, as without a majority of controllers; with `wait=False`
        it is not waited for.
        """
        self.launch(self.command)
        if wait:
            wait_ready([self], {self.number})

    def kill(self) -> None:
        """End the process with SIGKILL, frozen or not."""
        self._signal(signal.SIGKILL)
        self.wait()

    def terminate(self, timeout: float = 30) -> None:
        """Shut the broker down cleanly with SIGTERM; KafkaError if it still runs after `timeout` seconds."""
        self._signal(signal.SIGTERM)
        self.wait(timeout)

    def freeze(self) -> None:
        """Stop the process with SIGSTOP and wait until it stands still: its connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 1
        while self.running and self._process and time.monotonic() < deadline:
            if os.waitpid(self._process.pid, os.WUNTRACED | os.WNOHANG) != (0, 0):
                break
            time.sleep(0.001)

    def resume(self) -> None:
        """Let a frozen process go on with SIGCONT."""
        self._signal(signal.SIGCONT)

    def launch(self, command: Sequence[str]) -> None:
        """Run `command` as this node's process, out of reach of the terminal's Ctrl-C."""
        if self.running:
            raise KafkaError(f"broker {self.number} is already running")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.log.with_suffix(".pid").write_text(str(self._process.pid))

    def wait(self, timeout: float = START_TIMEOUT) -> int:
        """Wait until the process has ended and return its status; KafkaError if it still runs after `timeout`."""
        try:
            return self._process.wait(timeout) if self._process else 0
        except subprocess.TimeoutExpired:
            raise self.error(f"still runs after {timeout:g} s") from None

    def error(self, event: str) -> KafkaError:
        """What befell this broker, as an error with the end of its log."""
        tail = self.log.read_text(errors="replace").splitlines()[-30:]
        return KafkaError("\n".join([f"broker {self.number} {event}; the end of its log:", *tail]))

    def _signal(self, signum: int) -> None:
        if self._process:
            self._process.send_signal(signum)


class Cluster:
    """A Kafka cluster of `nodes` brokers that goes when this process goes, even by SIGKILL.

    With a `directory` it lives there, and stays until `destroy(directory)`. NoKafkaError where nothing can run it.
    On Docker there is one node, which can only start and stop: faults and `users` need Java.

    `users` (passwords by name, for SCRAM-SHA-512) make it secure: listeners `tls` and `scram` with the certificate
    `ca`, and a user may do what ACLs allow. Who comes without a name, by `bootstrap` or `tls`, is the super user.

    With `jit` Java compiles as in production, for benchmarks. On Docker it always does.
    """

    def __init__(
        self,
        nodes: int = 1,
        directory: Path | None = None,
        *,
        users: Mapping[str, str] | None = None,
        jit: bool = False,
    ) -> None:
        self._on_java = runs_on_java(nodes)
        self._compiler = [] if jit else [LIGHT_COMPILER]
        self._users = users or {}
        if self._users and not self._on_java:
            raise NoKafkaError(HOW_TO_INSTALL.format(f"a secure cluster runs on Java only, and {java_problem()}"))
        self._lasting = directory is not None
        self.directory = directory or Path(tempfile.gettempdir(), f"typedrpc-kafka-{uuid.uuid4().hex[:12]}")
        ports = free_ports(5 * nodes)
        self.nodes = [Node(i + 1, self.directory, ports[5 * i : 5 * i + 5]) for i in range(nodes)]
        self._lifeline: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The brokers without security, as host:port,…"""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def sasl(self) -> str:
        """The same brokers behind SASL/PLAIN, as host:port,…"""
        return ",".join(f"127.0.0.1:{node.sasl_port}" for node in self.nodes)

    @property
    def tls(self) -> str:
        """The brokers of a secure cluster behind TLS, as host:port,…"""
        return ",".join(f"127.0.0.1:{node.tls_port}" for node in self.nodes)

    @property
    def scram(self) -> str:
        """The brokers of a secure cluster behind SCRAM-SHA-512 over TLS, as host:port,…"""
        return ",".join(f"127.0.0.1:{node.scram_port}" for node in self.nodes)

    @property
    def ca(self) -> Path:
        """The certificate to trust, in PEM, of a secure cluster that was started."""
        return self.directory / "ca.pem"

    @property
    def environment(self) -> dict[str, str]:
        """What tells a command where the brokers are."""
        return {"TYPEDRPC_KAFKA": self.bootstrap, "TYPEDRPC_KAFKA_SASL": self.sasl}

    def start(self) -> None:
        """Start all brokers and wait until each answers and knows all others; if not, stop and raise KafkaError."""
        self.directory.mkdir(mode=0o700)
        try:
            if not self._lasting:
                self._lifeline = destroy_after_this_process(self.directory)
            if self._on_java:
                self._prepare_java()
            else:
                self._prepare_docker()
            for node in self.nodes:
                node.start(wait=False)
            wait_ready(self.nodes, {node.number for node in self.nodes})
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill all brokers and remove their data; safe to repeat."""
        for node in self.nodes:
            node.kill()
        destroy(self.directory)
        if self._lifeline:
            self._lifeline.communicate()

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _prepare_java(self) -> None:
        java = ["java", *JVM_OPTIONS, *self._compiler, "-cp", f"{jars()}/*"]
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        scram = [f"--add-scram=SCRAM-SHA-512=[name={name},password={word}]" for name, word in self._users.items()]
        if self._users:
            make_certificate(self.ca)
        for node in self.nodes:
            file = node.log.with_suffix(".properties")
            settings = properties(node, self.nodes, data=str(node.log.with_suffix(".data")))
            if self._users:
                settings = secured(settings, node, key_store(self.ca))
            file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
            node.command = [*java, "kafka.Kafka", str(file)]
            format_storage = [
                "kafka.tools.StorageTool",
                "format",
                f"--cluster-id={cluster_id}",
                "-c",
                str(file),
                *scram,
            ]
            node.launch([*java, *format_storage])
        for node in self.nodes:
            if node.wait():
                raise node.error("could not format its storage")

    def _prepare_docker(self) -> None:
        name = f"typedrpc-kafka-{self.nodes[0].port}"
        if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True).returncode:
            subprocess.run(["docker", "pull", IMAGE], stdout=sys.stderr)
        (self.directory / "container").write_text(name)
        self.nodes[0].command = docker_command(self.nodes[0], name)


def properties(node: Node, nodes: Sequence[Node], data: str, listen: str = "127.0.0.1") -> dict[str, str]:
    """The server.properties of one of `nodes`."""
    copies, in_sync = ("3", "2") if len(nodes) >= 3 else (str(len(nodes)), "1")
    plain, sasl = f"PLAINTEXT://{{}}:{node.port}", f"SASL://{{}}:{node.sasl_port}"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    internal = {
        f"{topic}.{key}": value
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
        for key, value in {"num.partitions": "4", "replication.factor": copies, "min.isr": in_sync}.items()
        if (topic, key) != ("offsets.topic", "min.isr")
    }
    return internal | {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "log.dirs": data,
        "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in nodes),
        "listeners": f"{plain},{sasl},CONTROLLER://127.0.0.1:{node.controller_port}".format(listen, listen),
        "advertised.listeners": f"{plain},{sasl}".format("127.0.0.1", "127.0.0.1"),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": f'{login} required user_alice="alice-secret";',
        "num.partitions": "4",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "true",
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",  # by default 9 s pass until a killed broker is replaced or may restart
    }


def secured(settings: Mapping[str, str], node: Node, keys: Path) -> dict[str, str]:
    """The server.properties with listeners for TLS and for SCRAM over TLS, and with ACLs."""
    more = f",SSL://127.0.0.1:{node.tls_port},SCRAM://127.0.0.1:{node.scram_port}"
    return {
        **settings,
        "listeners": settings["listeners"] + more,
        "advertised.listeners": settings["advertised.listeners"] + more,
        "listener.security.protocol.map": settings["listener.security.protocol.map"] + ",SSL:SSL,SCRAM:SASL_SSL",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(keys),
        "ssl.keystore.password": KEY_STORE_PASSWORD,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # the brokers themselves, too
    }


def key_store(ca: Path) -> Path:
    """Where the key of that certificate is."""
    return ca.with_suffix(".p12")


def make_certificate(ca: Path) -> None:
    """Make a key for 127.0.0.1 and the file `ca` with its certificate, which is its own CA, by Java's keytool."""
    store = ["-storetype", "PKCS12", "-keystore", str(key_store(ca)), "-storepass", KEY_STORE_PASSWORD, "-alias", "it"]
    extensions = ["san=ip:127.0.0.1", "bc:critical=ca:true", "ku:critical=digitalSignature,keyCertSign"]
    extended = [word for extension in extensions for word in ("-ext", extension)]
    key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "30", "-dname", "CN=kafka.py"]
    for command in (
        ["-genkeypair", *store, *key, *extended],
        ["-exportcert", *store, "-rfc", "-file", str(ca)],
    ):
        result = subprocess.run(["keytool", *command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode:
            raise KafkaError(f"keytool could not make a certificate:\n{result.stdout}{result.stderr}".strip())


def docker_command(node: Node, name: str) -> list[str]:
    """The `docker run`, in the foreground, of a cluster of this one node; its settings are KAFKA_… variables."""
    command = ["docker", "run", "--rm", "--name", name, "--label", f"directory={node.log.parent}/"]
    for port in (node.port, node.sasl_port):
        command += ["--publish", f"127.0.0.1:{port}:{port}"]
    settings = properties(node, [node], data="/tmp/kraft-combined-logs", listen="0.0.0.0")
    environment = {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in settings.items()}
    environment |= {"KAFKA_HEAP_OPTS": JVM_OPTIONS[0], "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw"}
    for key, value in environment.items():
        command += ["--env", f"{key}={value}"]
    return [*command, IMAGE]


def known_brokers(port: int) -> set[int]:
    """The node ids in the Metadata (v1, of no topic) that 127.0.0.1:`port` answers; none while it does not."""
    request = struct.pack(">ihhihi", 14, 3, 1, 0, -1, 0)
    brokers: set[int] = set()
    with contextlib.suppress(OSError, struct.error), socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(request)
        reply = connection.makefile("rb")
        for _ in range(struct.unpack(">8xi", reply.read(12))[0]):
            number, host_length = struct.unpack(">ih", reply.read(6))
            reply.read(host_length + 6)
            brokers.add(number)
    return brokers


def wait_ready(nodes: Sequence[Node], wanted: set[int]) -> None:
    """Return when each of `nodes` answers and knows all `wanted` brokers; KafkaError if one exits or after 60 s."""
    deadline = time.monotonic() + START_TIMEOUT
    for node in nodes:
        while not known_brokers(node.port) >= wanted:
            for other in nodes:
                if not other.running:
                    raise other.error("exited")
            if time.monotonic() > deadline:
                raise node.error(f"was not ready within {START_TIMEOUT:g} s")
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Distinct free TCP ports, below those given to outgoing connections: a killed broker finds its own free again."""
    found: list[int] = []
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found[:count]


def destroy_after_this_process(directory: Path) -> subprocess.Popen[bytes]:
    """Start a process that destroys `directory` when its standard input, which only this process holds, is closed."""
    command = [sys.executable, "-I", __file__, "destroy-after", str(directory)]
    null = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)


def destroy(directory: Path) -> None:
    """Kill what the cluster in `directory` has running and remove the directory; safe to repeat."""
    for file in directory.glob("*.pid"):
        while lives(file):
            os.kill(int(file.read_text()), signal.SIGKILL)
            time.sleep(0.01)
    with contextlib.suppress(FileNotFoundError):
        name = (directory / "container").read_text()
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def lives(pid_file: Path) -> bool:
    """Whether the process is alive and its command names the cluster's directory: numbers are used again."""
    pid = pid_file.read_text()
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        command = "" if sys.platform == "linux" else subprocess.getoutput(f"ps -ww -o args= -p {pid}")
    return f"{pid_file.parent}/" in command


def runs_on_java(nodes: int) -> bool:
    """Whether `nodes` brokers can run on Java (True) or on Docker (False); NoKafkaError if on neither."""
    if not (missing := java_problem()):
        return True
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if subprocess.run(["docker", "version"], capture_output=True, timeout=10).returncode == 0:
            if nodes == 1:
                return False
            missing += ", and Docker runs one node only"
    raise NoKafkaError(HOW_TO_INSTALL.format(missing))


def java_problem() -> str:
    """What keeps Kafka from running on Java here; '' if nothing does."""
    if not shutil.which("java"):
        return "java is not on the PATH"
    version = re.search(r'version "(\d+)', subprocess.run(["java", "-version"], capture_output=True, text=True).stderr)
    if not version or int(version[1]) < 17:
        return f"{shutil.which('java')} is " + (f"Java {version[1]}" if version else "no working Java")
    return "" if JARS.is_dir() or shutil.which("mvn") else "mvn is not on the PATH"


def jars() -> Path:
    """The folder with Kafka's jars, downloaded by Maven the first time; KafkaError if that fails."""
    if JARS.is_dir():
        return JARS
    say(f"downloading Kafka {KAFKA_VERSION} to {JARS}")
    make_home()
    with tempfile.TemporaryDirectory(prefix="download-", dir=HOME) as folder:
        Path(folder, "pom.xml").write_text(POM)
        maven = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
        result = subprocess.run(maven, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode:
            raise KafkaError(f"Maven could not download Kafka:\n{result.stdout}{result.stderr}".strip())
        with contextlib.suppress(OSError):  # another script was faster
            Path(folder, "lib").rename(JARS)
    return JARS


def make_home() -> None:
    """Make the project's .kafka folder, which git does not see."""
    HOME.mkdir(exist_ok=True)
    (HOME / ".gitignore").write_text("*\n")


def run(command: Sequence[str], nodes: int, jit: bool) -> int:
    """Run `command` with a throw-away cluster, or with what TYPEDRPC_KAFKA names; return its exit status."""
    if not shutil.which(command[0]):
        say(f"{command[0]}: command not found")
        return 127
    if given := os.environ.get("TYPEDRPC_KAFKA"):
        say(f"using TYPEDRPC_KAFKA={given}")
        return run_command(command, os.environ)
    began = time.monotonic()
    cluster = Cluster(nodes, jit=jit)
    try:
        cluster.start()
        say(f"Kafka {KAFKA_VERSION} is at {cluster.bootstrap} after {time.monotonic() - began:.1f} s")
        status = run_command(command, {**os.environ, **cluster.environment})
        for node in cluster.nodes:
            if not node.running:
                say(str(node.error("died during the command")))
        return status
    finally:
        on_signals(signal.SIG_IGN)
        cluster.stop()


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `command`, passing on signals, and return its exit status: 128+n if signal n ended it."""
    process = subprocess.Popen(command, env=environment)
    grace = None
    while True:
        try:
            status = process.wait(grace)
            return 128 - status if status < 0 else status
        except subprocess.TimeoutExpired:
            process.kill()
        except Interrupted as interrupted:
            if interrupted.signum != signal.SIGINT or not in_foreground():
                process.send_signal(interrupted.signum)
                grace = COMMAND_GRACE


def in_foreground() -> bool:
    """Whether the terminal's Ctrl-C reaches the command without us."""
    with contextlib.suppress(OSError), open("/dev/tty") as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False


def up(nodes: int, jit: bool) -> int:
    """Start the development cluster unless it is up, and print the `export` lines for it."""
    exports = DEVELOPMENT / "exports"
    with only_one():
        pid_files = list(DEVELOPMENT.glob("*.pid"))
        if exports.exists() and all(map(lives, pid_files)):
            say(f"already up with {len(pid_files)} node(s)")
        else:
            destroy(DEVELOPMENT)
            cluster = Cluster(nodes, DEVELOPMENT, jit=jit)
            cluster.start()
            exports.write_text("".join(f"export {name}={value}\n" for name, value in cluster.environment.items()))
            say(f"up with {nodes} node(s), logs and data in {DEVELOPMENT}")
        print(exports.read_text(), end="", flush=True)
    return 0


def down() -> int:
    """Stop and remove the development cluster, if there is one."""
    with only_one():
        say("down" if DEVELOPMENT.exists() else "was not up")
        destroy(DEVELOPMENT)
    return 0


@contextlib.contextmanager
def only_one() -> Generator[None, None, None]:
    """Keep `up` and `down` of one project from running at the same time."""
    make_home()
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check(nodes: int) -> int:
    """Say what a Kafka would be had from; NoKafkaError if from nothing."""
    if given := os.environ.get("TYPEDRPC_KAFKA"):
        say(f"TYPEDRPC_KAFKA={given} is used")
    else:
        say(f"Kafka {KAFKA_VERSION} can run here on {'Java' if runs_on_java(nodes) else 'Docker'}")
    return 0


def say(message: str) -> None:
    """Tell the user, on standard error."""
    print(f"kafka.py: {message}", file=sys.stderr, flush=True)


def interrupt(signum: int, _frame: FrameType | None) -> None:
    """Handle a signal by raising Interrupted."""
    raise Interrupted(signum)


def on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Handle the signals that end a script by `handler`."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, handler)


def main(arguments: list[str]) -> int:
    """Do what the command line says and return the exit status."""
    if arguments[:1] == ["destroy-after"]:
        sys.stdin.read()
        destroy(Path(arguments[1]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["run", "up", "down", "check"])
    parser.add_argument("--nodes", type=int, default=1, choices=range(1, 10), metavar="N", help="brokers (default 1)")
    parser.add_argument("--jit", action="store_true", help="brokers compile as in production, for benchmarks")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, command = parser.parse_args(arguments[:end]), arguments[end + 1 :]
    if (options.verb == "run") != bool(command):
        parser.error("run, and only run, takes a command after --")
    on_signals(interrupt)
    try:
        match options.verb:
            case "run":
                return run(command, options.nodes, options.jit)
            case "up":
                return up(options.nodes, options.jit)
            case "down":
                return down()
            case _:
                return check(options.nodes)
    except KafkaError as error:
        say(str(error))
        return error.exit_status
    except Interrupted as interrupted:
        return 128 + interrupted.signum


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
