"""What a service is: the decorators, and the class that they read into a `ServiceSpec`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, get_args, get_origin, overload

from typedrpc.errors import ContractError, RpcError, UsageError
from typedrpc.method import Declaration, Delivery, Dialect, Method, MethodSpec, Oneway, Unary
from typedrpc.options import Call, Retry, check_timeout
from typedrpc.signature import check_implements, define_method

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound="type[Any]")

_SPEC = "__rpc_service__"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceSpec:
    """A service: its name, which is also its consumer group, and its methods by their Python names."""

    name: str
    topic: str | None
    dialect: Dialect | None
    delivery: Delivery | None
    methods: dict[str, MethodSpec]

    def topic_of(self, method: MethodSpec) -> str:
        """Where the method's requests go."""
        return next(t for t in (method.topic, self.topic, self.name) if t is not None)

    def dialect_of(self, method: MethodSpec) -> Dialect:
        """The headers and bodies that the method's client writes."""
        return method.dialect or self.dialect or "typedrpc"

    def delivery_of(self, method: MethodSpec) -> Delivery:
        """What a restart does to a request that was fetched."""
        return method.delivery or self.delivery or "at_least_once"


class _Decorate(Protocol):  # `ctx: Call` first, or Call would become a parameter of the client
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, Call, P], Coroutine[Any, Any, R]], /) -> Method[Unary[P, R]]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Method[Unary[P, R]]: ...


class _DecorateOneway(Protocol):
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, Call, P], Coroutine[Any, Any, None]], /) -> Method[Oneway[P]]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, None]], /) -> Method[Oneway[P]]: ...


class _Service:
    """The decorators `service` and `service.method`."""

    @overload
    def __call__(self, cls: C, /) -> C: ...
    @overload
    def __call__(
        self,
        /,
        *,
        service: str | None = None,
        topic: str | None = None,
        dialect: Dialect | None = None,
        delivery: Delivery | None = None,
    ) -> Callable[[C], C]: ...
    def __call__(self, cls: Any = None, /, **options: Any) -> Any:
        """Make a class a service without deriving it from `Service`: `@service` or `@service(service="echo")`."""
        return partial(_define, **options) if cls is None else _define(cls)

    @overload
    def method(self, fn: Callable[Concatenate[Any, Call, P], Coroutine[Any, Any, R]], /) -> Method[Unary[P, R]]: ...
    @overload
    def method(self, fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Method[Unary[P, R]]: ...
    @overload
    def method(
        self,
        /,
        *,
        oneway: Literal[True],
        name: str | None = None,
        timeout: float | None = None,
        topic: str | None = None,
        dialect: Dialect | None = None,
        delivery: Delivery | None = None,
    ) -> _DecorateOneway: ...
    @overload
    def method(
        self,
        /,
        *,
        oneway: Literal[False] = False,
        name: str | None = None,
        timeout: float | None = None,
        topic: str | None = None,
        dialect: Dialect | None = None,
        delivery: Delivery | None = None,
        raises: Sequence[type[RpcError]] = (),
        idempotent: bool = False,
        retry: Retry | None = None,
    ) -> _Decorate: ...
    def method(self, fn: Any = None, /, **options: Any) -> Any:
        """Let an `async def` of a service be called from elsewhere.

        `oneway`: no reply; the caller waits only until Kafka has the request. `name` is the name on the wire, `topic`
        where the requests go, `timeout` the default deadline in seconds, `raises` the errors that arrive as
        themselves. `idempotent` allows retries, `retry` asks for them. `dialect` is that of another framework at the
        other end: "faststream", "spring", "nestjs" or "smallrye". `delivery="at_most_once"` commits before the
        handler runs.

        On a server's method, what is left out is its contract's. Raises ContractError, here or when the class is made.
        """
        body = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # of the class statement
        scope = body.f_back.f_locals if body.f_back else {}

        def decorate(function: Any) -> Method[Any]:
            where = getattr(function, "__qualname__", repr(function))
            if not inspect.iscoroutinefunction(function):
                raise ContractError(f"{where}: a service's method must be a plain `async def` with one reply")
            if isinstance(raises := options.get("raises", ()), type):
                raise ContractError(f"{where}: raises={raises.__qualname__}: write a list of classes, `raises=[...]`")
            if "raises" in options:
                options["raises"] = tuple(raises)
            return Method[Any](Declaration(fn=function, scope=scope, **options))

        return decorate if fn is None else decorate(fn)


service: _Service = _Service()
"""Decorates: `@service.method` a method, `@service` a class that is not derived from `Service`."""


class Service(Protocol):
    """Base of services: `class Echo(Service, Protocol, service="echo")` is a contract, its methods have no bodies.

    Without `Protocol` the class is contract and server in one. `service` is the name on the wire (default: the
    class' name), `topic` where requests go (default: the service's name); `dialect` and `delivery` are those of all
    methods. Raises ContractError, with the remedy, while the class is made.
    """

    def __init_subclass__(
        cls,
        *,
        service: str | None = None,
        topic: str | None = None,
        dialect: Dialect | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        super().__init_subclass__()
        _define(cls, service=service, topic=topic, dialect=dialect, delivery=delivery)


def service_spec(cls: type[Any]) -> ServiceSpec:
    """The service that the class itself is; raises UsageError where it is none."""
    spec = vars(cls).get(_SPEC)
    if not isinstance(spec, ServiceSpec):
        raise UsageError(f"{cls.__qualname__} is no service: derive it from Service or decorate it with @service")
    return spec


def contract_of(contract: Any) -> tuple[type[Any], ServiceSpec]:
    """The class and the service of what `client(...)` is given: a contract, `Crud[User]` or a class that serves one.

    Raises UsageError for anything else.
    """
    cls: Any = get_origin(contract) or contract
    contracts = contracts_of(cls) if isinstance(cls, type) else []
    if len(contracts) > 1:
        names = ", ".join(c.__name__ for c in contracts)
        raise UsageError(f"{cls.__name__} serves {names}: give one of these")
    spec = service_spec(contracts[0]) if contracts else None
    if spec is None or not spec.methods:
        raise UsageError(f"{contract!r} is no service that has methods: give the class of one")
    return cls, spec


def contracts_of(cls: type[Any]) -> list[type[Any]]:
    """The contracts that an object of the class serves: the most derived ones; the class itself where it has none."""
    named = [k for k in cls.__mro__ if _SPEC in vars(k)]
    contracts = [k for k in named if _is_contract(k)] or named[:1]
    return [k for k in contracts if not any(k in other.__mro__ for other in contracts if other is not k)]


def _is_contract(cls: type[Any]) -> bool:
    return bool(vars(cls).get("_is_protocol"))


def _define(
    cls: C,
    *,
    service: str | None = None,
    topic: str | None = None,
    dialect: Dialect | None = None,
    delivery: Delivery | None = None,
) -> C:
    """Reads the class; raises ContractError."""
    if cls.__module__ == __name__:
        return cls  # Service itself
    inherited = _inherited(cls)
    given = {"service": service, "topic": topic, "dialect": dialect, "delivery": delivery}
    if not _is_contract(cls) and any(_is_contract(k) for k in cls.__mro__[1:] if _SPEC in vars(k)):
        for option, value in given.items():
            if value is not None:
                raise ContractError(f"{cls.__qualname__}: {option}={value!r} is its contract's to say: leave it out")
    made_before: ServiceSpec | None = vars(cls).get(_SPEC)  # @dataclass(slots=True) makes a class twice, wordless
    default = made_before or (None if _is_contract(cls) else inherited)
    spec = ServiceSpec(
        name=service if service is not None else default.name if default else cls.__name__,
        topic=topic if topic is not None else default.topic if default else None,
        dialect=dialect if dialect is not None else default.dialect if default else None,
        delivery=delivery if delivery is not None else default.delivery if default else None,
        methods=_methods(cls, has_contract=inherited is not None and not _is_contract(cls)),
    )
    _check_names(cls, spec)
    _check_topics(cls, spec)
    setattr(cls, _SPEC, spec)
    return cls


def _inherited(cls: type[Any]) -> ServiceSpec | None:
    return next((vars(k)[_SPEC] for k in cls.__mro__[1:] if _SPEC in vars(k)), None)


def _methods(cls: type[Any], *, has_contract: bool) -> dict[str, MethodSpec]:
    contract = _is_contract(cls)
    bases = cls.__mro__[1:]
    own: dict[str, Any] = dict(vars(cls))
    for name, value in own.items():
        base = _method_of(bases, name)
        where = f"{cls.__qualname__}.{name}"
        if not isinstance(value, Method):
            if isinstance(getattr(value, "__func__", None), Method):  # a staticmethod or classmethod of it
                raise ContractError(f"{where}: a service's method takes `self`: make it a plain `async def`")
            if base or (inspect.isfunction(value) and contract and not name.startswith("_")):
                raise ContractError(f"{where}: decorate it with @service.method" + _private_hint(base))
            continue
        if base is None and has_contract and any(_is_contract(k) for k in bases if _SPEC in vars(k)):
            raise ContractError(f"{where} is not in the contract: declare it there, or leave @service.method out")
        if not value.defined:
            value.define(define_method(value.declaration, cls, base.spec if base else None))
        if contract:  # then Python itself refuses to make an object of a class that lacks one
            value.make_abstract()
    names = dict.fromkeys(n for k in cls.__mro__ for n, m in vars(k).items() if isinstance(m, Method))
    return {name: _found(cls, name) for name in sorted(names)}


def _found(cls: type[Any], name: str) -> MethodSpec:
    """The method as the class has it, checked against every contract that declares it."""
    where = f"{cls.__qualname__}.{name}"
    method = inspect.getattr_static(cls, name)
    holder = next(k for k in cls.__mro__ if name in vars(k))
    if not isinstance(method, Method) or not method.defined:
        raise ContractError(
            f"{where}: {holder.__qualname__}, which it comes from, is no service: derive that from the contract, "
            "and decorate the method with @service.method"
        )
    for contract in cls.__mro__:
        promised = vars(contract).get(name)
        if contract is not holder and isinstance(promised, Method) and promised.defined and _is_contract(contract):
            check_implements(method.spec, promised.spec, where)
    return method.spec


def _method_of(bases: Sequence[type[Any]], name: str) -> Method[Any] | None:
    return next((vars(k)[name] for k in bases if isinstance(vars(k).get(name), Method)), None)


def _private_hint(base: object) -> str:
    return ", as the method that it overrides" if base else ", or start its name with _ where it is no RPC method"


_TOPIC = re.compile(r"(?!__)(?!\.\.?$)[A-Za-z0-9._-]{1,249}")  # Kafka's rule: org.apache.kafka.common.internals.Topic
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def is_name(text: str) -> bool:
    """Whether a service, or a method on the wire, may have this name."""
    return _NAME.fullmatch(text) is not None


def _check_names(cls: type[Any], spec: ServiceSpec) -> None:
    if not is_name(spec.name):
        raise ContractError(f"{cls.__qualname__}: service={spec.name!r}: up to 200 letters, digits, '.', '_' and '-'")
    if spec.topic is not None and not _TOPIC.fullmatch(spec.topic):
        raise ContractError(f"{cls.__qualname__}: topic={spec.topic!r}: Kafka allows no such topic name here")
    _check_words(cls.__qualname__, spec.dialect, spec.delivery)
    for python_name, method in spec.methods.items():
        where = f"{cls.__qualname__}.{python_name}"
        if not is_name(method.name):
            raise ContractError(f"{where}: name={method.name!r}: up to 200 letters, digits, '.', '_' and '-'")
        if not _TOPIC.fullmatch(spec.topic_of(method)):
            raise ContractError(f"{where}: topic={spec.topic_of(method)!r}: Kafka allows no such topic name here")
        _check_words(where, method.dialect, method.delivery)
        try:
            check_timeout(method.timeout)
        except UsageError as error:
            raise ContractError(f"{where}: {error}") from None


def _check_words(where: str, dialect: str | None, delivery: str | None) -> None:
    for option, given, words in (("dialect", dialect, get_args(Dialect)), ("delivery", delivery, get_args(Delivery))):
        if given is not None and given not in words:
            raise ContractError(f"{where}: {option}={given!r}: write one of {', '.join(map(repr, words))}")


def _check_topics(cls: type[Any], spec: ServiceSpec) -> None:
    """Raises ContractError where a request on a topic would not say which method it is for, or how to commit it."""
    names: dict[str, str] = {}
    foreign: dict[str, str] = {}
    deliveries: dict[str, tuple[str, Delivery]] = {}
    for python_name, method in spec.methods.items():
        where = f"{cls.__qualname__}.{python_name}"
        topic = spec.topic_of(method)
        if other := names.get(method.name):
            raise ContractError(f"{where} and {other} have one name on the wire, {method.name!r}: give one a name=")
        names[method.name] = where
        dialect = spec.dialect_of(method)
        if dialect != "typedrpc":
            if other := foreign.get(topic):
                raise ContractError(
                    f"{where} and {other} are {dialect} methods on one topic, {topic!r}, where nothing tells "
                    f"their requests apart: give each a topic="
                )
            foreign[topic] = where
            if len(method.signature.parameters) > 1:
                raise ContractError(f"{where}: a {dialect} body is one value: take one parameter, or none")
        other_place, delivery = deliveries.setdefault(topic, (where, spec.delivery_of(method)))
        if delivery != spec.delivery_of(method):
            raise ContractError(f"{where} and {other_place} share topic {topic!r} with different delivery=: split them")
        if method.idempotent and delivery == "at_most_once":
            raise ContractError(
                f"{where}: idempotent=True asks for retries, and delivery='at_most_once' is for what must not run "
                "twice: leave one out"
            )
