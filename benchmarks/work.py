"""The work that every contender does."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from pydantic import BaseModel

WORKS = ("small", "nested", "bytes", "waiting")
WAIT = 0.005
"""Seconds that the handler of `waiting` awaits."""

Call = Callable[[], Awaitable[object]]
Calls = dict[str, Call]
"""By work: what makes one call."""


class Small(BaseModel):
    name: str
    n: int


class Item(BaseModel):
    id: int
    name: str
    tags: list[str]
    price: float


class Nested(BaseModel):
    title: str
    items: list[Item]


SMALL = Small(name="abc", n=5)
NESTED = Nested(
    title="ten kilobytes",
    items=[Item(id=n, name=f"item {n:04}", tags=["red", "green", "blue"], price=n + 0.5) for n in range(130)],
)
BYTES = b"x" * 1024


def name() -> str:
    """What topics and subjects of this run are named after."""
    return os.environ["BENCH_NAME"]
