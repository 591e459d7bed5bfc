"""Requests that come again: after a rebalance, or because a client's or Kafka's own retry wrote them twice. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from typedrpc.errors import Status
from typedrpc.wire import MAX_CORRELATION_ID, Header, Request, is_usual, response_headers

J = TypeVar("J")

_MOST = 20_000
_MOST_BYTES = 16 * 1024 * 1024

Answered = bytes | tuple[tuple[Header, ...], bytes | None]
"""What a request was answered with: the body of a reply like most, else headers and body; without headers nothing was
to be sent.

There are many, and the processor has to reach each again to forget it: headers beside every body took a call 2 µs.
Plain tuples, here and as keys: the garbage collector leaves those of text and bytes alone.
"""


def reply_of(answered: Answered, request: Request) -> tuple[Sequence[Header], bytes | None]:
    """The reply to the request that comes again; of one like most its times are not known any more."""
    if isinstance(answered, bytes):
        return response_headers(request.correlation_id, Status.OK, 0, 0), answered
    return answered


def request_key(request: Request, topic: str, partition: int, offset: int) -> Hashable:
    """What is the same for a request that comes again: its id and its sender's address.

    Of a foreign sender's id nobody knows how unique it is, so there only the same record counts; as for an id that is
    too long to be kept.
    """
    if request.foreign or not 0 < len(request.correlation_id) <= MAX_CORRELATION_ID:
        return topic, partition, offset
    reply = request.reply
    if reply is None:
        return topic, request.method, request.correlation_id
    return topic, request.method, request.correlation_id, reply.topic, reply.partition


class Repeats(Generic[J]):
    """What runs, and the newest answers, bounded by number and bytes."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._running: dict[Hashable, J] = {}
        self._answers: OrderedDict[Hashable, Answered] = OrderedDict()
        self._bytes = 0

    def find(self, key: Hashable) -> J | Answered | None:
        """What became of the request before; None: it is new, or long forgotten."""
        if self._running and (job := self._running.get(key)) is not None:
            return job
        return self._answers.get(key)

    def start(self, key: Hashable, job: J) -> None:
        """The request runs now."""
        self._running[key] = job

    def finish(self, key: Hashable, headers: Sequence[Header], body: bytes | None) -> None:
        """It was answered so."""
        if self._running:
            self._running.pop(key, None)
        answers = self._answers
        if (before := answers.pop(key, None)) is not None:
            self._bytes -= _size(before)
        answer = answers[key] = body if body is not None and is_usual(headers) else (tuple(headers), body)
        self._bytes += _size(answer)
        while len(answers) > self._most or self._bytes > self._most_bytes:
            _, oldest = answers.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(answer: Answered) -> int:
    """In bytes. The key counts nothing, nor do headers like most."""
    if isinstance(answer, bytes):
        return len(answer)
    headers, body = answer
    return len(body or b"") + sum(len(name) + len(value or b"") for name, value in headers)
