"""The servers of one process, from their start to their drain."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterable, Set
from contextlib import suppress
from functools import partial

from typedrpc.broker_clock import BrokerClock
from typedrpc.cancels import CancelInbox
from typedrpc.config import Limits, Topics
from typedrpc.errors import UsageError
from typedrpc.served import Served
from typedrpc.server import Server
from typedrpc.transport import Transport
from typedrpc.wire import Address

_log = logging.getLogger("typedrpc")

_HURRY = 0.05
"""Seconds that a drain leaves handlers when it is cancelled, before it cancels them."""


class Serving:
    """Servers on one transport. `served_topics` are those that no reply may go to; it may grow. Every handler runs in a
    copy of `context`.
    """

    def __init__(
        self,
        transport: Transport,
        topics: Topics,
        limits: Limits,
        *,
        create: bool,
        served_topics: Set[str],
        context: contextvars.Context,
        dialects: Set[str],
    ) -> None:
        self._transport = transport
        self._topics = topics
        self._limits = limits
        self._create = create
        self._served_topics = served_topics
        self._context = context
        self._dialects = dialects
        self._servers: dict[str, Server] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._cancels = CancelInbox(topics, create=create)
        self._clock = BrokerClock(transport, topics.cancels)

    async def start(self, services: Iterable[Served]) -> None:
        """Requests are taken when this returns. Raises TransportError."""
        starting = [self._start_server(served) for served in services]
        # All of them to their end: a failure must not leave another one joining a group behind a stop's back.
        for outcome in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def add(self, served: Served) -> None:
        """Begins to serve it too; `ready` tells when, and raises what goes wrong."""
        task = asyncio.get_running_loop().create_task(self._start_server(served))
        task.add_done_callback(partial(_log_late, served.name))
        self._late.add(task)

    async def ready(self) -> None:
        """Until every service that was added takes requests; raises what one met."""
        while self._late:
            task = next(iter(self._late))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if not task.cancelled():
                    raise
                raise UsageError("ready(): this Rpc was stopped before its late services took requests") from None
            finally:
                if task.done():
                    self._late.discard(task)

    async def drain(self) -> None:
        """Takes no more requests and leaves the groups, then lets handlers finish, for `drain_timeout` at most."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        servers = list(self._servers.values())
        leaving = asyncio.gather(*(server.stop_intake() for server in servers))
        try:
            await asyncio.shield(leaving)  # takes a few seconds at most; the others in the group wait for it
            await asyncio.gather(*(server.drain() for server in servers))
        except asyncio.CancelledError:
            await leaving
            with suppress(TimeoutError):
                async with asyncio.timeout(_HURRY):
                    await asyncio.gather(*(server.drain() for server in servers))
            raise
        finally:
            self._servers.clear()
            await self._cancels.stop()

    async def _start_server(self, served: Served) -> None:
        server = self._servers[served.name] = Server(
            served,
            self._transport,
            self._limits,
            topics=[self._topics.request_topic(topic) for topic in served.topics],
            create=self._create,
            refused_topics=self._served_topics,
            reply_to=self._topics.reply_to,
            context=self._context,
            clock=self._clock,
            dialects=self._dialects,
        )
        await self._cancels.start(self._transport, self._cancel)
        await server.start()

    def _cancel(self, address: Address, seconds: float) -> None:
        for server in self._servers.values():
            server.cancel(address, seconds)


def _log_late(name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("service %r is not served: %s", name, error)
