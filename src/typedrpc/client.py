"""Clients: objects that type checkers see as their contract, whose methods are calls over Kafka."""

from __future__ import annotations

import contextvars
import os
import sys
import types
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from typedrpc.calls import Calls, Target
from typedrpc.codec import BareCodec, ReplyError
from typedrpc.contract import ServiceSpec, contract_of
from typedrpc.dialects import CONVENTIONS
from typedrpc.dialects.faststream import FASTSTREAM
from typedrpc.error_codec import ErrorCodec
from typedrpc.errors import DataLoss, RpcError, Status, UsageError, mark_received
from typedrpc.method import MethodSpec, bind
from typedrpc.options import NO_OPTIONS, CallOptions, Metadata, Reply, with_ambient
from typedrpc.retrying import with_retries
from typedrpc.signature import close_types, method_codec
from typedrpc.transport import Record
from typedrpc.wire import Header, metadata_headers, method_headers, parse_response, status_of

S = TypeVar("S")


class CallsSource(Protocol):
    """Finds the `Calls` that a client uses, when a call is made; raises UsageError."""

    def __call__(self) -> Calls: ...  # noqa: D102


_started: list[Calls] = []
_serving: contextvars.ContextVar[Calls | None] = contextvars.ContextVar("typedrpc_serving", default=None)


def register(calls: Calls) -> None:
    """From now on unbound clients in this event loop use it."""
    _started.append(calls)


def unregister(calls: Calls) -> None:
    """No more."""
    if calls in _started:
        _started.remove(calls)


if sys.platform != "win32":  # a child's loops are its own
    os.register_at_fork(after_in_child=_started.clear)


def handler_context(calls: Calls) -> contextvars.Context:
    """A context whose unbound clients use `calls`; the caller's own options and call are not in it."""
    context = contextvars.Context()
    context.run(_serving.set, calls)
    return context


def running_calls() -> Calls:
    """Those of the Rpc whose handler is calling, else of the only one that runs in this event loop."""
    serving = _serving.get()
    if serving is not None:
        return serving
    if len(_started) == 1 and _started[0].runs_here():
        return _started[0]
    here = [c for c in _started if c.runs_here()]
    if len(here) == 1:
        return here[0]
    if here:
        raise UsageError(f"{len(here)} Rpcs run in this event loop: use a client made by `rpc.client(Contract)`")
    elsewhere = " in this event loop; one runs in another" if _started else ""
    raise UsageError(f"no Rpc runs{elsewhere}: call inside `async with rpc:`, an attached app or a handler")


def client(contract: Callable[..., S], *, timeout: float | None = None, metadata: Metadata | None = None) -> S:
    """A client, typed as its contract: `EchoClient = client(Echo)`, then `await EchoClient.echo(msg)`.

    Inside a handler it uses the Rpc that serves it, elsewhere the one that runs in the event loop. `timeout` (seconds)
    and `metadata` are defaults for its calls. Raises UsageError for what is no service; each call raises UsageError
    where no Rpc runs, or more than one does.
    """
    # Callable[..., S], not type[S]: mypy refuses abstract classes for the latter.
    return make_client(contract, running_calls, CallOptions(timeout=timeout, metadata=metadata or {}))


def make_client(contract: Callable[..., S], source: CallsSource, defaults: CallOptions) -> S:
    """The same for clients that are bound to one Rpc."""
    cls, service = contract_of(contract)
    methods = service.methods

    def no(name: str, _self: object) -> Any:
        raise AttributeError(f"{cls.__name__}.{name} is no RPC method, so its client has none")

    def missing(self: object, name: str) -> Any:
        return no(name, self)

    def body(namespace: dict[str, Any]) -> None:
        others = [n for n in dir(cls) if not n.startswith("_") and n not in methods]
        namespace.update({n: property(partial(no, n)) for n in others})
        namespace.update({"__getattr__": missing, "__module__": cls.__module__, "__doc__": cls.__doc__})
        namespace.update({"__hash__": object.__hash__, "__eq__": object.__eq__, "__repr__": _repr})

    client_class: Any = types.new_class(f"{cls.__name__}Client", (cls,), exec_body=body)
    client_class.__abstractmethods__ = frozenset()
    made: Any = object.__new__(client_class)
    for name, spec in methods.items():  # in __dict__, before the descriptor: a call costs one look-up
        caller = ClientMethod(service, spec, cls, contract, source, defaults)
        made.__dict__[name] = bind(spec, caller, NO_OPTIONS)
    return cast("S", made)


def _repr(self: object) -> str:
    return f"<{type(self).__name__}>"


class ClientMethod:
    """One method of a client: arguments → request, reply → value or error."""

    def __init__(
        self,
        service: ServiceSpec,
        spec: MethodSpec,
        cls: type[Any],
        contract: Any,
        source: CallsSource,
        defaults: CallOptions,
    ) -> None:
        signature = spec.signature if spec.codec else close_types(spec.signature, cls, contract)
        self._codec = spec.codec or method_codec(spec.name, signature, f"{cls.__qualname__}.{spec.name}")
        self._errors = spec.errors or ErrorCodec((), {})
        self._source = source
        self._timeout = spec.timeout if spec.timeout is not None else defaults.timeout
        self._metadata = dict(defaults.metadata)
        self._default_headers = metadata_headers(defaults.metadata)
        self._oneway = spec.oneway
        self._idempotent = spec.idempotent
        self._retry = spec.retry
        foreign = CONVENTIONS.get(service.dialect_of(spec))
        self._target = Target(
            name=f"{service.name}/{spec.name}",
            topic=service.topic_of(spec),
            foreign=foreign,
            headers=() if foreign else method_headers(service.name, spec.name),
            once=service.delivery_of(spec) == "at_most_once",
        )
        parameters = list(signature.parameters.values())
        self._bare = BareCodec(parameters[0].annotation) if foreign and parameters else None
        self._bare_reply = BareCodec(signature.return_annotation) if foreign else None

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Any:
        """As `Caller.call`."""
        try:
            record = await self._exchange(args, kwargs, options)
            return None if record is None else self._value(record)
        except RpcError as error:
            raise mark_received(error)  # noqa: B904  # the same error

    async def call_with_reply(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Reply[Any]:
        """As `Caller.call_with_reply`."""
        try:
            record = await self._exchange(args, kwargs, options)
            value = None if record is None else self._value(record)
        except RpcError as error:
            raise mark_received(error)  # noqa: B904  # the same error
        if record is None:
            return Reply(value=None, metadata={})
        response, foreign = parse_response(record.headers), self._target.foreign
        return Reply(
            value=value,
            metadata=foreign.metadata_in(response.metadata) if foreign else response.metadata,
            queue_time=response.queue_ms / 1000,
            exec_time=response.exec_ms / 1000,
        )

    def _exchange(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Awaitable[Record | None]:
        """What to await for the reply. No coroutine itself: each one costs a call a microsecond."""
        calls = self._source()
        options = with_ambient(options)
        target, body = self._request(args, kwargs)
        metadata = (
            metadata_headers({**self._metadata, **options.metadata}) if options.metadata else self._default_headers
        )
        timeout = options.timeout or self._timeout or calls.timeout
        if self._oneway:
            expires = options.timeout is not None or self._timeout is not None
            return calls.oneway(target, body, timeout, options.key, metadata, expires=expires)
        retry = (options.retry or self._retry) if self._idempotent else None
        if retry is None:
            return calls.unary(target, body, timeout, options.key, metadata)

        tried: set[int] = set()

        async def attempt(seconds: float) -> Record:
            record = await calls.unary(target, body, seconds, options.key, metadata, tried)
            status = status_of(record.headers)
            if status in retry.on or status is Status.DEADLINE_EXCEEDED:
                self._value(record)  # raises it
            return record

        return with_retries(retry, timeout, calls.budget(target), attempt)

    def _request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Target, bytes | None]:
        foreign = self._target.foreign
        if foreign is None:
            return self._target, self._codec.dump_arguments(args, kwargs)
        arguments = self._codec.bind(args, kwargs)
        try:
            body, headers = foreign.request(self._bare, next(iter(arguments.values()), None))
        except ReplyError:
            raise self._codec.not_sendable(arguments) from None
        return replace(self._target, headers=headers), body

    def _value(self, record: Record) -> Any:
        if self._bare_reply is not None:
            return self._foreign_value(record, self._bare_reply)
        status = status_of(record.headers)
        body = record.value
        if status is not Status.OK:
            raise self._errors.load(status, body)
        try:
            return self._codec.load_reply(body or b"")
        except ReplyError as error:
            raise self._data_loss(error) from None

    def _foreign_value(self, record: Record, codec: BareCodec) -> Any:
        assert self._target.foreign is not None
        error = self._target.foreign.error_in(record.headers)
        if error is not None:
            raise self._errors.load(*error)
        try:
            content_type = parse_response(record.headers).content_type
            return codec.load_reply(self._target.foreign.received(record.value, content_type), content_type)
        except ReplyError as failure:
            raise self._data_loss(failure) from None

    def _data_loss(self, error: ReplyError) -> DataLoss:
        return DataLoss(f"{self._target.name}: the reply is not what the contract says: {error}")


async def request(
    calls: Calls, topic: str, body: bytes, options: CallOptions, headers: tuple[Header, ...] = ()
) -> bytes:
    """A call without a contract: bytes to a plain FastStream subscriber of the topic, bytes back. Raises RpcError."""
    options = with_ambient(options)
    target = Target(name=f"request to {topic!r}", topic=topic, foreign=FASTSTREAM, headers=headers)
    metadata = metadata_headers(options.metadata)
    try:
        record = await calls.unary(target, body, options.timeout or calls.timeout, options.key, metadata)
        response = parse_response(record.headers)
        if response.status is not Status.OK:
            raise ErrorCodec((), {}).load(response.status, record.value)
    except RpcError as error:
        raise mark_received(error)  # noqa: B904  # the same error
    return record.value or b""
