"""The same work by typedrpc, with everything on: `python -m benchmarks.typed ROLE SERVICE`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Protocol

import uvloop
from faststream.kafka import KafkaBroker
from pydantic import BaseModel

from benchmarks.load import measure, report
from typedrpc import Rpc, Service, client, service

ROLE, NAME = sys.argv[1:3]


class Message(BaseModel):
    name: str
    n: int


class Echo(Service, Protocol, service=NAME):
    @service.method
    async def echo(self, msg: Message) -> Message: ...


class EchoServer(Echo):
    @service.method
    async def echo(self, msg: Message) -> Message:
        return msg


EchoClient = client(Echo)


async def run_server() -> None:
    rpc = Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None))
    rpc.serve(EchoServer())
    async with rpc:
        print("ready", flush=True)
        await asyncio.Event().wait()


async def run_client(alone: int, calls: int, at_once: list[int]) -> None:
    message = Message(name="abc", n=5)
    async with Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None)):
        report(await measure(lambda: EchoClient.echo(message), alone=alone, calls=calls, at_once=at_once))


if __name__ == "__main__":
    if ROLE == "server":
        uvloop.run(run_server())
    else:
        uvloop.run(run_client(int(sys.argv[3]), int(sys.argv[4]), [int(n) for n in sys.argv[5].split(",")]))
