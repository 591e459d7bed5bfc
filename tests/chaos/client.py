"""One client process: `python -m chaos.client BOOTSTRAP JOURNAL NAME SEED RATE AT_ONCE`.

Calls at RATE a second whatever becomes of them, or, where that is 0, AT_ONCE at once as fast as they are answered.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from faststream.kafka import KafkaBroker

from chaos.contract import Chaos
from chaos.journal import Journal
from chaos.process import obey
from typedrpc import Limits, Retry, Rpc, RpcError, client

METHODS = {"echo": 70, "retried": 10, "once": 8, "tell": 6, "nested": 2, "cancelled": 2, "cut": 2}
"""What is called, in hundredths."""
TIMEOUT = 10.0
RETRY = Retry(attempts=4, attempt_timeout=2)


class Caller:
    def __init__(self, journal: Journal, name: str, seed: int) -> None:
        self._journal = journal
        self._name = name
        self._choose = random.Random(f"{seed} {name}")
        self._calls = client(Chaos)
        self._retried = self._calls.echo.with_options(retry=RETRY)
        self._count = 0

    async def one(self) -> None:
        """One call of any kind, from its begin to its end."""
        self._count += 1
        id = f"{self._name}.{self._count}"
        (method,) = self._choose.choices(list(METHODS), list(METHODS.values()))
        timeout = self._choose.uniform(0.05, 0.5) if method == "cut" else TIMEOUT
        self._journal.begin(id, method, timeout)
        try:
            outcome = await self._outcome(method, id, timeout)
        except RpcError as error:
            outcome = error.code.name
        except asyncio.CancelledError:
            outcome = "CANCELLED"
        except Exception as error:  # noqa: BLE001  # whatever it is, the checker shall see it
            outcome = repr(error)
        self._journal.end(id, outcome)

    async def _outcome(self, method: str, id: str, timeout: float) -> str:
        calls = self._calls
        ways: dict[str, Callable[[], Awaitable[str | None]]] = {
            "echo": lambda: calls.echo(id),
            "retried": lambda: self._retried(id),
            "once": lambda: calls.once(id),
            "tell": lambda: calls.tell(id),
            "nested": lambda: calls.nested(id),
            "cancelled": lambda: self._cancelled(id),
            "cut": lambda: calls.slow.with_options(timeout=timeout)(id, 0.3),
        }
        answers = {
            "retried": f"echo {id}",
            "cut": f"slow {id}",
            "nested": f"nested slow {id}",
            "cancelled": f"slow {id}",
            "tell": None,
        }
        answer = await ways[method]()
        return "OK" if answer == answers.get(method, f"{method} {id}") else "WRONG"

    async def _cancelled(self, id: str) -> str:
        call = asyncio.ensure_future(self._calls.slow(id, 0.2))
        await asyncio.sleep(self._choose.uniform(0, 0.2))
        call.cancel()
        return await call


async def at_rate(caller: Caller, rate: float) -> None:
    calls: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    try:
        while True:
            due = max(due + 1 / rate, time.monotonic() - 1)  # a process that was blocked does not make up for it all
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            call = asyncio.create_task(caller.one())
            calls.add(call)
            call.add_done_callback(calls.discard)
    finally:
        await asyncio.gather(*calls)


async def at_once(caller: Caller, count: int) -> None:
    stopped = False

    async def work() -> None:
        while not stopped:
            await caller.one()

    working = asyncio.gather(*(work() for _ in range(count)))
    try:
        await asyncio.shield(working)
    finally:
        stopped = True
        await working


async def main(bootstrap: str, path: str, name: str, seed: str, rate: str, count: str) -> None:
    journal = Journal(Path(path))
    rpc = Rpc(KafkaBroker(bootstrap.split(","), logger=None), limits=Limits(start_timeout=60), timeout=TIMEOUT)
    async with rpc:
        journal.write("calling")
        caller = Caller(journal, name, int(seed))
        calling = asyncio.create_task(at_rate(caller, float(rate)) if float(rate) else at_once(caller, int(count)))
        await obey(journal)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
    journal.bye()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
