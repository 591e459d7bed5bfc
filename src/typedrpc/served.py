"""What a service's requests are looked up in: its methods by wire name and by topic. Pure."""

from __future__ import annotations

import dis
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from typedrpc.codec import BareCodec, MethodCodec, ReplyError
from typedrpc.contract import ServiceSpec, service_spec
from typedrpc.dialects import CONVENTIONS
from typedrpc.document import ContractDocument, document_of
from typedrpc.error_codec import ErrorCodec
from typedrpc.errors import DeadlineExceeded, RpcError, Status
from typedrpc.method import MethodSpec
from typedrpc.signature import close_types, method_codec
from typedrpc.wire import Header, Malformed, Request, response_headers

_NO_ERRORS = ErrorCodec((), {})


class ServedMethod:
    """One method of a server object: its function, and its codecs by the contract's types."""

    def __init__(self, service: str, spec: MethodSpec, fn: Callable[..., Any], cls: type[Any]) -> None:
        self.name: str = f"{service}/{spec.name}"
        self.fn: Callable[..., Coroutine[Any, Any, Any]] = fn
        self.wants_call: bool = spec.wants_call
        self.oneway: bool = spec.oneway
        self.never_suspends: bool = _never_suspends(fn)
        signature = spec.signature if spec.codec else close_types(spec.signature, cls, None)
        self.codec: MethodCodec = spec.codec or method_codec(spec.name, signature, f"{cls.__qualname__}.{spec.name}")
        self.errors: ErrorCodec = spec.errors or _NO_ERRORS
        self.declared: tuple[type[RpcError], ...] = spec.raises
        parameters = list(signature.parameters.values())
        self._parameter = parameters[0] if len(parameters) == 1 else None
        self.takes_foreign: bool = len(parameters) <= 1
        self._bare = BareCodec(self._parameter.annotation) if self._parameter else None
        self._bare_reply = BareCodec(signature.return_annotation) if self.takes_foreign else None

    def load(self, request: Request, body: bytes | None) -> tuple[list[Any], dict[str, Any]]:
        """The arguments; raises InvalidArgument."""
        if not request.foreign:
            return self.codec.load_arguments(body or b"{}")
        if self._bare is None or self._parameter is None:
            return [], {}
        body = CONVENTIONS[request.foreign].received(body, request.content_type)
        value = self._bare.load_argument(self.name, body, request.content_type)
        if self._parameter.kind is self._parameter.POSITIONAL_ONLY:
            return [value], {}
        return [], {self._parameter.name: value}

    def reply(
        self, request: Request, value: Any, queue_ms: int, exec_ms: int, metadata: Sequence[Header]
    ) -> tuple[list[Header], bytes | None]:
        """Headers and body for the handler's value; raises ReplyError."""
        if request.foreign and self._bare_reply is not None:
            convention, json = CONVENTIONS[request.foreign], request.content_type != ""
            return convention.reply(request.correlation_id, self._bare_reply, value, metadata, json=json)
        body = self.codec.dump_reply(value)
        return response_headers(request.correlation_id, Status.OK, queue_ms, exec_ms, metadata), body

    def error_reply(
        self, request: Request, error: RpcError, queue_ms: int, exec_ms: int, metadata: Sequence[Header] = ()
    ) -> tuple[list[Header], bytes | None] | None:
        """The same for an error: None where the method may not raise it, no headers where its caller's dialect has no
        errors. Raises ReplyError.
        """
        dumped = self.errors.dump(error)
        if dumped is None:
            return None
        status, body = dumped
        if request.foreign:
            return CONVENTIONS[request.foreign].error(request.correlation_id, error, body, metadata)
        return response_headers(request.correlation_id, status, queue_ms, exec_ms, metadata), body

    def deadline_exceeded(self, correlation_id: bytes) -> tuple[list[Header], bytes | None]:
        """For a request whose deadline passed while it was queued; its handler does not run."""
        return _error(correlation_id, DeadlineExceeded(f"{self.name}: expired in the queue, the handler did not run"))


class Served:
    """One service of one object, with the counts of what it refused."""

    def __init__(self, contract: type[Any], instance: object) -> None:
        spec = service_spec(contract)
        self.name: str = spec.name
        self.contract: type[Any] = contract
        self.instance: object = instance
        self.malformed: int = 0
        self.expired: int = 0
        self.repeated: int = 0
        self.cancelled: int = 0
        self.unsent: int = 0
        cls = type(instance)
        own = service_spec(cls).methods
        self._methods = {
            m.name: ServedMethod(spec.name, own.get(n, m), own.get(n, m).fn, cls) for n, m in spec.methods.items()
        }
        self.topics: set[str] = {spec.topic_of(m) for m in spec.methods.values()} or {spec.topic or spec.name}
        self.at_most_once: set[str] = {
            spec.topic_of(m) for m in spec.methods.values() if spec.delivery_of(m) == "at_most_once"
        }
        self._foreign = _foreign_methods(spec, self._methods)

    def document(self) -> ContractDocument:
        """The service as JSON, with the types of this server where its contract leaves them open."""
        return document_of(service_spec(self.contract), self.contract, type(self.instance))

    def find(self, request: Request, topic: str) -> ServedMethod | None:
        """The request's method; None where it is for another service that may share the topic. Raises Malformed."""
        if request.foreign:
            method = self._foreign.get(topic)
            if method is None:
                raise Malformed("a request without rpc-protocol, on a topic that names no method of one parameter")
            return method
        if request.service == self.name:
            method = self._methods.get(request.method)
            if method is not None:
                return method
        elif topic != self.name:
            return None
        detail = f": {request.service[:100]!r}/{request.method[:100]!r}"
        raise Malformed("this method is not served here", request.reply, Status.UNIMPLEMENTED, detail)

    def refusal(self, error: Malformed) -> tuple[list[Header], bytes | None]:
        """The reply to a record that is no request; its text says why."""
        from_status = _NO_ERRORS.load(error.status, None)
        from_status.__dict__["message"] = f"{self.name}: {error}"
        return _error(error.reply.correlation_id if error.reply else b"", from_status, error.foreign)

    def too_large(self, size: int, most: int, request: Request) -> Malformed:
        """For a request's body over the limit."""
        text = f"a request body of over {most} bytes"
        return Malformed(text, request.reply, Status.RESOURCE_EXHAUSTED, foreign=request.foreign)


def _foreign_methods(spec: ServiceSpec, methods: dict[str, ServedMethod]) -> dict[str, ServedMethod]:
    """For each topic the method that a request of another framework means: the one declared so, else the only one."""
    foreign: dict[str, ServedMethod] = {}
    for topic in {spec.topic_of(m) for m in spec.methods.values()}:
        there = [m for m in spec.methods.values() if spec.topic_of(m) == topic]
        declared = [m for m in there if spec.dialect_of(m) != "typedrpc"]
        (chosen, *others) = declared or there
        if not others and methods[chosen.name].takes_foreign:
            foreign[topic] = methods[chosen.name]
    return foreign


def _error(correlation_id: bytes, error: RpcError, foreign: str = "") -> tuple[list[Header], bytes | None]:
    dumped = _NO_ERRORS.dump(error)
    if dumped is None:
        raise ReplyError(f"{error!r} is no built-in error")
    status, body = dumped
    if foreign:
        return CONVENTIONS[foreign].error(correlation_id, error, body)
    return response_headers(correlation_id, status, 0, 0), body


_SUSPENDS = {"GET_AWAITABLE", "SEND", "YIELD_VALUE", "GET_ANEXT", "BEFORE_ASYNC_WITH", "YIELD_FROM"}


def _never_suspends(fn: Callable[..., Any]) -> bool:
    """Whether the function has no `await` at all, so that it needs no task to run in."""
    return not any(i.opname in _SUSPENDS for i in dis.get_instructions(fn))
