"""Processes of other frameworks, in their own languages, that serve or call at our word.

Each program under `peers/` takes its options as one argument of JSON and says `"ready"` when it serves or can call. Then
each line of JSON on its standard input is an order, with an `id` that the line with the answer has too:

- to a client `{"op": "call", "topic", "value", "timeout", "times", "at_once"}`, with `key`, `partition` and `headers` if
  given: `{"outcomes": [{"value": …} or {"error": …, "kind": "timeout", "rejected" or "failed"}, …]}`, one for each of
  `times` calls, of which `at_once` at most are under way. `{n}` in texts of the order is the call's number, from 0;
- to a client `{"op": "emit", "topic", "value"}`: a request that asks for no reply;
- to a server `{"op": "seen"}`: `{"value": [{"topic", "key", "value"}, …]}`, what its handlers were called with.

It ends when its standard input does. All servers have these handlers, and `handlers` says on which topics:

- `echo` answers a JSON object as it is; `upper` answers a text in capitals, null with an empty text; `slow` answers the text of the request, that many
  seconds later; `null` answers null as far as its framework can;
- `void` answers nothing;
- `fail` refuses with the text of the request, in the way of its framework that tells the client if it has one; `crash`
  raises an ordinary exception, with nothing configured for it.

NestJS also has `event` (an @EventPattern), and `stream`, a reply for each letter of a text.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

Framework = Literal["spring", "nestjs", "smallrye", "faststream"]
Kind = Literal["timeout", "rejected", "failed"]

PEERS = Path(__file__).parent / "peers"
JAVA = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
QUIET = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.jboss.logging.provider=slf4j"]
READY = 60.0  # seconds; a JVM needs a few on a machine that is busy
ANSWER = 60.0
END = 10.0


class PeerError(Exception):
    """A peer ended, or did not answer in time; the message has its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a call: a value, or an error where there is a `kind`."""

    value: Any = None
    error: Any = None
    kind: Kind | None = None


class Peer:
    """A process that serves or calls; made by `server` and `client`."""

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self._ids = itertools.count(1)
        self._ready = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, framework: Framework, options: Mapping[str, Any]) -> AsyncGenerator[Peer]:
        """Start one, wait until it is ready, and end it afterwards. Raises PeerError where it does not get ready."""
        with tempfile.TemporaryFile() as log:
            process = await asyncio.create_subprocess_exec(
                *command(framework),
                json.dumps(options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=2**26,  # a line of a thousand outcomes is long
            )
            peer = cls(process, log)
            try:
                await peer._awaited(peer._ready, READY, "get ready")
                yield peer
                await peer._end()
            finally:
                await peer._kill()

    async def outcomes(
        self,
        topic: str,
        value: object,
        *,
        times: int = 1,
        at_once: int = 1,
        timeout: float = 10.0,
        key: str | None = None,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Outcome]:
        """What became of `times` calls of a client; `timeout`, in seconds, is that of each."""
        given = {"key": key, "partition": partition, "headers": headers}
        order = {"op": "call", "topic": topic, "value": value, "timeout": timeout, "times": times, "at_once": at_once}
        order |= {name: it for name, it in given.items() if it is not None}
        answer = await self._ask(order, ANSWER + timeout)
        return [Outcome(**outcome) for outcome in answer["outcomes"]]

    async def call(self, topic: str, value: object, *, timeout: float = 10.0, **how: Any) -> Outcome:
        """What became of one call of a client; `how` as of `outcomes`."""
        [outcome] = await self.outcomes(topic, value, timeout=timeout, **how)
        return outcome

    async def emit(self, topic: str, value: object) -> None:
        """Let a client send a request that asks for no reply."""
        await self._ask({"op": "emit", "topic": topic, "value": value})

    async def seen(self) -> list[dict[str, Any]]:
        """Every request that the handlers of a server were called with: `topic`, `key` and `value`."""
        seen: list[dict[str, Any]] = (await self._ask({"op": "seen"}))["value"]
        return seen

    async def _ask(self, order: dict[str, Any], timeout: float = ANSWER) -> dict[str, Any]:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order | {"id": number}).encode() + b"\n")
            await self._process.stdin.drain()
            answered: dict[str, Any] = await self._awaited(answer, timeout, f"answer {order}")
            return answered
        finally:
            del self._answers[number]

    async def _awaited(self, what: asyncio.Future[Any], timeout: float, to: str) -> Any:
        await asyncio.wait([what, self._reading], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if what.done():
            return what.result()
        ended = self._reading.done()
        raise PeerError(
            f"the peer {'has ended and ' if ended else ''}did not {to}; its log:\n{self._log_text()}"
        ) from (self._reading.exception() if ended else None)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said: Any = json.loads(line)
            if said == "ready":
                self._ready.set_result(None)
            elif waiting := self._answers.get(said["id"]):
                del said["id"]
                waiting.set_result(said)

    async def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), END)
        except TimeoutError:
            raise PeerError(f"the peer did not end with its input; its log:\n{self._log_text()}") from None

    async def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def _log_text(self) -> str:
        lines = os.pread(self._log.fileno(), 10_000_000, 0).decode(errors="replace").splitlines()
        lines = [line for line in lines if not line.startswith("\tat ")]  # the frames of Java's traces
        return "\n".join(lines if len(lines) < 60 else [*lines[:30], "…", *lines[-30:]])


def command(framework: Framework) -> list[str]:
    """How a peer is started, without its options."""
    folder = PEERS / framework
    match framework:
        case "spring" | "smallrye":
            return [*JAVA, *QUIET, "-cp", f"{folder}/target/classes:{folder}/target/lib/*", "peer.Peer"]
        case "nestjs":
            return ["node", f"{folder}/build/peer.js"]
        case "faststream":
            return [sys.executable, f"{PEERS}/faststream_recipe.py"]


def server(
    framework: Framework, bootstrap: str, handlers: Mapping[str, str], **options: object
) -> AbstractAsyncContextManager[Peer]:
    """Run a server with these handlers, each on its topic; the options of each framework are at its program."""
    return Peer.running(framework, {"role": "server", "bootstrap": bootstrap, "handlers": handlers, **options})


def client(framework: Framework, bootstrap: str, **options: object) -> AbstractAsyncContextManager[Peer]:
    """Run a client; the options of each framework are at its program."""
    return Peer.running(framework, {"role": "client", "bootstrap": bootstrap, **options})


async def make_topics(bootstrap: str, *names: str, partitions: int = 3) -> None:
    """Make topics before the peers start: NestJS ends without its own, and others wait for metadata to be renewed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
        async with asyncio.timeout(30):
            while any(p["leader"] < 0 for t in await admin.describe_topics([*names]) for p in t["partitions"]):  # noqa: ASYNC110  # only asking tells
                await asyncio.sleep(0.02)
    finally:
        await admin.close()
