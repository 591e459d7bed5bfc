"""Attempts of one call, inside its deadline. Source of the rules: gRPC's retry design (proposal A6)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from typedrpc.errors import DeadlineExceeded, RpcError
from typedrpc.options import Retry

T = TypeVar("T")

_EARNED = 0.2
_FIRST = 100.0


class Budget:
    """How many retries of one topic's calls may still be made, so that retries do not keep a failing service down.

    Each call earns a fifth of a retry: while everything fails, retries add a fifth to the load. A hundred are there
    from the start, `most` can be saved up, for the moment when a server of many is lost. Pure.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = min(_FIRST, most)

    def earn(self) -> None:
        """A call is made."""
        self._left = min(self._left + _EARNED, self._most)

    def spend(self) -> bool:
        """Takes one retry; False where none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def with_retries(retry: Retry, timeout: float, budget: Budget, attempt: Callable[[float], Awaitable[T]]) -> T:
    """The first attempt's result that is no error to retry. `attempt` is given its time-out, in seconds.

    Between two attempts it waits `backoff`, doubled each time, up to `max_backoff`, give or take a fifth. The error of
    the last attempt is the call's; it is the last one also where the deadline or the budget leaves no other.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    budget.earn()
    for number in range(retry.attempts):
        left = deadline - loop.time()
        own = left if retry.attempt_timeout is None else min(left, retry.attempt_timeout)
        try:
            return await attempt(own)
        except RpcError as error:
            timed_out = isinstance(error, DeadlineExceeded) and own < left
            pause = min(retry.max_backoff, retry.backoff * 2**number) * random.uniform(0.8, 1.2)  # noqa: S311
            last = number == retry.attempts - 1 or loop.time() + pause >= deadline
            if last or not (timed_out or error.code in retry.on) or not budget.spend():
                raise
        await asyncio.sleep(pause)
    raise AssertionError("retry.attempts is at least one")
