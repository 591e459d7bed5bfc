"""One service of a process: reads its requests as a member of the service's group, runs handlers, answers."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress

from typedrpc.broker_clock import BrokerClock
from typedrpc.cancels import Cancelled
from typedrpc.config import Limits
from typedrpc.execution import NEVER, Execution, Job
from typedrpc.offsets import Offsets
from typedrpc.repeats import Answered, Repeats, reply_of, request_key
from typedrpc.request_parser import RequestParser
from typedrpc.served import Served, ServedMethod
from typedrpc.transport import GroupReader, Record, TopicPartition, TopicSpec, Transport, TransportError
from typedrpc.wire import Address, Header, Malformed, Request, timeout_of

_log = logging.getLogger("typedrpc")

_COMMIT_EVERY = 0.5
_STOP_WAIT = 1.0  # seconds for running handlers before the group is left; others take over then
_PAUSE = 0.5  # seconds before the group is joined again
_LONGEST_PAUSE = 5.0
_TELL_EVERY = 10.0  # seconds between two reports of replies that could not be written
_MOST_JOINED = 1000  # repeats of one running request that are answered with it; anybody may send more
_LATE_MS = 1000.0  # an expired request is answered so long after its deadline; later the caller has long given up

Token = tuple[Offsets, int]


class Server:
    """Serves one service, from `topics`, which are made where they are missing if `create` is on; every handler runs in
    a copy of `context`. Replies go where `may_answer` lets them. Other frameworks' requests are taken in `dialects`."""

    def __init__(
        self,
        served: Served,
        transport: Transport,
        limits: Limits,
        *,
        topics: Sequence[TopicSpec],
        create: bool,
        may_answer: Callable[[Address], bool],
        context: contextvars.Context,
        clock: BrokerClock,
        dialects: Set[str],
    ) -> None:
        self._served = served
        self._topics = topics
        self._create = create
        self._transport = transport
        self._limits = limits
        self._may_answer = may_answer
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._offsets: dict[TopicPartition, Offsets] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._reader: GroupReader | None = None
        self._execution = Execution(served, limits, context, self._ended)
        self._repeats: Repeats[Job] = Repeats()
        self._cancelled = Cancelled()
        self._parse = RequestParser(dialects).parse
        self._warned: set[str] = set()
        self._unanswered = 0
        self._tell_at = 0.0
        self._all_answered = asyncio.Event()
        self._all_answered.set()

    async def start(self) -> None:
        """Joins the group; requests are taken when this returns. Raises TransportError."""
        await self._clock.check()  # before the first request: it may have expired long ago
        self._reader = await self._join()
        name = f"typedrpc {self._served.name}"
        self._tasks = [
            asyncio.create_task(self._run(), name=name),
            asyncio.create_task(self._commit_regularly(), name=f"{name} commits"),
        ]

    async def stop_intake(self) -> None:
        """Takes no more requests, waits at most a second for handlers, commits and leaves the group."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._reader is None:
            return
        try:
            async with asyncio.timeout(_STOP_WAIT):
                await self._execution.wait_idle()
                await self._all_answered.wait()
        except TimeoutError:
            pass  # the handlers go on; what is not committed now runs again elsewhere
        try:
            async with asyncio.timeout(_STOP_WAIT):
                await self._commit(self._reader)
        except TimeoutError:
            _log.warning("%s: not committed before leaving; these requests run again", self._served.name)
        await self._reader.close()
        self._reader = None

    def cancel(self, address: Address, seconds: float) -> None:
        """Stops the handler of that request, or skips the request where it comes within so many seconds."""
        if not self._execution.cancel(address):
            now = self._loop.time()
            self._cancelled.add(address, now + seconds, now)

    async def drain(self) -> None:
        """Lets running handlers finish; after `drain_timeout` they are cancelled and answered UNAVAILABLE."""
        await self._execution.drain(self._limits.drain_timeout)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WAIT):
                await self._all_answered.wait()

    @property
    def in_flight(self) -> int:
        """How many handlers run."""
        return self._execution.in_flight

    # GroupListener

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Trackers begin anew: the group may have read on elsewhere meanwhile."""
        self._offsets = {}  # a new object: what was fetched before is no longer ours
        self._committed = {}

    def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """What is contiguous is committed; handlers run on and answer, nobody waits for them."""
        return self._uncommitted()

    async def _join(self) -> GroupReader:
        await self._transport.ensure_topics(self._topics, create=self._create)  # anew each time: one may be gone
        return await self._transport.join_group(self._served.name, sorted(self._served.topics), self)

    async def _run(self) -> None:
        pause = _PAUSE
        while True:
            reader = self._reader
            assert reader is not None
            try:
                while True:
                    await self._take(reader, await reader.fetch())
                    await asyncio.sleep(0)  # fetching buffered records never yields by itself
                    pause = _PAUSE
            except TransportError as error:
                _log.warning("%s: reading requests failed, joining again: %s", self._served.name, error)
            except Exception:  # noqa: BLE001  # whatever it was, the loop must go on
                _log.exception("%s: reading requests failed, joining again", self._served.name)
            await reader.close()
            self._reader = await self._rejoin(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)  # what lasts, as a right that is missing, costs the group less so

    async def _rejoin(self, pause: float) -> GroupReader:
        while True:
            await asyncio.sleep(pause)
            try:
                return await self._join()
            except TransportError as error:
                _log.warning("%s: %s", self._served.name, error)

    async def _take(self, reader: GroupReader, records: Sequence[Record]) -> None:
        assignment = self._offsets
        if self._served.at_most_once:
            records = await self._commit_first(reader, records, assignment)
        broker_time = self._clock.now()
        at, offsets = TopicPartition("", -1), None
        for record in records:
            if self._execution.full:
                await self._execution.wait_for_room()
                broker_time = self._clock.now()
            old = broker_time is not None and record.timestamp_type == 1 and broker_time - record.timestamp > _LATE_MS
            if old and not self._clock.fresh:
                await self._clock.check()
                broker_time = self._clock.now()
            if self._offsets is not assignment and record.topic not in self._served.at_most_once:
                continue  # it is read again, here or elsewhere, from what was committed
            if offsets is None or record.partition != at.partition or record.topic != at.topic:
                at = TopicPartition(record.topic, record.partition)
                offsets = assignment.get(at) or assignment.setdefault(at, Offsets(record.offset))
            if not offsets.see(record.offset):
                continue
            if old and _long_expired(record, broker_time):
                self._served.expired += 1
                offsets.finish(record.offset)
            else:
                self._admit(record, broker_time, (offsets, record.offset))

    async def _commit_first(
        self, reader: GroupReader, records: Sequence[Record], assignment: dict[TopicPartition, Offsets]
    ) -> Sequence[Record]:
        """Commits what may run at most once, and answers what may run: nothing of it whose commit is in doubt.

        Raises TransportError where Kafka did not take the commit; joining again then shows what came of it.
        """
        topics = self._served.at_most_once
        once = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records if r.topic in topics}
        if not once:
            return records
        committed = await reader.commit(once)
        if self._offsets is not assignment:
            return [r for r in records if r.topic not in topics]  # others may have begun to read there before it came
        return [r for r in records if r.topic not in topics or (r.topic, r.partition) in committed]

    def _admit(self, record: Record, broker_time: float | None, token: Token) -> None:
        try:
            request = self._parse(record.headers)
            if request.reply is not None and not self._may_answer(request.reply):
                raise Malformed("reply_to names a topic where no reply may go", request.reply)
            method = self._served.find(request, record.topic)
            if method is None:
                self._finish(token)  # another service's, on a shared topic
                return
            if self._cancelled and request.reply and self._cancelled.has(request.reply, self._loop.time()):
                self._served.cancelled += 1
                self._finish(token)
                return
            queued = 0.0 if broker_time is None or record.timestamp_type != 1 else broker_time - record.timestamp
            if queued < 0:
                queued = 0.0  # an acknowledgement that came late leaves the broker's clock behind
            left = _time_left(request, queued)
            if left is not None and left <= 0:
                self._skip_expired(method, request, left, token)
                return
            key = request_key(request, record.topic, record.partition, record.offset)
            before = self._repeats.find(key)
            if before is not None:
                self._repeat(before, request, token)
                return
            now = self._loop.time()
            size = len(record.value or b"")
            if size > self._limits.max_body:
                raise self._served.too_large(size, self._limits.max_body, request)
            deadline = NEVER if left is None else now + left / 1000
            job = Job(method, request, now, deadline, int(queued + 0.5), size, key, token)
            self._execution.start(job, record.value)
            if job.running:
                self._repeats.start(key, job)
        except Malformed as error:
            self._refuse(record, error, token)
        except Exception:  # noqa: BLE001  # a record that nobody foresaw must not be met for ever
            _log.exception("%s: a request could not be taken, it is skipped", self._served.name)
            self._finish(token)

    def _skip_expired(self, method: ServedMethod, request: Request, left: float, token: Token) -> None:
        self._served.expired += 1
        if request.reply is None or request.foreign or left < -_LATE_MS:
            self._finish(token)
        else:
            self._answer(request.reply, *method.deadline_exceeded(request.reply.correlation_id), token)

    def _repeat(self, before: Job | Answered, request: Request, token: Token) -> None:
        """Joins what runs already, or answers again as before; the handler does not run twice."""
        self._served.repeated += 1
        if isinstance(before, Job):
            if len(before.tokens) < _MOST_JOINED:
                before.tokens.append(token)
            else:
                self._finish(token)
        else:
            headers, body = reply_of(before, request)
            self._answer(request.reply if headers else None, headers, body, token)

    def _ended(self, job: Job, headers: Sequence[Header], body: bytes | None) -> None:
        self._repeats.finish(job.key, headers, body)
        for token in job.tokens:
            self._answer(job.request.reply if headers else None, headers, body, token)

    def _refuse(self, record: Record, error: Malformed, token: Token) -> None:
        self._served.malformed += 1
        if error.cause not in self._warned:
            self._warned.add(error.cause)
            where = f"{record.topic}[{record.partition}] at offset {record.offset}"
            _log.warning("%s: a record that is no request, %s: %s; logged once", self._served.name, where, error)
        if error.reply is None or not self._may_answer(error.reply):
            self._finish(token)
        else:
            self._answer(error.reply, *self._served.refusal(error), token)

    def _answer(self, reply: Address | None, headers: Sequence[Header], body: bytes | None, token: Token) -> None:
        if reply is None:
            self._finish(token)
        else:
            if not self._unanswered:
                self._all_answered.clear()
            self._unanswered += 1
            self._transport.send(reply.topic, reply.partition, None, body, headers, self._answered, token)

    def _answered(self, token: Token, error: BaseException | None) -> None:
        """Also where the reply finally failed: its caller's deadline ends the call."""
        if error is not None:
            self._served.unsent += 1
            if self._loop.time() >= self._tell_at:  # who sends requests can cause it at will
                self._tell_at = self._loop.time() + _TELL_EVERY
                _log.warning("%s: %d replies not written, now: %s", self._served.name, self._served.unsent, error)
        token[0].finish(token[1])
        self._unanswered -= 1
        if not self._unanswered:
            self._all_answered.set()

    def _finish(self, token: Token) -> None:
        token[0].finish(token[1])

    def _uncommitted(self) -> dict[TopicPartition, int]:
        """What runs at most once was committed before it ran; a commit of what has ended would go behind that."""
        once = self._served.at_most_once
        return {
            at: offsets.committable
            for at, offsets in self._offsets.items()
            if self._committed.get(at) != offsets.committable and at.topic not in once
        }

    async def _commit(self, reader: GroupReader) -> None:
        offsets = self._uncommitted()
        if not offsets:
            return
        known = self._committed
        try:
            committed = await reader.commit(offsets)
        except TransportError as error:
            _log.info("%s: not committed, the next commit makes up for it: %s", self._served.name, error)
        else:
            known.update({at: offsets[at] for at in committed})

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY)
            if self._reader is not None:
                await self._commit(self._reader)


def _long_expired(record: Record, broker_time: float | None) -> bool:
    """Whether nobody is to be answered any more, by as little of the record as tells: there may be a million."""
    timeout_ms = timeout_of(record.headers)
    return timeout_ms is not None and broker_time is not None and broker_time - record.timestamp > timeout_ms + _LATE_MS


def _time_left(request: Request, queued: float) -> float | None:
    """Milliseconds to the deadline, None where there is none.

    In the broker's clock where the time in the queue is known by it, else from receipt: no sender's clock is trusted.
    """
    return None if request.timeout_ms is None else request.timeout_ms - queued
