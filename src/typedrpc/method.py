"""What `@service.method` makes of an `async def`, and what an instance or a client gives in its place."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Generic, Literal, Never, ParamSpec, Protocol, Self, TypeVar, cast, get_args, overload

from typedrpc.codec import MethodCodec
from typedrpc.error_codec import ErrorCodec
from typedrpc.errors import RpcError, UsageError
from typedrpc.options import Call, CallOptions, Key, Metadata, Reply, Retry, served_call, with_ambient, within_call

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
B_co = TypeVar("B_co", covariant=True)  # Unary[P, R] or Oneway[P]

Delivery = Literal["at_least_once", "at_most_once"]
Dialect = Literal["typedrpc", "faststream", "spring", "nestjs", "smallrye"]
ALL_DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the decorator was given; None: left to the contract that the method implements, or to the default."""

    fn: Callable[..., Coroutine[Any, Any, Any]]
    scope: Mapping[str, Any]  # locals of the function around the class: contracts made inside tests resolve too
    oneway: bool | None = None
    name: str | None = None
    timeout: float | None = None
    topic: str | None = None
    dialect: Dialect | None = None
    delivery: Delivery | None = None
    raises: tuple[type[RpcError], ...] | None = None
    idempotent: bool | None = None
    retry: Retry | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MethodSpec:
    """One method of a service. `signature` is the client's; its annotations are resolved and are the contract's.

    `codec` is None for a method of a generic contract whose types are still open.
    """

    fn: Callable[..., Coroutine[Any, Any, Any]]
    name: str
    signature: inspect.Signature
    codec: MethodCodec | None
    errors: ErrorCodec | None
    wants_call: bool
    oneway: bool
    raises: tuple[type[RpcError], ...]
    timeout: float | None
    topic: str | None
    dialect: Dialect | None
    delivery: Delivery | None
    idempotent: bool
    retry: Retry | None


class Caller(Protocol):
    """How a bound method is called: on a client over Kafka, on an instance directly."""

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Coroutine[Any, Any, Any]:
        """The value of the reply."""
        ...

    def call_with_reply(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Coroutine[Any, Any, Reply[Any]]:
        """The reply with its metadata and times."""
        ...


def _mark_coroutine(cls: type[Any]) -> None:
    """Lets `inspect.iscoroutinefunction` take instances for `async def`, as AsyncMock(spec=client) needs."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(cls)
    else:
        cls._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine")  # noqa: B009  # asyncio's own marker before 3.12


class _Bound(Generic[P]):
    def __init__(self, spec: MethodSpec, caller: Caller, options: CallOptions) -> None:
        self._spec = spec
        self._caller = caller
        self._options = options
        self.__name__: str = spec.fn.__name__
        self.__doc__: str | None = spec.fn.__doc__
        self.__signature__: inspect.Signature = spec.signature

    def with_options(
        self,
        *,
        timeout: float | None = None,
        key: Key | None = None,
        metadata: Metadata | None = None,
        retry: Retry | None = None,
    ) -> Self:
        """The same method with options for its calls; its signature is unchanged.

        `timeout` is in seconds, None means not given. `key` puts calls of one key on one partition, so that one
        server process sees them; their handlers still run concurrently. `metadata` travels as record headers.
        Raises UsageError for a time-out that is not positive and for `retry` on a method that is not `idempotent`.
        """
        if retry is not None and not self._spec.idempotent:
            raise UsageError(f"{self.__name__}: retry= is for methods marked @service.method(idempotent=True)")
        given = CallOptions(timeout=timeout, key=key, metadata=metadata or {}, retry=retry)
        return type(self)(self._spec, self._caller, given.over(self._options))


class Unary(_Bound[P], Generic[P, R_co]):
    """A method of a client or of a local instance: await a call of it, or of its `with_reply`."""

    def __call__(
        self, /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R_co]:  # `/`: a parameter named self
        """Raises RpcError (a declared error or a status' class) or UsageError. Cancelling it cancels the call."""
        return self._caller.call(args, kwargs, self._options)

    def with_reply(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Reply[R_co]]:
        """The same call, with the reply's metadata and times."""
        return self._caller.call_with_reply(args, kwargs, self._options)


class Oneway(_Bound[P], Generic[P]):
    """A method without a reply: the await ends when all in-sync replicas of the broker have the request."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, None]:
        """Raises Unavailable or DeadlineExceeded where the broker did not take the request in time."""
        return self._caller.call(args, kwargs, self._options)


def bind(spec: MethodSpec, caller: Caller, options: CallOptions) -> Unary[Any, Any] | Oneway[Any]:
    """What stands for the method on a client or an instance."""
    return Oneway[Any](spec, caller, options) if spec.oneway else Unary[Any, Any](spec, caller, options)


class _LocalCall:
    """A call of a server object in its own process: the function itself, with a `Call` made from the options."""

    def __init__(self, spec: MethodSpec, instance: object) -> None:
        self._spec = spec
        self._instance = instance

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Any:
        return (await self.call_with_reply(args, kwargs, options)).value

    async def call_with_reply(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Reply[Any]:
        call = around = served_call()
        if call is None or options.metadata:
            deadline = around.deadline if around else None
            call = Call(self._spec.name, with_ambient(options).metadata, deadline)
        context = (call,) if self._spec.wants_call else ()
        with within_call(call):
            value = await self._spec.fn(self._instance, *context, *args, **kwargs)
        return Reply(value=value, metadata=call.reply_metadata)


class Method(Generic[B_co]):
    """A service's method as its class has it. On an instance or a client it is a `Unary[P, R]` or `Oneway[P]`."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._spec: MethodSpec | None = None
        update_wrapper(cast("Callable[..., Any]", self), declaration.fn)

    @property
    def spec(self) -> MethodSpec:
        """The method as its service has it; UsageError while its class is no service."""
        if self._spec is None:
            where = self.declaration.fn.__qualname__
            raise UsageError(f"{where}: its class is no service; derive it from Service or decorate it with @service")
        return self._spec

    def define(self, spec: MethodSpec) -> None:
        """Called when the class is made."""
        self._spec = spec

    def make_abstract(self) -> None:
        """Python itself then refuses to make an object of a class that lacks the method."""
        self.__isabstractmethod__ = True

    @property
    def defined(self) -> bool:
        """True once its class is made; a dataclass with slots makes a class twice."""
        return self._spec is not None

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> B_co: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        """On the class the method itself, on an instance what to await."""
        return self if instance is None else bind(self.spec, _LocalCall(self.spec, instance), CallOptions())

    def __call__(self, *args: Never, **kwargs: Never) -> Any:
        """Refused: here so that `@override` may stand above `@service.method`."""
        where = self.declaration.fn.__qualname__
        raise UsageError(f"{where} is called on the class: call it on an instance or on `client(...)`")


_mark_coroutine(Unary)
_mark_coroutine(Oneway)
_mark_coroutine(Method)
