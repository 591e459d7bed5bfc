"""Protocol 1: requests and responses ⇄ record headers. Values in, values out.

Every header value is UTF-8 text. Of repeated headers the first counts. A request without `rpc-protocol` is a plain
FastStream one: see `typedrpc.dialects.faststream`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from typedrpc.errors import ResourceExhausted, Status, UsageError
from typedrpc.options import Metadata

Header = tuple[str, bytes]
WireHeaders = Sequence[tuple[str, bytes | None]]

PROTOCOL: Final = b"1"
MAX_HEADERS: Final = 64
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_BODY: Final = 900 * 1024
MAX_CORRELATION_ID: Final = 512
MAX_TIMEOUT_MS: Final = 2**53  # what every language's JSON can hold; more is a mistake of the sender
MAX_PARTITION: Final = 2**31 - 1  # Kafka's partitions are int32

JSON_CONTENT: Final[Header] = ("content-type", b"application/json")
_PROTOCOL_HEADER: Final[Header] = ("rpc-protocol", PROTOCOL)
_RESERVED: Final = frozenset({"correlation_id", "reply_to", "reply_partition", "content-type"})


class Address(NamedTuple):
    """Where a reply goes. Partition None: any."""

    correlation_id: bytes
    topic: str
    partition: int | None


class Request(NamedTuple):
    """A request as its headers tell it. `reply` None: no reply is wanted. `timeout_ms` None: it never expires.

    `foreign` is the other framework whose dialect it is in, empty for protocol 1.
    """

    foreign: str
    service: str
    method: str
    correlation_id: bytes
    reply: Address | None
    timeout_ms: int | None
    content_type: str
    metadata: dict[str, str]


class Response(NamedTuple):
    """A response as its headers tell it; times in milliseconds."""

    status: Status
    content_type: str
    queue_ms: int
    exec_ms: int
    metadata: dict[str, str]


class Malformed(Exception):
    """A record that is no request. `reply` is where that can be answered, if anywhere, in the dialect `foreign`.

    `cause` is one of a few texts, for counting and for a log that says each once; `detail` may hold a stranger's words.
    """

    def __init__(
        self,
        cause: str,
        reply: Address | None = None,
        status: Status = Status.INVALID_ARGUMENT,
        detail: str = "",
        foreign: str = "",
    ) -> None:
        super().__init__(cause + detail)
        self.cause: str = cause
        self.reply: Address | None = reply
        self.status: Status = status
        self.foreign: str = foreign


def method_headers(service: str, method: str) -> tuple[Header, ...]:
    """Those of a method's every request."""
    return (JSON_CONTENT, _PROTOCOL_HEADER, ("rpc-method", f"{service}/{method}".encode()))


def reply_headers(topic: str, partition: int | None) -> tuple[Header, ...]:
    """Those of a process' every request that wants a reply."""
    to = ("reply_to", topic.encode())
    return (to,) if partition is None else (to, ("reply_partition", b"%d" % partition))


def metadata_headers(metadata: Metadata) -> list[Header]:
    """Raises UsageError for a name that the protocol reserves or a value that is no text, ResourceExhausted for more
    than the limits."""
    headers: list[Header] = []
    size = 0
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"metadata {name!r}: names and values are text, not {type(value).__name__}")
        if not name or name in _RESERVED or name.startswith("rpc-"):
            raise UsageError(f"metadata {name!r}: the protocol reserves this name; choose another")
        try:
            headers.append((name, value.encode()))
            size += len(name.encode()) + len(headers[-1][1])
        except UnicodeEncodeError:
            raise UsageError(f"metadata {name!r}: a lone surrogate is no text that can be sent") from None
    if len(headers) > MAX_HEADERS - 16 or size > MAX_HEADER_BYTES - 2048:  # the rest is the protocol's own
        raise ResourceExhausted(
            f"metadata of {len(headers)} entries and {size} bytes: at most {MAX_HEADERS - 16} and "
            f"{MAX_HEADER_BYTES - 2048} bytes are sent"
        )
    return headers


_QUEUE_MS: Final[list[Header]] = [("rpc-queue-ms", b"%d" % ms) for ms in range(256)]
_EXEC_MS: Final[list[Header]] = [("rpc-exec-ms", b"%d" % ms) for ms in range(256)]


def response_headers(
    correlation_id: bytes, status: Status, queue_ms: int, exec_ms: int, metadata: Sequence[Header] = ()
) -> list[Header]:
    """Those of a reply."""
    return [
        ("correlation_id", correlation_id),
        JSON_CONTENT,
        _PROTOCOL_HEADER,
        _STATUS_HEADERS[status],
        _QUEUE_MS[queue_ms] if queue_ms < 256 else ("rpc-queue-ms", b"%d" % queue_ms),
        _EXEC_MS[exec_ms] if exec_ms < 256 else ("rpc-exec-ms", b"%d" % exec_ms),
        *metadata,
    ]


def status_header(status: Status) -> Header:
    """How a reply says how the call ended."""
    return _STATUS_HEADERS[status]


def is_usual(response: Sequence[Header]) -> bool:
    """Whether nothing but its times and its id tells it from other responses: it is OK and has no metadata."""
    return len(response) == 6 and response[3] is _OK_HEADER


def cancel_headers(correlation_id: bytes, reply: Sequence[Header], timeout: Header) -> list[Header]:
    """Those of a cancel: the address of its request, and how long it is of use; it has no body."""
    return [("correlation_id", correlation_id), *reply, _PROTOCOL_HEADER, timeout]


def parse_cancel(headers: WireHeaders) -> tuple[Address, int | None] | None:
    """The address of the request to cancel, and for how many milliseconds; None for a record that is no cancel."""
    if len(headers) > MAX_HEADERS:
        return None
    found = dict(headers[::-1])
    address, timeout = _address(found)[0], found.get("rpc-timeout")
    return None if address is None else (address, number_of(timeout, MAX_TIMEOUT_MS) if timeout else None)


def parse_request(headers: WireHeaders) -> Request:
    """Raises Malformed. Null and non-UTF-8 values of unknown headers are left out; of known ones they are refused."""
    found = dict(headers[::-1])
    reply, problem = _address(found)
    check_size(headers, reply)
    if problem:
        raise Malformed(problem)
    protocol = found.pop("rpc-protocol", None)
    correlation_id = found.pop("correlation_id", None) or b""
    content_type = _text(found.pop("content-type", None)) or ""
    if protocol is None:
        return Request("faststream", "", "", correlation_id, reply, None, content_type, metadata_of(found))
    if protocol != PROTOCOL:
        detail = f": {protocol[:16]!r}"
        raise Malformed("this rpc-protocol is not spoken here, only 1", reply, Status.UNIMPLEMENTED, detail)
    service, slash, method = (_text(found.pop("rpc-method", None)) or "").partition("/")
    if not (service and slash and method):
        raise Malformed("rpc-method is missing or not service/method", reply)
    timeout = found.pop("rpc-timeout", None)
    timeout_ms = None if timeout is None else number_of(timeout, MAX_TIMEOUT_MS)
    if timeout is not None and timeout_ms is None:
        raise Malformed("rpc-timeout is not a number of milliseconds", reply)
    return Request("", service, method, correlation_id, reply, timeout_ms, content_type, metadata_of(found))


def timeout_of(headers: WireHeaders) -> int | None:
    """A request's `rpc-timeout` in milliseconds, without a look at the rest; None where `parse_request` has to tell."""
    found = dict(headers[::-1])
    timeout = found.get("rpc-timeout")
    return None if timeout is None or found.get("rpc-protocol") != PROTOCOL else number_of(timeout, MAX_TIMEOUT_MS)


def parse_response(headers: WireHeaders) -> Response:
    """Never fails: a reply without `rpc-status` is a plain FastStream one and OK; an unknown status is UNKNOWN."""
    found = dict(headers[::-1])
    found.pop("correlation_id", None)
    status = found.pop("rpc-status", b"OK") or b""
    content_type = found.pop("content-type", None)
    found.pop("rpc-protocol", None)
    queue_ms, exec_ms = found.pop("rpc-queue-ms", None), found.pop("rpc-exec-ms", None)
    return Response(
        _STATUSES.get(status, Status.UNKNOWN),
        _text(content_type) or "",
        number_of(queue_ms, MAX_TIMEOUT_MS) or 0 if queue_ms else 0,
        number_of(exec_ms, MAX_TIMEOUT_MS) or 0 if exec_ms else 0,
        metadata_of(found) if found else {},
    )


def status_of(headers: WireHeaders) -> Status:
    """A reply's status alone, which is all that most callers ask for; as `parse_response` reads it."""
    for name, value in headers:
        if name == "rpc-status":
            return _STATUSES.get(value or b"", Status.UNKNOWN)
    return Status.OK


def correlation_of(headers: WireHeaders) -> bytes | None:
    """A reply's correlation id, b"" and null ones are None."""
    for name, value in headers:
        if name == "correlation_id":
            return value or None
    return None


def check_size(headers: WireHeaders, reply: Address | None) -> None:
    """Raises Malformed for more headers than the limits."""
    if len(headers) > MAX_HEADERS:
        raise Malformed(f"more than {MAX_HEADERS} headers", reply, Status.RESOURCE_EXHAUSTED)
    size = len("".join([name for name, _ in headers])) + len(b"".join([value for _, value in headers if value]))
    if size > MAX_HEADER_BYTES:
        raise Malformed(f"more than {MAX_HEADER_BYTES} bytes of headers", reply, Status.RESOURCE_EXHAUSTED)


def _address(found: dict[str, bytes | None]) -> tuple[Address | None, str]:
    """Takes the address out of `found`: None where no reply is wanted or can be sent, and then why not."""
    topic, partition = found.pop("reply_to", None), found.pop("reply_partition", None)
    correlation_id = found.get("correlation_id")
    if not topic:
        return None, ""
    name = topic_of(topic)
    if name is None:
        return None, "reply_to is no topic"
    if not correlation_id or len(correlation_id) > MAX_CORRELATION_ID:
        return None, "reply_to without a correlation_id of 1 to 512 bytes"
    number = None if partition is None else number_of(partition, MAX_PARTITION)
    if partition is not None and number is None:
        return None, "reply_partition is no partition's number"
    return Address(correlation_id, name, number), ""


_TOPIC_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@lru_cache(maxsize=1024)  # a server's callers are few
def topic_of(value: bytes) -> str | None:
    """The topic that a header names; None for what is no legal name."""
    name = _text(value)
    return name if name is not None and is_topic(name) else None


def is_topic(name: str) -> bool:
    """Whether Kafka allows the name. Source: org.apache.kafka.common.internals.Topic."""
    return 0 < len(name) <= 249 and name not in (".", "..") and _TOPIC_CHARACTERS.issuperset(name)


def number_of(value: bytes, most: int) -> int | None:
    """Decimal digits, and None for anything else: int() would take '+1', ' 1', '1_000' and digits of other scripts."""
    if not value.isdigit() or len(value) > 16 or (number := int(value)) > most:
        return None
    return number


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def metadata_of(found: dict[str, bytes | None]) -> dict[str, str]:
    """What is left of the headers once the protocol's own are taken, where it is text."""
    metadata: dict[str, str] = {}
    for name, value in found.items():
        text = _text(value)
        if text is not None and name and name != "correlation_id" and not name.startswith("rpc-"):
            metadata[name] = text
    return metadata


_STATUS_BYTES = {status: status.value.encode() for status in Status}
_STATUS_HEADERS: dict[Status, Header] = {status: ("rpc-status", text) for status, text in _STATUS_BYTES.items()}
_OK_HEADER = _STATUS_HEADERS[Status.OK]
_STATUSES: dict[bytes, Status] = {text: status for status, text in _STATUS_BYTES.items()}
