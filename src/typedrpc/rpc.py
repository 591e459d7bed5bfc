"""One `Rpc` for a process and a broker: what it serves, its clients, and their life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from typedrpc.calls import Calls
from typedrpc.client import handler_context, make_client, register, request, unregister
from typedrpc.codec import refuse_by_filter
from typedrpc.config import Limits, Topics
from typedrpc.contract import contracts_of
from typedrpc.document import ContractDocument
from typedrpc.errors import UsageError
from typedrpc.method import ALL_DIALECTS, Dialect
from typedrpc.options import CallOptions, Key, Metadata, check_timeout
from typedrpc.served import Served
from typedrpc.serving import Serving
from typedrpc.transport import TopicSpec, Transport
from typedrpc.transport.bridge import BridgedTransport
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.memory import MemoryLog, MemoryTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from faststream import FastStream
    from faststream.asgi import AsgiFastStream
    from faststream.kafka import KafkaBroker

S = TypeVar("S")

State = Literal["stopped", "calling", "serving", "draining"]

_NEXT: dict[State, tuple[State, ...]] = {
    "stopped": ("calling",),  # clients work
    "calling": ("serving", "stopped"),  # services take requests
    "serving": ("draining",),  # no more requests are taken, running handlers end, clients still work
    "draining": ("stopped",),
}


class Rpc:
    """Services and clients on one FastStream broker, which brings the addresses and the security of Kafka.

    `timeout` is the default deadline of a call, in seconds. `create_topics=False`: topics that are missing fail the
    start with their names instead of being made. `instance_id` names this process among the servers of its services,
    for static membership: a restart within ten seconds keeps its partitions. Its services also take requests of other
    frameworks, in any of `dialects`; protocol 1 is always spoken. `reflection`: tools may ask it, on the topic
    `rpc.reflection`, what it serves and by which contracts.

    An `Rpc` may be given services and asked for clients before and after it or its broker has started, and may be
    started again after a stop. It belongs to the event loop that it was started in.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        *,
        timeout: float = 10.0,
        create_topics: bool = True,
        instance_id: str | None = None,
        topics: Topics | None = None,
        limits: Limits | None = None,
        dialects: Iterable[Dialect] = ALL_DIALECTS,
        reflection: bool = True,
    ) -> None:
        self._reflection = reflection
        self._set_up(broker, timeout, create_topics, instance_id, topics or Topics(), limits or Limits(), dialects)

    @classmethod
    def in_memory(
        cls,
        *,
        timeout: float = 10.0,
        topics: Topics | None = None,
        limits: Limits | None = None,
        dialects: Iterable[Dialect] = ALL_DIALECTS,
        reflection: bool = True,
    ) -> Self:
        """An Rpc that needs no Kafka: its services and clients meet in this process, for demos and tests."""
        rpc = cls.__new__(cls)
        rpc._reflection = reflection
        rpc._set_up(None, timeout, True, None, topics or Topics(), limits or Limits(), dialects)
        return rpc

    def _set_up(
        self,
        broker: KafkaBroker | None,
        timeout: float,
        create_topics: bool,
        instance_id: str | None,
        topics: Topics,
        limits: Limits,
        dialects: Iterable[Dialect],
    ) -> None:
        check_timeout(timeout)
        self._dialects = frozenset[str](dialects) - {"typedrpc"}
        if unknown := self._dialects.difference(ALL_DIALECTS):
            raise UsageError(f"dialects={sorted(unknown)!r}: give some of {', '.join(map(repr, ALL_DIALECTS))}")
        self._broker = broker
        self._timeout = timeout
        self._create_topics = create_topics
        self._instance_id = instance_id
        self._topics = topics
        self._limits = limits
        self._log = MemoryLog()
        self._served: dict[str, Served] = {}
        self._served_topics: set[str] = {topics.reflection}
        self._serving: Serving | None = None
        self._transport: Transport | None = None
        self._calls: Calls | None = None
        self._state: State = "stopped"
        self._changing: asyncio.Lock | None = None

    @property
    def broker(self) -> KafkaBroker | None:
        """The broker that it was made with; None in memory."""
        return self._broker

    @property
    def topics(self) -> Topics:
        """The names and counts that it was made with."""
        return self._topics

    @property
    def create_topics(self) -> bool:
        """Whether it makes topics that are missing."""
        return self._create_topics

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services given so far."""
        return tuple(self._served)

    @property
    def contracts(self) -> tuple[ContractDocument, ...]:
        """Their contract documents."""
        return tuple(served.document() for served in self._served.values())

    @property
    def pending_calls(self) -> int:
        """How many calls of this process wait for a reply."""
        return len(self._calls.dispatcher) if self._calls is not None else 0

    @property
    def required_topics(self) -> tuple[TopicSpec, ...]:
        """What it needs of Kafka: the topics of the services given so far, and typedrpc's own."""
        named = {topic for served in self._served.values() for topic in served.topics}
        topics, services = self._topics, [self._topics.request_topic(name) for name in sorted(named)]
        own = [topics.reply_topic(), topics.cancel_topic()]
        return (*services, *own, topics.reflection_topic()) if self._reflection else (*services, *own)

    def serve(self, *services: object) -> None:
        """Serves each object's most derived contracts, from the start on or, if started, from now on.

        Raises UsageError for a class, for an object that is no service and for a name that is served already. What
        goes wrong after the start, `ready` raises.
        """
        for instance in services:
            for contract in _contracts(instance):
                served = Served(contract, instance)
                if served.name in self._served:
                    raise UsageError(f"serve({instance!r}): service {served.name!r} is served already")
                self._served[served.name] = served
                self._served_topics |= served.topics
                if self._state == "serving" and self._serving is not None:
                    self._serving.add(served)

    async def ready(self) -> None:
        """Until every service given so far takes requests; raises what one met that was given after the start."""
        if self._serving is not None:
            await self._serving.ready()

    def client(
        self, contract: Callable[..., S], *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> S:
        """A client bound to this Rpc, typed as its contract; see `typedrpc.client`."""
        return make_client(contract, self._own_calls, CallOptions(timeout=timeout, metadata=metadata or {}))

    async def request(
        self,
        topic: str,
        body: bytes,
        *,
        timeout: float | None = None,
        key: Key | None = None,
        metadata: Metadata | None = None,
    ) -> bytes:
        """Bytes in, bytes out, without a contract: to a plain FastStream subscriber of `topic`, or a service's topic
        that names one method. `timeout` is in seconds. Raises DeadlineExceeded where nobody answers, for FastStream
        answers no errors, Unavailable and UsageError.
        """
        options = CallOptions(timeout=timeout, key=key, metadata=metadata or {})
        return await request(self._own_calls(), topic, body, options)

    def attach(self, app: FastStream | AsgiFastStream) -> None:
        """Lives with the app: clients work from its startup hooks until its last shutdown hook, services from when
        its broker has started until it shuts down. Raises UsageError for an app that lacks this Rpc's broker.
        """
        if self._broker not in app.brokers:
            raise UsageError(f"attach({app!r}): the app has not this Rpc's broker; write FastStream(broker)")
        app.on_startup(self._start_calling)
        app.after_startup(self._start_serving)
        app.on_shutdown(self._stop_serving)
        app.after_shutdown(self.stop)
        inner: Callable[..., AbstractAsyncContextManager[Any]] = app.lifespan_context  # pyright: ignore

        @asynccontextmanager
        async def lifespan(*args: Any, **kwargs: Any) -> AsyncGenerator[None]:
            async with inner(*args, **kwargs):
                try:
                    yield
                finally:
                    await self.stop()  # FastStream runs no shutdown hook after a start that failed

        app.lifespan_context = lifespan

    async def start(self) -> None:
        """Connects, makes missing topics, and serves. Raises TransportError, within `Limits.start_timeout`, where
        Kafka cannot be reached, and UsageError where it runs already.
        """
        refuse_by_filter()
        await self._start_calling()
        try:
            await self._start_serving()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Takes no more requests, lets handlers finish, ends pending calls with UNAVAILABLE and disconnects.

        Idempotent; takes at most a few seconds more than `Limits.drain_timeout`, and where Kafka is away at most
        fifteen.
        """
        async with self._change():
            try:
                await self._drain()
            finally:  # also where it is cancelled: the caller would not wait for handlers
                if self._state != "stopped":
                    await self._disconnect()
                    self._to("stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def _change(self) -> asyncio.Lock:
        if self._changing is None or self._state == "stopped":
            self._changing = asyncio.Lock()  # of this event loop
        return self._changing

    def _to(self, state: State) -> None:
        assert state in _NEXT[self._state], (self._state, state)
        self._state = state

    def _own_calls(self) -> Calls:
        calls = self._calls
        if calls is None:
            raise UsageError("this Rpc does not run: call inside `async with rpc:` or an attached app")
        if not calls.runs_here():
            raise UsageError("this Rpc runs in another event loop: make one for this loop")
        return calls

    async def _start_calling(self) -> None:
        if self._state != "stopped":
            raise UsageError(f"this Rpc is {self._state} already: one start, then one stop")
        async with self._change():
            self._to("calling")
            try:
                transport = self._transport = self._make_transport()
                calls = self._calls = Calls(
                    transport,
                    topics=self._topics,
                    limits=self._limits,
                    timeout=self._timeout,
                    create=self._create_topics,
                )
                register(calls)
                await transport.start()
                await calls.start()
            except BaseException:
                await self._disconnect()
                self._to("stopped")
                raise

    async def _start_serving(self) -> None:
        async with self._change():
            if self._state != "calling":
                return  # stopped while it was starting
            assert self._transport is not None
            assert self._calls is not None
            self._to("serving")
            self._serving = Serving(
                self._transport,
                self._topics,
                self._limits,
                create=self._create_topics,
                served_topics=self._served_topics,
                context=handler_context(self._calls),
                dialects=self._dialects,
                reflection=self._reflection,
            )
            await self._serving.start(list(self._served.values()))

    async def _stop_serving(self) -> None:
        async with self._change():
            await self._drain()

    async def _drain(self) -> None:
        if self._state == "serving":
            self._to("draining")
            assert self._serving is not None
            await self._serving.drain()

    def _make_transport(self) -> Transport:
        if self._broker is None:
            return MemoryTransport(self._log)
        connection = connection_of(self._broker)
        if connection is None:
            return BridgedTransport(self._log, self._broker)
        return KafkaTransport(connection, start_timeout=self._limits.start_timeout, instance_id=self._instance_id)

    async def _disconnect(self) -> None:
        calls, transport = self._calls, self._transport
        self._calls = self._transport = None
        try:
            if calls is not None:
                unregister(calls)
                await calls.stop()
        finally:
            if transport is not None:
                await transport.stop()


def _contracts(instance: object) -> list[type[Any]]:
    if isinstance(instance, type):
        raise UsageError(f"serve({instance.__name__}): give an object, `{instance.__name__}(...)`, not the class")
    contracts = contracts_of(type(instance))
    if not contracts:
        raise UsageError(f"serve({instance!r}): its class is no service: derive it from Service or decorate it")
    return contracts
