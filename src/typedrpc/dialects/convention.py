"""What a dialect says: the names of its headers, how it writes partitions, and how it tells of errors."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from typedrpc.codec import BareCodec
from typedrpc.errors import RpcError, Status, UsageError
from typedrpc.wire import (
    MAX_CORRELATION_ID,
    MAX_PARTITION,
    Address,
    Header,
    Malformed,
    WireHeaders,
    number_of,
    status_header,
    status_of,
    topic_of,
)

Found = dict[str, bytes | None]

MOST_TEXT: Final = 4096
"""Bytes of an error's text in a header: a client's other headers need room too."""


def read_int32(value: bytes) -> int | None:
    """A partition in four bytes, the highest first."""
    if len(value) != 4:
        return None
    (number,) = struct.unpack(">i", value)
    return number if number >= 0 else None


def write_int32(number: int) -> bytes:
    """The same, written."""
    return struct.pack(">i", number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One dialect. Without a `reply_partition` its servers answer on any partition of the reply topic.

    The names of its own headers begin with `reserved`; the headers `last` are on every reply. `told_by_partition`: only
    how a partition is written tells it from another dialect. `null`: nothing is a null body of a reply, else an empty
    one; `null_request` says the same of a request. `content_types`: there is a header for them. `json_mark` is a header
    which says that a body is JSON, also where it is a text. `refusal` writes the headers of an error, which it is given
    also as the body of protocol 1; None: errors are not answered. `refused` finds such a body in a reply's headers.
    """

    name: str
    reserved: str
    correlation: str
    reply_topic: str
    reply_partition: str = ""
    read_partition: Callable[[bytes], int | None] = read_int32
    write_partition: Callable[[int], bytes] = write_int32
    told_by_partition: bool = False
    last: tuple[Header, ...] = ()
    null: bool = True
    null_request: bool = True
    content_types: bool = False
    json_mark: str = ""
    refusal: Callable[[RpcError, bytes], Sequence[Header]] | None = None
    refused: Callable[[Found], bytes | None] = lambda found: None

    def claims(self, found: Found) -> bool:
        """Whether a request has this dialect's headers."""
        named = self.reply_topic in found or self.correlation in found
        if not named or not self.told_by_partition:
            return named
        partition = found.get(self.reply_partition)
        return partition is not None and self.read_partition(partition) is not None

    def take(self, found: Found) -> tuple[bytes, Address | None, str]:
        """Takes a request's own headers out of `found`: correlation id, where to reply, content type.

        Raises Malformed where a reply is wanted that cannot be sent.
        """
        content_type = "application/json" if self.json_mark and self.json_mark in found else ""
        correlation_id = found.pop(self.correlation, None) or b""
        topic, partition = found.pop(self.reply_topic, None), found.pop(self.reply_partition, None)
        if not topic:
            return correlation_id, None, content_type
        name = topic_of(topic)
        if name is None:
            raise Malformed(f"{self.reply_topic} is no topic")
        if not 0 < len(correlation_id) <= MAX_CORRELATION_ID:
            raise Malformed(f"{self.reply_topic} without a {self.correlation} of 1 to {MAX_CORRELATION_ID} bytes")
        number = None if partition is None else self.read_partition(partition)
        if partition is not None and number is None:
            raise Malformed(f"{self.reply_partition} is no partition's number")
        return correlation_id, Address(correlation_id, name, number), content_type

    def request_headers(self, correlation_id: bytes, reply: Address | None, metadata: Sequence[Header]) -> list[Header]:
        """Those of a client's request, in which `reply` None asks for no reply. Raises UsageError."""
        headers = [(self.correlation, correlation_id)]
        if reply is not None:
            headers.append((self.reply_topic, reply.topic.encode()))
            if reply.partition is not None and self.reply_partition:
                headers.append((self.reply_partition, self.write_partition(reply.partition)))
        return [*headers, *self._checked(metadata)]

    def request(self, codec: BareCodec | None, value: object) -> tuple[bytes | None, tuple[Header, ...]]:
        """Body and headers for a method's only argument, of which `codec` is None where it has none.

        Raises ReplyError.
        """
        body, content_type = codec.dump(value) if codec else (b"", "")
        if codec is None or value is None:
            return (None if self.null_request else b""), ()
        return body, self.content_headers(content_type)

    def received(self, body: bytes | None, content_type: str) -> bytes | None:
        """A body as it came, None where it says that there is nothing."""
        return body if self.null or body or content_type else None

    def reply(
        self, correlation_id: bytes, codec: BareCodec, value: object, metadata: Sequence[Header], *, json: bool
    ) -> tuple[list[Header], bytes | None]:
        """Headers and body for a handler's value; `json`: the request was JSON. Raises ReplyError and UsageError."""
        body, content_type = codec.dump(value, json=json and bool(self.json_mark))
        if value is None:
            return self.response_headers(correlation_id, "", metadata), None if self.null else b""
        return self.response_headers(correlation_id, content_type, metadata), body

    def content_headers(self, content_type: str) -> tuple[Header, ...]:
        """What is said of a body."""
        return (("content-type", content_type.encode()),) if content_type and self.content_types else ()

    def response_headers(self, correlation_id: bytes, content_type: str, metadata: Sequence[Header]) -> list[Header]:
        """Those of a reply with a value."""
        own = [(self.correlation, correlation_id), *self.content_headers(content_type), *self.last]
        return [*own, *self._checked(metadata)]

    def error(
        self, correlation_id: bytes, error: RpcError, body: bytes, metadata: Sequence[Header] = ()
    ) -> tuple[list[Header], None]:
        """A reply with an error, `body` being that of protocol 1; without headers where this dialect has none."""
        if self.refusal is None:
            return [], None
        own = [(self.correlation, correlation_id), *self.refusal(error, body), status_header(error.code), *self.last]
        return [*own, *self._checked(metadata)], None

    def error_in(self, headers: WireHeaders) -> tuple[Status, bytes] | None:
        """Status and body, as in protocol 1, of the error that a reply tells of; None: it has a value."""
        body = self.refused(dict(headers[::-1]))
        if body is None:
            return None
        status = status_of(headers)
        return (Status.UNKNOWN if status is Status.OK else status), body

    def metadata_in(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """That of a reply, without the dialect's own headers."""
        return {n: v for n, v in metadata.items() if not (self.reserved and n.startswith(self.reserved))}

    def _checked(self, metadata: Sequence[Header]) -> Sequence[Header]:
        for name, _ in metadata:
            if self.reserved and name.startswith(self.reserved):
                raise UsageError(f"metadata {name!r}: the dialect of {self.name} reserves this name; choose another")
        return metadata


def text_header(name: str, text: str) -> Header:
    """A header with as much of the text as there is room for."""
    return name, text.encode("utf-8", "replace")[:MOST_TEXT].decode("utf-8", "ignore").encode()


def text_of(value: bytes | None) -> str:
    """What a stranger's header says, whatever its bytes."""
    return (value or b"").decode("utf-8", "replace")


def error_body(message: str) -> bytes:
    """An error of which nothing but its text is known, as in protocol 1."""
    return json.dumps({"message": message}).encode()


def read_decimal(value: bytes) -> int | None:
    """A partition in decimal digits."""
    return number_of(value, MAX_PARTITION)
