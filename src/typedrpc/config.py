"""Names, numbers and limits of one `Rpc`, with the defaults that fit most."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from typedrpc.errors import UsageError
from typedrpc.transport import TopicSpec
from typedrpc.wire import MAX_BODY

_LOG_APPEND = {"message.timestamp.type": "LogAppendTime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics that typedrpc makes and uses; every process that talks to another needs the same names.

    `request_partitions` is for the topics of services; as many server processes can share the work of one. `reply_to`
    names the only topics that services of this process answer to; None is any that is not internal or served here.
    """

    replies: str = "rpc.replies"
    plain_replies: str = "rpc.replies.plain"
    cancels: str = "rpc.cancels"
    reflection: str = "rpc.reflection"
    request_partitions: int = 12
    reply_partitions: int = 48
    reply_to: Set[str] | None = None

    def __post_init__(self) -> None:
        if min(self.request_partitions, self.reply_partitions) < 1:
            raise UsageError("Topics: a topic has at least one partition")
        if isinstance(self.reply_to, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"Topics: reply_to={self.reply_to!r}: give a set of topics: {{{self.reply_to!r}}}")

    def request_topic(self, name: str) -> TopicSpec:
        """The topic of a service or method."""
        return TopicSpec(name=name, partitions=self.request_partitions, config=_LOG_APPEND)

    def reply_topic(self) -> TopicSpec:
        """Replies are of no use after their call's deadline, so an hour is plenty."""
        return TopicSpec(name=self.replies, partitions=self.reply_partitions, config=_SHORT_LIVED)

    def plain_reply_topic(self) -> TopicSpec:
        """One partition: a plain FastStream handler answers on any, and every client reads them all."""
        return TopicSpec(name=self.plain_replies, partitions=1, config=_SHORT_LIVED)

    def cancel_topic(self) -> TopicSpec:
        """One partition, which every server process reads."""
        return TopicSpec(name=self.cancels, partitions=1, config=_SHORT_LIVED)

    def reflection_topic(self) -> TopicSpec:
        """One partition, which every server process reads."""
        return TopicSpec(name=self.reflection, partitions=1, config=_SHORT_LIVED)


_SHORT_LIVED = {**_LOG_APPEND, "retention.ms": "3600000", "segment.ms": "600000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds, on by default. `max_body` and the `_bytes` are bytes; `drain_timeout` and `start_timeout` seconds.

    `max_body` bounds a request's and a reply's body; Kafka's own limit for a record is 1 MiB. `max_in_flight` calls of
    a client process wait for replies, or as oneways to be written, at once; `max_concurrency` handlers of a service run
    at once. More wait, the calls in turn and within their deadlines, the requests in Kafka. A stop lets handlers run on
    for `drain_timeout`.
    """

    max_body: int = MAX_BODY
    max_in_flight: int = 10_000
    max_in_flight_bytes: int = 64 * 1024 * 1024
    max_concurrency: int = 1_000
    max_concurrency_bytes: int = 64 * 1024 * 1024
    drain_timeout: float = 30.0
    start_timeout: float = 10.0

    def __post_init__(self) -> None:
        if min(self.max_body, self.max_in_flight, self.max_concurrency) < 1 or self.start_timeout <= 0:
            raise UsageError("Limits: a limit is at least one")
        if self.max_body > MAX_BODY:
            raise UsageError(f"Limits: max_body={self.max_body}: Kafka's records are bounded; at most {MAX_BODY}")
