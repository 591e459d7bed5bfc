"""The client side of a process: a request's way to Kafka, and the wait for its reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import get_ident

from typedrpc.config import Limits, Topics
from typedrpc.dialects.convention import Convention
from typedrpc.dispatcher import Dispatcher, Pending
from typedrpc.errors import DeadlineExceeded, PermissionDenied, ResourceExhausted, Unavailable, UsageError
from typedrpc.in_flight import InFlight
from typedrpc.options import Key, served_call
from typedrpc.reply_inbox import ReplyInbox
from typedrpc.retrying import Budget
from typedrpc.routes import Route, Routes
from typedrpc.transport import Record, Transport, TransportError
from typedrpc.wire import Address, Header, cancel_headers, reply_headers

_log = logging.getLogger("typedrpc")

_ALLOWANCE = 5.0
"""Seconds that a cancel outlives its call's deadline: the request may be written late, and be new to a server then."""
_LAST_REPLIES = 0.25  # seconds; a handler of this process may have answered just now


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is the same for every call of one method. `name` is for messages, `headers` for the record.

    `foreign` is the dialect of the server, None for protocol 1. `once`: no retry of the producer's may write the
    request twice, for its topic is served at most once.
    """

    name: str
    topic: str
    foreign: Convention | None
    headers: tuple[Header, ...]
    once: bool = False

    @property
    def answered_anywhere(self) -> bool:
        """Whether its server answers on any partition: then on a topic of which this process reads them all."""
        return self.foreign is not None and not self.foreign.reply_partition


class Calls:
    """All calls of one `Rpc`. Made, started and stopped in one event loop."""

    def __init__(self, transport: Transport, *, topics: Topics, limits: Limits, timeout: float, create: bool) -> None:
        self.timeout = timeout
        self.dispatcher: Dispatcher[Record] = Dispatcher()
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._transport = transport
        self._topics = topics
        self._limits = limits
        self._create = create
        self._routes = Routes(transport, topics, create=create)
        self._budgets: dict[str, Budget] = {}
        self._in_flight = InFlight(limits.max_in_flight, limits.max_in_flight_bytes)
        self._ready: asyncio.Future[None] = self.loop.create_future()
        self._stopped = False
        nonce = self.dispatcher.nonce
        self._inbox = ReplyInbox(
            transport,
            self.dispatcher,
            topics,
            int(nonce[:8], 16),
            create=create,
            opened=self._replies_open,
            broken=self._replies_broken,
        )
        self._reply_partition = int(nonce[:8], 16) % topics.reply_partitions
        self._typed_reply = reply_headers(topics.replies, self._reply_partition)

    async def start(self) -> None:
        """Ready when this returns: no reply to a later call can be missed. Raises TransportError."""
        try:
            await self._inbox.start()
        except BaseException as error:
            self._end_wait_for_ready(error)
            raise
        self._routes.start()

    async def stop(self) -> None:
        """Ends what is pending with UNAVAILABLE, after a moment for replies that are on their way."""
        self._stopped = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_REPLIES):
                await self.dispatcher.wait_empty()
        self._end_wait_for_ready(TransportError("this Rpc was stopped"))
        self.dispatcher.fail_all(_stopped)
        await self._routes.stop()
        await self._inbox.stop()
        self.dispatcher.stop()

    def runs_here(self) -> bool:
        """Whether its event loop is the one that is running in this thread.

        Without `asyncio.get_running_loop()`, which before Python 3.12 asks the operating system who we are, at a tenth
        of a call's time.
        """
        return self._thread == get_ident() and self.loop.is_running()

    def budget(self, target: Target) -> Budget:
        """For the retries of all calls to the target's topic."""
        found = self._budgets.get(target.topic)
        if found is None:
            found = self._budgets[target.topic] = Budget(self._limits.max_in_flight)
        return found

    async def unary(
        self,
        target: Target,
        body: bytes | None,
        timeout: float,
        key: Key | None,
        metadata: Sequence[Header],
        tried: set[int] | None = None,
    ) -> Record:
        """The reply's record. Raises DeadlineExceeded, Unavailable, PermissionDenied or ResourceExhausted.

        `tried` holds the partitions of earlier attempts, which are avoided; this one's is added.
        """
        size = len(body) if body else 0
        deadline = self._deadline(timeout)
        key = _key_bytes(key)
        route = self._routes.get(target.topic)
        if route is None or not self._goes_at_once(target, size):
            try:
                route = await self._prepare(target, size, deadline)
            except TimeoutError:
                raise self._expired(target, timeout, sent=False) from None
        else:
            self._in_flight.enter(size)
        partition = route.choose_other(tried) if tried else self._partition(route, key)
        if tried is not None:
            tried.add(partition)
        pending = self.dispatcher.open(deadline)
        route.outstanding[partition] += 1
        try:
            self._send(target, partition, key, body, pending, metadata)
            return await pending.future
        except asyncio.CancelledError:
            self._cancel(pending, target)
            raise
        except TimeoutError:
            if not pending.written:  # it may still be, and be new to a server then
                self._cancel(pending, target)
            raise self._expired(target, timeout, sent=pending.written) from None
        finally:
            self.dispatcher.close(pending)
            route.outstanding[partition] -= 1
            self._in_flight.leave(size)

    async def oneway(
        self,
        target: Target,
        body: bytes | None,
        timeout: float,
        key: Key | None,
        metadata: Sequence[Header],
        *,
        expires: bool,
    ) -> None:
        """Returns when all in-sync replicas have the request. `expires`: the caller set a time-out for it."""
        size = len(body) if body else 0
        deadline = self._deadline(timeout)
        key = _key_bytes(key)
        try:
            route = await self._prepare(target, size, deadline)
            try:
                written: asyncio.Future[None] = self.loop.create_future()
                correlation_id, headers = self.dispatcher.new_id(), [*target.headers, *metadata]
                if target.foreign is not None:
                    headers = target.foreign.request_headers(correlation_id, None, headers)
                else:
                    headers = [("correlation_id", correlation_id), *headers]
                    if expires:
                        headers.append(_timeout_header(deadline - self.loop.time()))
                partition = self._partition(route, key)
                self._transport.send(target.topic, partition, key, body, headers, _written, written, durable=True)
                async with asyncio.timeout_at(deadline):
                    await written
            finally:
                self._in_flight.leave(size)
        except TimeoutError:
            raise self._expired(target, timeout, sent=False) from None
        except TransportError as error:
            raise _failed(target, error) from error

    def _send(
        self,
        target: Target,
        partition: int,
        key: bytes | None,
        body: bytes | None,
        pending: Pending[Record],
        metadata: Sequence[Header],
    ) -> None:
        if target.foreign is None:
            headers = [("correlation_id", pending.correlation_id), *self._typed_reply, *target.headers, *metadata]
            headers.append(_timeout_header(pending.deadline - self.loop.time()))
        else:
            if target.answered_anywhere:
                reply = Address(pending.correlation_id, self._topics.plain_replies, None)
            else:
                reply = Address(pending.correlation_id, self._topics.replies, self._reply_partition)
            headers = target.foreign.request_headers(pending.correlation_id, reply, [*target.headers, *metadata])
        token = (pending, target)
        self._transport.send(target.topic, partition, key, body, headers, self._sent, token, durable=target.once)

    def _cancel(self, pending: Pending[Record], target: Target) -> None:
        """Tells the servers that nobody waits any more; one of another framework could not be told."""
        if target.foreign is None and not self._stopped:
            left = max(0.0, pending.deadline - self.loop.time())
            headers = cancel_headers(pending.correlation_id, self._typed_reply, _timeout_header(left + _ALLOWANCE))
            self._transport.send(self._topics.cancels, None, None, None, headers, _ignored, None)

    def _sent(self, token: tuple[Pending[Record], Target], error: BaseException | None) -> None:
        pending, target = token
        if error is None:
            pending.written = True
        else:
            self._routes.doubt(target.topic)
            self.dispatcher.fail(pending, _failed(target, error, "the request was not written: "))

    def _deadline(self, timeout: float) -> float:
        now = self.loop.time()
        call = served_call()
        if call is not None and call.deadline is not None:
            return min(now + timeout, call.deadline)
        return now + timeout

    def _partition(self, route: Route, key: bytes | None) -> int:
        if key is None:
            return route.choose()
        return self._transport.partition_for_key(key, len(route.outstanding))

    def _expired(self, target: Target, timeout: float, *, sent: bool) -> DeadlineExceeded:
        if not sent:
            return DeadlineExceeded(f"{target.name}: the request could not be sent within {timeout:g} s")
        return DeadlineExceeded(
            f"{target.name}: no reply within {timeout:g} s: the handler took longer, or nobody serves {target.topic!r}"
        )

    # The rare ways: not ready yet, a topic not seen before, or too many calls at once.

    async def _prepare(self, target: Target, size: int, deadline: float) -> Route:
        """Waits for readiness, for the topics and for room, in this order, and takes the room; raises TimeoutError at
        the deadline.
        """
        if size > self._limits.max_body:
            raise ResourceExhausted(
                f"{target.name}: a request body of {size} bytes; at most {self._limits.max_body} are sent"
            )
        async with asyncio.timeout_at(deadline):
            while True:
                route = await self._reach(target)
                await self._in_flight.wait(size)
                if self._ready.done() and not self._stopped:
                    return route
                self._in_flight.leave(size)  # replies can not be read any more, or this Rpc was stopped meanwhile

    async def _reach(self, target: Target) -> Route:
        try:
            await asyncio.shield(self._ready)
            if self._stopped:
                raise _stopped()
            route = await self._routes.open(target.topic)
            if target.answered_anywhere:
                await self._inbox.open_plain()
        except TransportError as error:
            raise _failed(target, error) from error
        return route

    def _goes_at_once(self, target: Target, size: int) -> bool:
        return (
            self._ready.done()
            and not self._stopped
            and size <= self._limits.max_body
            and self._in_flight.has_room(size)
            and (target.foreign is None or not target.answered_anywhere or self._inbox.plain_open)
        )

    def _replies_open(self, partition: int) -> None:
        self._reply_partition = partition
        self._typed_reply = reply_headers(self._topics.replies, partition)
        self._end_wait_for_ready(None)

    def _replies_broken(self) -> None:
        """Calls made from now on wait until replies can be read again."""
        if self._ready.done() and not self._stopped:
            self._ready = self.loop.create_future()

    def _end_wait_for_ready(self, error: BaseException | None) -> None:
        if not self._ready.done():
            if error is None:
                self._ready.set_result(None)
            else:
                self._ready.set_exception(
                    error if isinstance(error, TransportError) else TransportError(f"start failed: {error!r}")
                )
                self._ready.exception()  # nobody may be waiting


def _failed(target: Target, error: BaseException, what: str = "") -> Unavailable | PermissionDenied:
    """How a call ends that Kafka did not take."""
    denied = isinstance(error, TransportError) and error.denied
    return (PermissionDenied if denied else Unavailable)(f"{target.name}: {what}{error}")


def _stopped() -> Unavailable:
    return Unavailable("this Rpc was stopped while the call was pending")


def _ignored(_token: object, error: BaseException | None) -> None:
    """A cancel that is lost costs only the handler's time, up to its deadline."""
    if error is not None:
        _log.info("a cancel was not written: %s", error)


def _written(future: asyncio.Future[None], error: BaseException | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _key_bytes(key: Key | None) -> bytes | None:
    try:
        return key.encode() if isinstance(key, str) else key
    except UnicodeEncodeError:
        raise UsageError(f"key {key!r}: a lone surrogate is no text that can be sent") from None


def _timeout_header(seconds: float) -> Header:
    return ("rpc-timeout", b"%d" % max(1, int(seconds * 1000 + 0.5)))
