"""The contenders: what each needs to be installed, and beside Kafka to be started."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from benchmarks.programs import NESTJS, SPRING, Program
from benchmarks.servers import free_port, nats_command, nats_server, rabbitmq_command, rabbitmq_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`command`: what starts it, None if not installed. `variable`: which tells contenders its address."""

    command: Callable[[], str | None]
    start: Callable[[], AbstractContextManager[str]]
    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A module on a `library`, or a `program`. `at_most`: so many calls at once, by work; why is beside.

    `compiles`: seconds of calls, of each work, until its run time has compiled what they go through.
    """

    library: str | None = None
    program: Program | None = None
    server: Server | None = None
    at_most: Mapping[str, int] = field(default_factory=dict[str, int])
    compiles: float = 0


NATS = Server(command=nats_command, start=nats_server, variable="BENCH_NATS")
RABBITMQ = Server(command=rabbitmq_command, start=rabbitmq_server, variable="BENCH_RABBITMQ")

CONTENDERS = {
    "typed": Peer(library="typedrpc"),
    "raw_send": Peer(library="aiokafka"),
    "raw_batch": Peer(library="aiokafka"),
    # One message at a time, and aiokafka's small default batches: 5,000 of these outlive its time-out of 10 s.
    "faststream_recipe": Peer(library="faststream", at_most={"nested": 1000, "bytes": 1000, "waiting": 1000}),
    "faststream_nats": Peer(library="nats", server=NATS),
    "nats_py": Peer(library="nats", server=NATS),
    "grpc_aio": Peer(library="grpc_tools"),
    "aio_pika": Peer(library="aio_pika", server=RABBITMQ),
    "spring": Peer(program=SPRING, compiles=10),
    "nestjs": Peer(program=NESTJS),
}
"""By the names of their modules, where they have one."""


def missing(peer: Peer) -> str | None:
    """What is not installed of what a contender needs."""
    if peer.library and importlib.util.find_spec(peer.library) is None:
        return peer.library
    if peer.program and (what := peer.program.missing()):
        return what
    if peer.server and peer.server.command() is None:
        return peer.server.start.__name__.replace("_", "-")
    return None


def command(contender: str, role: str) -> list[str]:
    """What starts its `server` or `client`."""
    program = CONTENDERS[contender].program
    return program.start(role) if program else [sys.executable, "-m", "benchmarks.process", contender, role]


@contextmanager
def servers(contenders: Sequence[str]) -> Generator[dict[str, str]]:
    """The environment of contenders' processes, while the servers run that they need."""
    environment = {**os.environ, "BENCH_NAME": f"bench-{uuid4().hex[:8]}", "BENCH_GRPC": f"127.0.0.1:{free_port()}"}
    with ExitStack() as stack:
        for server in (NATS, RABBITMQ):
            if any(CONTENDERS[each].server is server for each in contenders):
                environment[server.variable] = stack.enter_context(server.start())
        yield environment
