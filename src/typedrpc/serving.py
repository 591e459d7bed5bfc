"""The servers of one process, from their start to their drain."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterable, Set
from contextlib import suppress
from functools import partial

from typedrpc.broker_clock import BrokerClock
from typedrpc.cancels import cancel_inbox
from typedrpc.config import Limits, Topics
from typedrpc.errors import UsageError
from typedrpc.reading import Broadcast
from typedrpc.reflection import ReflectionServer, Responder
from typedrpc.served import Served
from typedrpc.server import Server
from typedrpc.transport import Transport, TransportError
from typedrpc.wire import Address

_log = logging.getLogger("typedrpc")

_HURRY = 0.05
"""Seconds that a drain leaves handlers when it is cancelled, before it cancels them."""


class Serving:
    """Servers on one transport. `served_topics` are those that no reply may go to; it may grow. Every handler runs in a
    copy of `context`. `reflection`: others may ask this process what it serves.
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
        reflection: bool,
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
        self._cancels = cancel_inbox(topics, self._cancel, create=create)
        self._reflection = ReflectionServer(self._in_flight) if reflection else None
        self._questions = self._make_responder(self._reflection) if self._reflection else None
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
            if self._questions is not None:
                await self._questions.stop()

    async def _start_server(self, served: Served) -> None:
        server = self._servers[served.name] = Server(
            served,
            self._transport,
            self._limits,
            topics=[self._topics.request_topic(topic) for topic in served.topics],
            create=self._create,
            may_answer=self._may_answer,
            context=self._context,
            clock=self._clock,
            dialects=self._dialects,
        )
        await self._cancels.start(self._transport)
        await asyncio.gather(server.start(), self._describe(served))

    async def _describe(self, served: Served) -> None:
        """From now on others may ask for it; that they cannot is no reason not to serve."""
        if self._reflection is None or self._questions is None:
            return
        self._reflection.add(served)
        try:
            await self._questions.start(self._transport)
        except TransportError as error:
            _log.warning("%s is not described to tools; Rpc(reflection=False) would not try: %s", served.name, error)

    def _make_responder(self, server: ReflectionServer) -> Broadcast:
        responder = Responder(server, self._transport, self._may_answer, self._limits.max_body)
        return Broadcast(self._topics.reflection_topic(), responder.take, create=self._create)

    def _in_flight(self, name: str) -> int:
        server = self._servers.get(name)
        return server.in_flight if server is not None else 0

    def _may_answer(self, reply: Address) -> bool:
        allowed = self._topics.reply_to is None or reply.topic in self._topics.reply_to
        return allowed and not reply.topic.startswith("__") and reply.topic not in self._served_topics

    def _cancel(self, address: Address, seconds: float) -> None:
        for server in self._servers.values():
            server.cancel(address, seconds)


def _log_late(name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("service %r is not served: %s", name, error)
