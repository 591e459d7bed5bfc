"""Contenders in other languages, beside the peers of tests/interop: led by the same lines of JSON as `process`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.work import BYTES, NESTED, SMALL, WAIT
from typedrpc import Topics

_PEERS = Path(__file__).parent.parent / "tests/interop/peers"
_WORK = {
    "partitions": Topics().request_partitions,
    "waiting": WAIT,
    "small": SMALL.model_dump(),
    "nested": NESTED.model_dump(),
    "bytes": BYTES.decode(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`built_by` a tool, which makes the file `built`; the first word of `command` is the tool that runs it."""

    command: Sequence[str]
    built_by: str
    built: Path

    def missing(self) -> str | None:
        """What has to be installed, or made, before it runs."""
        if shutil.which(self.command[0]) is None:
            return self.command[0]
        if self.built.exists():
            return None
        return self.built_by if shutil.which(self.built_by) is None else "build of it (`make interop-peers`)"

    def start(self, role: str) -> list[str]:
        """The command of its server or client."""
        return [*self.command, role, json.dumps(_WORK)]


def _java(folder: Path, program: str) -> Program:
    """With the JVM's own compilers and collector; its peers' tests run without the slow ones."""
    path = f"{folder}/target/classes:{folder}/target/lib/*"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = ["java", "-Xmx1g", quiet, "-cp", path, f"peer.{program}"]
    return Program(command=command, built_by="mvn", built=folder / f"target/classes/peer/{program}.class")


def _node(program: Path) -> Program:
    return Program(command=["node", str(program)], built_by="npm", built=program)


SPRING = _java(_PEERS / "spring", "Bench")
NESTJS = _node(_PEERS / "nestjs/build/bench.js")
