"""Runs handlers: in place where they never await, else as tasks with a deadline; answers what came of each."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
import sys
from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextlib import suppress
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, Literal

from typedrpc.config import Limits
from typedrpc.dispatcher import Deadlines
from typedrpc.errors import (
    Cancelled,
    DeadlineExceeded,
    InternalError,
    ResourceExhausted,
    RpcError,
    Unavailable,
    was_received,
)
from typedrpc.options import Call, set_call, within_call
from typedrpc.served import Served, ServedMethod
from typedrpc.wire import Address, Header, Request, metadata_headers

_log = logging.getLogger("typedrpc")

_HAS_EAGER_TASKS = sys.version_info >= (3, 12)
_EagerTask: Any = asyncio.Task  # its eager_start is unknown to the oldest Python's type stubs
_CANCEL_WAIT = 5.0  # seconds that cancelled handlers get to end
_NEAR = 0.05  # seconds by which another server may end a handler's own call before the handler's deadline
NEVER = float("inf")
"""The deadline of a request that has none."""
_GRACE = 1.0  # seconds that a cancelled handler gets to end before its caller is answered without it


class Job:
    """A request whose handler runs. Times are loop.time()'s, `queue_ms` milliseconds.

    Made by position: by name it would cost half a microsecond more, and one is made for each request.
    """

    __slots__ = (
        "answered",
        "call",
        "coroutine",
        "deadline",
        "ended_by",
        "key",
        "method",
        "queue_ms",
        "received",
        "request",
        "size",
        "task",
        "tokens",
    )

    def __init__(
        self,
        method: ServedMethod,
        request: Request,
        received: float,
        deadline: float,
        queue_ms: int,
        size: int,
        key: Hashable,
        token: Any,
    ) -> None:
        self.method: ServedMethod = method
        self.request: Request = request
        self.received: float = received
        self.deadline: float = deadline
        self.queue_ms: int = queue_ms
        self.size: int = size
        self.key: Hashable = key
        self.tokens: list[Any] = [token]  # of the request, and of its repeats
        self.coroutine: Coroutine[Any, Any, None]  # what the task runs
        self.task: asyncio.Task[None] | None = None
        self.answered: bool = False
        self.ended_by: Literal["", "caller", "deadline", "stop"] = ""
        self.call: Call = Call(
            method.name,
            request.metadata,
            None if deadline == NEVER else deadline,
            request.correlation_id.decode("utf-8", "replace"),
        )

    @property
    def running(self) -> bool:
        """True while its handler runs as a task."""
        return self.task is not None and not self.task.done()


Answer = Callable[[Job, Sequence[Header], bytes | None], None]
"""Called once for each job with its reply; without headers where none is to be sent."""


class Execution:
    """The handlers of one service that run now."""

    def __init__(self, served: Served, limits: Limits, context: contextvars.Context, answer: Answer) -> None:
        self._instance = served.instance
        self._limits = limits
        self._context = context
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, Job] = {}
        self._by_address: dict[Address, Job] = {}
        self._bytes = 0
        self._count = 0
        self._changed = asyncio.Event()
        self._warned: set[tuple[str, str]] = set()
        self._deadlines: Deadlines[int, Job] = Deadlines(self._running, self._expire)

    @property
    def in_flight(self) -> int:
        """How many handlers run as tasks."""
        return len(self._running)

    @property
    def full(self) -> bool:
        """True while no more requests may be taken."""
        return len(self._running) >= self._limits.max_concurrency or self._bytes >= self._limits.max_concurrency_bytes

    async def wait_for_room(self) -> None:
        """Until a handler has ended and left room."""
        while self.full:
            self._changed.clear()
            await self._changed.wait()

    async def wait_idle(self) -> None:
        """Until no handler runs."""
        while self._running:
            self._changed.clear()
            await self._changed.wait()

    async def drain(self, seconds: float) -> None:
        """Lets handlers finish, then cancels those that still run; they are answered UNAVAILABLE.

        Cancelled itself, it does not wait for them first.
        """
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.wait_idle()
        finally:
            for job in list(self._running.values()):
                self._cancel(job, "stop")
            with suppress(TimeoutError):
                async with asyncio.timeout(_CANCEL_WAIT):
                    await self.wait_idle()
            if self._running:
                _log.warning("%d handlers did not end when cancelled", len(self._running))
            self._deadlines.stop()

    def cancel(self, address: Address) -> bool:
        """Cancels the handler of the request that asked for its reply there; True where one runs."""
        job = self._by_address.get(address)
        if job is not None:
            self._cancel(job, "caller")
        return job is not None

    def start(self, job: Job, body: bytes | None) -> None:
        """Runs the handler, or answers at once where the arguments are wrong."""
        method = job.method
        context = self._context.copy()
        try:
            positional, named = method.load(job.request, body)
            if method.wants_call:
                positional.insert(0, job.call)
            if method.never_suspends:
                self._run_in_place(job, context, positional, named)
                return
            context.run(set_call, job.call)
            coroutine = context.run(method.fn, self._instance, *positional, **named)
        except BaseException as error:  # noqa: BLE001  # a validator may raise anything
            self._fail(job, error)
        else:
            self._run_as_task(job, coroutine, context)

    def _run_in_place(
        self, job: Job, context: contextvars.Context, positional: list[Any], named: dict[str, Any]
    ) -> None:
        try:
            value = context.run(_complete, job.call, job.method.fn, self._instance, positional, named)
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises is answered
            self._fail(job, error)
        else:
            self._succeed(job, value)

    def _run_as_task(self, job: Job, coroutine: Any, context: contextvars.Context) -> None:
        self._count += 1
        key = self._count
        self._running[key] = job
        if job.request.reply is not None:
            self._by_address[job.request.reply] = job
        self._bytes += job.size
        run = job.coroutine = self._run(key, job, coroutine)
        task: asyncio.Task[None]
        if _HAS_EAGER_TASKS:
            task = _EagerTask(run, loop=self._loop, context=context, eager_start=True)
        else:
            task = self._loop.create_task(run, context=context)
        job.task = task
        if not task.done():
            self._deadlines.watch(job.deadline)

    async def _run(self, key: int, job: Job, coroutine: Any) -> None:
        try:
            if job.ended_by:  # before it began
                coroutine.close()
                raise asyncio.CancelledError
            value = await coroutine
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises is answered, `sys.exit()` too
            self._fail(job, error)
        else:
            self._succeed(job, value)
        finally:
            del self._running[key]
            if job.request.reply is not None:
                self._by_address.pop(job.request.reply, None)
            self._bytes -= job.size
            self._changed.set()

    def _expire(self, key: int, job: Job) -> None:
        job.deadline = NEVER  # once
        self._cancel(job, "deadline")

    def _cancel(self, job: Job, ended_by: Literal["caller", "deadline", "stop"]) -> None:
        if job.task is not None and not job.ended_by:
            job.ended_by = ended_by
            if getcoroutinestate(job.coroutine) != CORO_CREATED:  # else it would never begin, nor answer
                job.task.cancel()
            self._loop.call_later(_GRACE, self._give_up, job)

    def _give_up(self, job: Job) -> None:
        """Answers for a handler that goes on though it was cancelled; it keeps its place, for it still runs."""
        if not job.answered:
            _log.warning("%s: a handler goes on though it was cancelled", job.method.name)
            self._fail(job, asyncio.CancelledError())

    def _succeed(self, job: Job, value: Any) -> None:
        if job.request.reply is None:
            self._conclude(job, (), b"")
            return
        try:
            metadata = metadata_headers(job.call.reply_metadata) if job.call.reply_metadata else ()
            headers, body = job.method.reply(job.request, value, job.queue_ms, self._exec_ms(job), metadata)
        except BaseException as error:  # noqa: BLE001  # a caller must be answered, whatever a serializer does
            self._fail(job, error)
            return
        if body and len(body) > self._limits.max_body:
            text = f"{job.method.name}: a reply of {len(body)} bytes; at most {self._limits.max_body} are sent"
            self._fail(job, ResourceExhausted(text))
            return
        self._conclude(job, headers, body)

    def _fail(self, job: Job, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError) and job.ended_by:
            error = _ended(job)
        elif isinstance(error, DeadlineExceeded) and self._loop.time() > job.deadline - _NEAR:
            error = _over_deadline(job)  # a call that the handler made ended first, for it has the same deadline
        answer = None
        if isinstance(error, RpcError) and (isinstance(error, job.method.declared) or not was_received(error)):
            answer = self._error_reply(job, error)
        if answer is None:
            answer = job.method.error_reply(job.request, self._internal(job, error), job.queue_ms, self._exec_ms(job))
        cause = job.method.name, type(error).__name__
        silent = answer is None or not answer[0]
        if silent and job.request.reply is not None and cause not in self._warned:
            self._warned.add(cause)  # who sends requests can cause it at will
            _log.warning("%s: a caller whose dialect has no errors is not answered: %s; logged once", *cause)
        if job.request.reply is None or answer is None:
            self._conclude(job, (), b"")
        else:
            self._conclude(job, *answer)

    def _conclude(self, job: Job, headers: Sequence[Header], body: bytes | None) -> None:
        """Once for each job, also where its handler ends after its caller was answered without it."""
        if not job.answered:
            job.answered = True
            self._answer(job, headers, body)

    def _error_reply(self, job: Job, error: RpcError) -> tuple[list[Header], bytes | None] | None:
        """None where the error is not the method's to raise, or cannot be written."""
        try:
            metadata = metadata_headers(job.call.reply_metadata)
            answer = job.method.error_reply(job.request, error, job.queue_ms, self._exec_ms(job), metadata)
        except BaseException as failure:  # noqa: BLE001  # an error's fields and metadata are anybody's objects
            self._log_failure(job, f"{job.method.name}: {type(error).__name__} cannot be sent", failure)
            return None
        size = len(answer[1] or b"") if answer else 0
        if size > self._limits.max_body:
            text = f"{job.method.name}: an error of {size} bytes; at most {self._limits.max_body} are sent"
            return self._error_reply(job, ResourceExhausted(text))
        return answer

    def _internal(self, job: Job, error: BaseException) -> InternalError:
        """What a caller may know of a failure; the log has the rest, under the same id."""
        error_id = secrets.token_hex(8)
        self._log_failure(job, f"{job.method.name} failed, error id {error_id}", error)
        return InternalError(f"{job.method.name}: the handler failed, see the server's log", error_id=error_id)

    def _log_failure(self, job: Job, text: str, error: BaseException) -> None:
        with suppress(Exception), within_call(job.call):  # an app's own log filter may ask for it, or raise
            _log.error(text, exc_info=error)

    def _exec_ms(self, job: Job) -> int:
        return int((self._loop.time() - job.received) * 1000)


def _complete(
    call: Call, fn: Callable[..., Coroutine[Any, Any, Any]], instance: object, args: list[Any], kwargs: dict[str, Any]
) -> Any:
    """What a handler without an `await` returns. In one function, for its context is entered once then."""
    set_call(call)
    try:
        fn(instance, *args, **kwargs).send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the handler was suspended without an await")


def _over_deadline(job: Job) -> DeadlineExceeded:
    return DeadlineExceeded(f"{job.method.name}: the handler ran over the deadline and was cancelled")


def _ended(job: Job) -> RpcError:
    if job.ended_by == "deadline":
        return _over_deadline(job)
    if job.ended_by == "stop":
        return Unavailable(f"{job.method.name}: the server stopped before the handler ended")
    return Cancelled(f"{job.method.name}: cancelled")
