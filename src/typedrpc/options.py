"""What is said of one call: its options, the call as its handler sees it, and the reply with what came along."""

from __future__ import annotations

import contextvars
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

from typedrpc.errors import Status, UsageError

R_co = TypeVar("R_co", covariant=True)

Key = str | bytes
Metadata = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How an `idempotent` method is tried again, inside the call's deadline.

    `attempts` counts the first one too; `attempt_timeout`, `backoff` and `max_backoff` are seconds. An attempt is
    tried again where it ends with a status of `on`, or at its own `attempt_timeout` before the call's deadline.
    """

    attempts: int = 3
    attempt_timeout: float | None = None
    backoff: float = 0.05
    max_backoff: float = 1.0
    on: frozenset[Status] = frozenset({Status.UNAVAILABLE})

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.backoff < 0 or self.max_backoff < 0:
            raise UsageError(f"{self!r}: attempts is at least one, a backoff at least zero seconds")
        check_timeout(self.attempt_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """Options of a call as one place gives them; None or empty: not given here. `timeout` is in seconds."""

    timeout: float | None = None
    key: Key | None = None
    metadata: Metadata = field(default_factory=dict[str, str])
    retry: Retry | None = None

    def __post_init__(self) -> None:
        check_timeout(self.timeout)
        if self.key is not None and not isinstance(self.key, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"key={self.key!r}: a key is text or bytes")

    def over(self, low: CallOptions) -> CallOptions:
        """These options where given, `low` elsewhere; metadata is merged."""
        return CallOptions(
            timeout=low.timeout if self.timeout is None else self.timeout,
            key=low.key if self.key is None else self.key,
            metadata={**low.metadata, **self.metadata},
            retry=low.retry if self.retry is None else self.retry,
        )


_MOST_SECONDS = 10**9  # thirty years: nobody means more, and in milliseconds it still fits what every language reads


def check_timeout(timeout: float | None) -> None:
    """Raises UsageError for a time-out that is not a positive, finite number of seconds; None means not given."""
    if timeout is None:
        return
    if not isinstance(timeout, int | float) or not 0 < timeout <= _MOST_SECONDS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"timeout={timeout!r}: give a positive number of seconds; every call has a deadline")


NO_OPTIONS = CallOptions()
_ambient: contextvars.ContextVar[CallOptions] = contextvars.ContextVar("typedrpc_options", default=NO_OPTIONS)
_around: contextvars.ContextVar[tuple[CallOptions, ...]] = contextvars.ContextVar("typedrpc_around", default=())


def with_ambient(options: CallOptions) -> CallOptions:
    """The options of one call over what the `with options(...)` blocks around the caller give."""
    ambient = _ambient.get()
    return options if ambient is NO_OPTIONS else options.over(ambient)


class options:  # noqa: N801  # reads as a statement: `with options(timeout=2):`
    """Options for every call made in the `with` block, in this task and the tasks started in it.

    `timeout` is in seconds; None means not given. `with_options` of a single call comes before these, a method's,
    client's or Rpc's own defaults after. `retry` is skipped for methods that are not `idempotent`.
    """

    # Not @contextmanager: used as a decorator of an `async def`, that would silently do nothing.
    def __init__(
        self,
        *,
        timeout: float | None = None,
        key: Key | None = None,
        metadata: Metadata | None = None,
        retry: Retry | None = None,
    ) -> None:
        self._options = CallOptions(timeout=timeout, key=key, metadata=metadata or {}, retry=retry)

    # No tokens kept here: one object may be in use by several tasks, which leave in any order.
    def __enter__(self) -> None:
        around = _ambient.get()
        _around.set((*_around.get(), around))
        _ambient.set(self._options.over(around))

    def __exit__(self, *exc: object) -> None:
        *rest, around = _around.get()
        _around.set(tuple(rest))
        _ambient.set(around)


@final
@dataclass(slots=True, eq=False)  # not frozen: that would make it five times slower, and one is made for each request
class Call:
    """The call being served: a method's first parameter `ctx: Call`, or `current_call()`.

    `method` is `service/method`; `deadline` is a time of the event loop's clock (`loop.time()`, seconds), None where
    the request never expires; `correlation_id` is the caller's, as text; what is put into `reply_metadata` travels
    with the reply.
    """

    method: str
    metadata: Metadata
    deadline: float | None = None
    correlation_id: str = ""
    reply_metadata: dict[str, str] = field(default_factory=dict[str, str])


_call: contextvars.ContextVar[Call | None] = contextvars.ContextVar("typedrpc_call", default=None)


def served_call() -> Call | None:
    """The call being served, None outside a handler."""
    return _call.get()


def set_call(call: Call) -> None:
    """Makes `call` the current one of this context, which is the handler's own."""
    _call.set(call)


@contextmanager
def within_call(call: Call) -> Generator[None]:
    """Makes `call` the current one of the block: a local call's own."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


def current_call() -> Call:
    """The call being served, or the local call of a server object; a neutral one outside both."""
    return _call.get() or Call("local", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Generic[R_co]):
    """A reply with what came along: the server's metadata, and the seconds in its queue and in its handler."""

    value: R_co
    metadata: Metadata
    queue_time: float = 0.0
    exec_time: float = 0.0
