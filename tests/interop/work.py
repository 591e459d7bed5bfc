"""The handlers that every peer has, as a service of ours: the contract of a client, and a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

from pydantic import BaseModel, Field

from interop.peer import Framework, make_topics
from real_kafka import KAFKA
from typedrpc import Call, NotFound, Service, service

HANDLERS = ("echo", "upper", "fail", "crash", "void", "null", "slow")
SILENCE = 4.0  # seconds without an answer, where none comes; SmallRye's first reply on a topic takes up to two
ANSWERED = 20.0  # seconds, where one comes: a machine may stand still meanwhile


class Line(BaseModel):
    sku: str
    n: int


class Order(BaseModel):
    id: str
    lines: list[Line]
    paid: bool
    note: str | None


ORDER = Order(id="a-1", lines=[Line(sku="x", n=2)], paid=True, note=None)
ORDER_CLASS = "peer.Peer$Order"  # of the Java peers

OBJECTS: list[tuple[Framework, dict[str, Any]]] = [
    ("spring", {"json": "typed"}),
    ("spring", {"json": "untyped"}),
    ("spring", {"json": "converter"}),
    ("nestjs", {}),
    ("smallrye", {"json": True}),
    ("faststream", {}),
]
"""Every way in which a peer reads and writes objects: its options."""


async def new_topics(framework: Framework, *handlers: str) -> tuple[dict[str, str], str]:
    """A topic for each handler, and one for replies; NestJS' clients want one of their own name for each."""
    run = uuid4().hex[:10]
    topics = {handler: f"{framework}-{handler}-{run}" for handler in handlers}
    replies = f"{framework}-replies-{run}"
    await make_topics(KAFKA, replies, *topics.values(), *(f"{topic}.reply" for topic in topics.values()))
    return topics, replies


def work(framework: Framework, topics: Mapping[str, str]) -> Any:
    """The class; `Any`, for its methods have the topics of one test."""

    class Work(Service, service=f"work-{uuid4().hex[:10]}", dialect=framework):
        def __init__(self) -> None:
            self.seen: list[str | None] = []

        @service.method(topic=topics["echo"])
        async def echo(self, ctx: Call, order: Order) -> Order:
            if "__TypeId__" in ctx.metadata:
                ctx.reply_metadata["__TypeId__"] = ctx.metadata["__TypeId__"]
            return order

        @service.method(topic=topics["upper"])
        async def upper(self, text: str | None) -> str:
            self.seen.append(text)
            return (text or "").upper()

        @service.method(topic=topics["fail"])
        async def fail(self, reason: str) -> str:
            raise NotFound(reason)

        @service.method(topic=topics["crash"])
        async def crash(self, reason: str) -> str:
            raise RuntimeError(reason)

        @service.method(topic=topics["void"])
        async def void(self, value: str) -> None:
            self.seen.append(value)

        @service.method(topic=topics["null"])
        async def null(self, value: str) -> str | None:
            return None

        @service.method(topic=topics["slow"])
        async def slow(self, seconds: Annotated[str, Field(pattern=r"^\d$")]) -> str:
            await asyncio.sleep(int(seconds))
            return seconds

    return Work
