"""Steady calls whose fates are written down while something befalls Kafka, a server or the client."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from faststream.kafka import KafkaBroker

from typedrpc import Rpc, RpcError, Service, Topics, service

BOUND = 25.0
"""Seconds after which calls work again. Good: 12 at most, and what pauses of a busy machine add. Bad: 40, aiokafka's own
request time-out, where typedrpc's is not in force; or never, which `until_good` sees 45 seconds long."""
LATE = 1.0
"""Seconds after its deadline within which every call has ended."""
SLACK = 4.0
"""Seconds more, for a machine that stands still for two of them, or twice for one and a half. Bad: the 15 for which a
request is sent again, or never."""
DROPPED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""aiokafka's clients forget a connection that the broker has closed, and its destructor warns that nobody closed it."""


class Numbers(Service):
    @service.method
    async def twice(self, number: int) -> int:
        return 2 * number


def named(name: str) -> type[Numbers]:
    """The service under a name of a test's own."""

    class Named(Numbers, service=name):
        pass

    return Named


@dataclass
class Fate:
    """One call; times are seconds of time.monotonic(). `ends` holds OK, WRONG or an error's status: one, as it must."""

    began: float
    ended: float = 0.0
    ends: list[str] = field(default_factory=list[str])

    @property
    def good(self) -> bool:
        return self.ends == ["OK"]


@dataclass(frozen=True)
class Recovery:
    """Seconds after the fault when calls began: the first good one after a bad one, and the last bad one.

    `lapses`: calls that ended never, twice, too late or with another call's value.
    """

    first_good: float
    last_bad: float
    failed: Counter[str]
    calls: int
    lapses: list[Fate]


@dataclass
class Steady:
    """Calls, each begun in its turn whatever became of the others."""

    numbers: Numbers
    timeout: float = 2.0
    every: float = 0.02
    fates: list[Fate] = field(default_factory=list[Fate])
    _calls: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def __aenter__(self) -> Steady:
        self._caller = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._caller.cancel()
        await asyncio.gather(self._caller, return_exceptions=True)
        await asyncio.gather(*self._calls)

    async def _run(self) -> None:
        number = 0
        while True:
            number += 1
            call = asyncio.create_task(self._call(number))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            await asyncio.sleep(self.every)

    async def _call(self, number: int) -> None:
        fate = Fate(time.monotonic())
        self.fates.append(fate)
        twice = self.numbers.twice.with_options(timeout=self.timeout)
        try:
            fate.ends.append("OK" if await twice(number) == 2 * number else "WRONG")
        except RpcError as error:
            fate.ends.append(error.code.name)
        fate.ended = time.monotonic()

    async def until_good(self, since: float, seconds: float = 2.0, within: float = 45.0) -> None:
        """Until every call begun in the last `seconds` ended well, and at the latest `within` of `since`."""
        while time.monotonic() < since + within:
            now = time.monotonic()
            recent = [f for f in self.fates if now - seconds - 0.5 < f.began < now - 0.5]
            if now > since + seconds + 1 and len(recent) > 10 and all(f.good for f in recent):
                return
            await asyncio.sleep(0.1)

    def recovery(self, since: float) -> Recovery:
        """What happened to the calls after the fault of the time `since`; for when all have ended."""
        after = [f for f in self.fates if f.ended > since]
        bad = [f for f in after if not f.good]
        struck = min((f.began for f in bad), default=since)
        lapses = [f for f in self.fates if len(f.ends) != 1 or "WRONG" in f.ends or self._late(f)]
        return Recovery(
            first_good=min((f.began for f in after if f.good and f.began > struck), default=float("inf")) - since,
            last_bad=max((f.began for f in bad), default=since) - since,
            failed=Counter(end for f in bad for end in f.ends),
            calls=len(after),
            lapses=lapses,
        )

    def _late(self, fate: Fate) -> bool:
        return fate.ended - fate.began > self.timeout + LATE + SLACK


@asynccontextmanager
async def running(bootstrap: str, topics: Topics, contract: type[Numbers]) -> AsyncGenerator[tuple[Rpc, Rpc]]:
    """A server and a client, each an Rpc of its own, in this process."""
    serving, calling = (Rpc(KafkaBroker(bootstrap.split(","), logger=None), topics=topics) for _ in range(2))
    serving.serve(contract())
    async with serving, calling:
        yield serving, calling
