"""One run: three brokers, servers and clients as processes, and the faults that befall them in their time."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from chaos.checker import Verdict, check, last_failure
from chaos.journal import read_client, read_runs
from chaos.schedule import Fault
from chaos.soak import Memory

TESTS = Path(__file__).parent.parent
_ENDS = 60.0
"""Seconds that a process may take to end what it has begun."""


@dataclass
class Process:
    """A client or a server, driven by lines to its standard input."""

    name: str
    journal: Path
    process: asyncio.subprocess.Process

    async def order(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def ready(self) -> None:
        while not self.journal.exists() or not self.journal.stat().st_size:
            if self.process.returncode is not None:
                raise RuntimeError(f"{self.name} ended: see {self.journal.with_suffix('.log')}")
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def end(self) -> None:
        """Lets it end by itself; kills it, and so fails the run, where it does not."""
        await self.order("stop")
        try:
            await asyncio.wait_for(self.process.wait(), _ENDS)
        except TimeoutError:
            print(f"{self.name} did not end within {_ENDS:g} s")
            await self.kill()


@dataclass
class Run:
    """What is running, and what was killed on purpose. Rates are calls a second of each client."""

    cluster: Any
    folder: Path
    seed: int
    rate: float = 0.0
    at_once: int = 0
    servers: list[Process] = field(default_factory=list[Process])
    clients: list[Process] = field(default_factory=list[Process])
    killed: set[str] = field(default_factory=set[str])
    befell: list[tuple[float, Fault]] = field(default_factory=list[tuple[float, Fault]])
    _made: int = 0
    _counted: dict[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])

    async def start(self, servers: int, clients: int) -> None:
        self.servers = [await self._launch("server") for _ in range(servers)]
        for server in self.servers:
            await server.ready()
        self.clients = [await self._launch("client") for _ in range(clients)]
        for client in self.clients:
            await client.ready()

    async def let_befall(self, faults: Sequence[Fault], calls: int, memory: Memory | None = None) -> None:
        """Returns when so many calls were made; the faults that are due later are left out."""
        began = time.monotonic()
        befalling: list[asyncio.Task[None]] = []
        waiting = list(faults)
        while self.calls_begun() < calls:
            while waiting and time.monotonic() - began >= waiting[0].at:
                fault = waiting.pop(0)
                print(f"{time.monotonic() - began:7.1f} s  {fault.kind}", flush=True)
                self.befell.append((time.monotonic(), fault))
                befalling.append(asyncio.create_task(getattr(self, f"_{fault.kind.name.lower()}")(fault)))
            if memory is not None:
                memory.sample([*self.clients, *self.servers])
            await asyncio.sleep(0.5)
        await asyncio.gather(*befalling)

    async def stop(self) -> None:
        """Clients first, then, when what they told was done, the servers."""
        await asyncio.gather(*(client.end() for client in self.clients))
        deadline = time.monotonic() + _ENDS
        while self.verdict().violations.get("accepted and never run") and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(1)
        await asyncio.gather(*(server.end() for server in self.servers))

    async def kill(self) -> None:
        """Where a run is given up."""
        for process in [*self.clients, *self.servers]:
            if process.process.returncode is None:
                await process.kill()

    def calls_begun(self) -> int:
        for path in self.folder.glob("client-*.tsv"):
            read, count = self._counted.get(path, (0, 0))
            with path.open("rb") as journal:
                journal.seek(read)
                new = journal.read()
            new = new[: new.rfind(b"\n") + 1]
            self._counted[path] = read + len(new), count + new.count(b"\tbegin\t")
        return sum(count for _, count in self._counted.values())

    def verdict(self) -> Verdict:
        clients = {path.stem: read_client(path) for path in sorted(self.folder.glob("client-*.tsv"))}
        runs = (run for path in sorted(self.folder.glob("server-*.tsv")) for run in read_runs(path))
        return check(clients, self.killed, runs)

    def recoveries(self) -> list[tuple[Fault, float | None]]:
        """Each fault with the seconds until the last call after it that failed was begun, before the next fault."""
        clients = [read_client(path) for path in sorted(self.folder.glob("client-*.tsv"))]
        times = [at for at, _ in self.befell] + [float("inf")]
        return [(fault, last_failure(clients, at, times[n + 1])) for n, (at, fault) in enumerate(self.befell)]

    async def _launch(self, role: str) -> Process:
        self._made += 1
        name = f"{role}-{self._made}"
        journal = self.folder / f"{name}.tsv"
        arguments = [self.cluster.bootstrap, str(journal)]
        if role == "client":
            arguments += [name, str(self.seed), str(self.rate), str(self.at_once)]
        with journal.with_suffix(".log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"chaos.{role}", *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=TESTS,
            )
        return Process(name, journal, process)

    # The faults, by the names of their kinds

    async def _kill_client(self, fault: Fault) -> None:
        client = self.clients.pop(fault.which % len(self.clients))
        self.killed.add(client.name)
        await client.kill()
        self.clients.append(await self._launch("client"))

    async def _kill_server(self, fault: Fault) -> None:
        await self.servers.pop(fault.which % len(self.servers)).kill()
        self.servers.append(await self._launch("server"))

    async def _restart_server(self, fault: Fault) -> None:
        old = self.servers.pop(fault.which % len(self.servers))
        new = await self._launch("server")
        self.servers.append(new)
        await new.ready()
        old.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(old.process.wait(), _ENDS)

    async def _freeze_server(self, fault: Fault) -> None:
        server = self.servers[fault.which % len(self.servers)]
        server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        server.process.send_signal(signal.SIGCONT)

    async def _block_server(self, fault: Fault) -> None:
        await self.servers[fault.which % len(self.servers)].order(f"block {fault.seconds}")

    async def _block_client(self, fault: Fault) -> None:
        await self.clients[fault.which % len(self.clients)].order(f"block {fault.seconds}")

    async def _skew_server(self, fault: Fault) -> None:
        await self.servers[fault.which % len(self.servers)].order(f"skew {60 if fault.which % 2 else -60}")

    async def _skew_client(self, fault: Fault) -> None:
        await self.clients[fault.which % len(self.clients)].order(f"skew {60 if fault.which % 2 else -60}")

    async def _fetch_server(self, fault: Fault) -> None:
        await self.servers[fault.which % len(self.servers)].order("fetch")

    async def _fetch_client(self, fault: Fault) -> None:
        await self.clients[fault.which % len(self.clients)].order("fetch")

    async def _rebalances(self, fault: Fault) -> None:
        until = time.monotonic() + fault.seconds
        while time.monotonic() < until:
            guest = await self._launch("server")
            await guest.ready()
            await asyncio.sleep(0.5)
            await guest.end()

    async def _kill_broker(self, fault: Fault) -> None:
        await self._without_broker(fault, lambda node: node.kill())

    async def _restart_broker(self, fault: Fault) -> None:
        await self._without_broker(fault, lambda node: node.terminate())

    async def _without_broker(self, fault: Fault, end: Callable[[Any], None]) -> None:
        node = self.cluster.nodes[fault.which % len(self.cluster.nodes)]
        await asyncio.to_thread(end, node)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(node.start)

    async def _freeze_broker(self, fault: Fault) -> None:
        node = self.cluster.nodes[fault.which % len(self.cluster.nodes)]
        node.freeze()
        await asyncio.sleep(fault.seconds)
        node.resume()

    async def _move_leaders(self, fault: Fault) -> None:
        """As a broker does when it is taken out cleanly and comes back: each leadership moves twice."""
        node = self.cluster.nodes[fault.which % len(self.cluster.nodes)]
        await asyncio.to_thread(node.terminate)
        await asyncio.to_thread(node.start)

    async def _delete_replies(self, _: Fault) -> None:
        await self._ask(lambda admin: admin.delete_topics(["rpc.replies"]))

    async def _add_partitions(self, _: Fault) -> None:
        async def add(admin: AIOKafkaAdminClient) -> None:
            (described,) = await admin.describe_topics(["chaos"])
            await admin.create_partitions({"chaos": NewPartitions(len(described["partitions"]) + 1)})

        await self._ask(add)

    async def _ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> None:
        """A cluster whose broker is away answers at a later attempt."""
        for _ in range(10):
            admin = AIOKafkaAdminClient(bootstrap_servers=self.cluster.bootstrap, request_timeout_ms=3000)
            try:
                await admin.start()
                await question(admin)
            except Exception as error:  # noqa: BLE001  # of whatever kind: it is not what is tested
                print(f"  ({type(error).__name__}, again)")
                await asyncio.sleep(1)
            else:
                return
            finally:
                await admin.close()
