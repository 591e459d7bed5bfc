"""One server process: `python -m chaos.server BOOTSTRAP JOURNAL`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from faststream.kafka import KafkaBroker

from chaos.contract import Chaos
from chaos.journal import Journal
from chaos.process import obey
from typedrpc import Limits, Rpc, client, service


class ChaosServer(Chaos):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @service.method
    async def echo(self, call: str) -> str:
        self._journal.start(call, "echo")
        return f"echo {call}"

    @service.method
    async def slow(self, call: str, seconds: float) -> str:
        self._journal.start(call, "slow")
        await asyncio.sleep(seconds)
        return f"slow {call}"

    @service.method
    async def nested(self, call: str) -> str:
        return f"nested {await client(Chaos).slow(call, 0.01)}"

    @service.method
    async def once(self, call: str) -> str:
        self._journal.start(call, "once")
        await asyncio.sleep(0)
        return f"once {call}"

    @service.method(oneway=True)
    async def tell(self, call: str) -> None:
        self._journal.start(call, "tell")


async def main(bootstrap: str, path: str) -> None:
    journal = Journal(Path(path))
    broker = KafkaBroker(bootstrap.split(","), logger=None)
    rpc = Rpc(broker, limits=Limits(start_timeout=60, drain_timeout=10))
    rpc.serve(ChaosServer(journal))
    orders = asyncio.create_task(obey(journal))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, orders.cancel)
    async with rpc:
        journal.write("serving")
        await asyncio.gather(orders, return_exceptions=True)
    journal.bye()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
