"""Frames ⇄ headers: what is written parses back, and nothing hostile does harm."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typedrpc.dialects.faststream import FASTSTREAM
from typedrpc.errors import ResourceExhausted, Status, UsageError
from typedrpc.wire import (
    MAX_CORRELATION_ID,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_PARTITION,
    MAX_TIMEOUT_MS,
    Address,
    Header,
    Malformed,
    Request,
    correlation_of,
    is_topic,
    metadata_headers,
    method_headers,
    parse_request,
    parse_response,
    reply_headers,
    response_headers,
    status_of,
)

RawHeaders = list[tuple[str, bytes | None]]

unhurried = settings(deadline=None)


def a_request(**changes: bytes | None) -> RawHeaders:
    """A valid request's headers with some replaced (`_` for `-`); `...=None` is a null value."""
    headers: dict[str, bytes | None] = {
        "correlation_id": b"abc-1",
        "reply_to": b"rpc.replies",
        "reply_partition": b"7",
        "content-type": b"application/json",
        "rpc-protocol": b"1",
        "rpc-method": b"echo/echo",
        "rpc-timeout": b"1500",
    }
    named = {name if name in headers else name.replace("_", "-"): value for name, value in changes.items()}
    return list((headers | named).items())


def without(headers: RawHeaders, *names: str) -> RawHeaders:
    return [header for header in headers if header[0] not in names]


def refused(headers: RawHeaders) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse_request(headers)
    return caught.value


# Round trips

topics = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=249).filter(
    lambda name: name not in (".", "..")
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=50)
ids = st.binary(min_size=1, max_size=MAX_CORRELATION_ID)
partitions = st.none() | st.integers(0, MAX_PARTITION)
reserved = re.compile(r"correlation_id|reply_to|reply_partition|content-type|rpc-.*|", re.DOTALL)
metadatas = st.dictionaries(
    names.filter(lambda name: not reserved.fullmatch(name)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
    max_size=20,
)


@unhurried
@given(service=names, method=names, to=topics, partition=partitions, id_=ids, metadata=metadatas)
def test_a_request_of_our_own_functions_parses_back_equal(
    service: str, method: str, to: str, partition: int | None, id_: bytes, metadata: dict[str, str]
) -> None:
    headers: RawHeaders = [
        ("correlation_id", id_),
        *reply_headers(to, partition),
        *method_headers(service, method),
        *metadata_headers(metadata),
        ("rpc-timeout", b"250"),
    ]
    expected = Request("", service, method, id_, Address(id_, to, partition), 250, "application/json", metadata)
    assert parse_request(headers) == expected


@unhurried
@given(id_=ids, status=st.sampled_from(Status), times=st.tuples(st.integers(0, 2**53), st.integers(0, 2**53)))
def test_a_response_of_our_own_functions_parses_back_equal(id_: bytes, status: Status, times: tuple[int, int]) -> None:
    headers = response_headers(id_, status, *times, metadata_headers({"x": "ü"}))
    assert correlation_of(headers) == id_
    response = parse_response(headers)
    assert response == (status, "application/json", *times, {"x": "ü"})


def test_a_oneway_request_has_no_reply_address_and_never_expires() -> None:
    request = parse_request([("correlation_id", b"a-1"), *method_headers("echo", "log")])
    assert (request.reply, request.timeout_ms, request.correlation_id) == (None, None, b"a-1")


def test_a_request_without_protocol_is_a_plain_one() -> None:
    request = parse_request(
        [
            ("correlation_id", b"a-1"),
            *reply_headers("replies", None),
            *FASTSTREAM.content_headers("text/plain"),
            ("tenant", b"a"),
        ]
    )
    assert request.foreign == "faststream"
    assert request == (
        "faststream",
        "",
        "",
        b"a-1",
        Address(b"a-1", "replies", None),
        None,
        "text/plain",
        {"tenant": "a"},
    )


def test_no_headers_at_all_are_a_plain_request_that_wants_no_reply() -> None:
    assert parse_request([]) == ("faststream", "", "", b"", None, None, "", {})


def test_a_plain_reply_is_ok_and_has_its_content_type() -> None:
    headers = FASTSTREAM.response_headers(b"id", "text/plain", metadata_headers({"a": "b"}))
    assert correlation_of(headers) == b"id"
    assert parse_response(headers) == (Status.OK, "text/plain", 0, 0, {"a": "b"})
    assert parse_response(FASTSTREAM.response_headers(b"id", "", ())).content_type == ""


# What a stranger's headers may hold


def test_of_repeated_headers_the_first_counts() -> None:
    doubled: RawHeaders = [("tenant", b"first"), *a_request(), ("tenant", b"second")]
    doubled += [("rpc-method", b"a/b"), ("rpc-timeout", b"1"), ("reply_to", b"elsewhere"), ("correlation_id", b"x")]
    request = parse_request(doubled)
    assert (request.service, request.timeout_ms, request.metadata) == ("echo", 1500, {"tenant": "first"})
    assert request.reply == Address(b"abc-1", "rpc.replies", 7)
    assert correlation_of([("correlation_id", b"1"), ("correlation_id", b"2")]) == b"1"
    assert parse_response([("rpc-status", b"NOT_FOUND"), ("rpc-status", b"OK")]).status is Status.NOT_FOUND


def test_null_and_undecodable_values_of_unknown_headers_are_left_out() -> None:
    strange: RawHeaders = [("null", None), ("binary", b"\xff\xfe"), ("", b"nameless"), ("empty", b""), ("good", b"x")]
    assert parse_request(a_request() + strange).metadata == {"empty": "", "good": "x"}
    assert parse_response(strange).metadata == {"empty": "", "good": "x"}


def test_unknown_headers_of_the_protocol_are_not_metadata() -> None:
    assert parse_request([*a_request(), ("rpc-future", b"1")]).metadata == {}
    assert parse_response([("rpc-future", b"1"), ("traceparent", b"00-1")]).metadata == {"traceparent": "00-1"}


def test_a_null_content_type_is_no_content_type() -> None:
    assert parse_request(a_request(content_type=None)).content_type == ""
    assert parse_request(a_request(content_type=b"\xff")).content_type == ""


def test_a_null_or_empty_reply_address_wants_no_reply() -> None:
    assert parse_request(a_request(reply_to=None)).reply is None
    assert parse_request(a_request(reply_to=b"")).reply is None


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        (b"a", True),
        (b"A.b_c-9", True),
        (b"...", True),
        (b"x" * 249, True),
        (b"x" * 250, False),
        (b".", False),
        (b"..", False),
        (b"a b", False),
        (b"a/b", False),
        (b"a\n", False),
        (b"a\x00", False),
        ("tópic".encode(), False),
        ("٣".encode(), False),
        (b"\xff", False),
    ],
)
def test_only_names_that_kafka_allows_are_answered(topic: bytes, allowed: bool) -> None:
    assert is_topic(topic.decode(errors="replace")) is allowed
    if allowed:
        assert parse_request(a_request(reply_to=topic)).reply == Address(b"abc-1", topic.decode(), 7)
    else:
        error = refused(a_request(reply_to=topic))
        assert (error.reply, error.cause) == (None, "reply_to is no topic")


@pytest.mark.parametrize("value", [None, b"", b"x" * (MAX_CORRELATION_ID + 1)])
def test_a_reply_needs_a_correlation_id_of_a_sane_length(value: bytes | None) -> None:
    error = refused(a_request(correlation_id=value))
    assert error.reply is None
    assert "correlation_id" in error.cause
    assert parse_request(without(a_request(correlation_id=value), "reply_to")).reply is None


NO_NUMBERS = [
    b"",
    b"-1",
    b"+1",
    b" 1",
    b"1 ",
    b"1\n",
    b"1_0",
    b"1.0",
    b"1e3",
    b"0x10",
    b"NaN",
    b"\xff",
    b"\x00\x00\x00\x02",
    "١٢".encode(),  # Arabic digits, which int() reads
    "²".encode(),
    b"9" * 17,
    b"9" * 5000,
]


@pytest.mark.parametrize("value", [*NO_NUMBERS, b"%d" % (MAX_PARTITION + 1)])
def test_a_strange_reply_partition_is_refused_and_not_answered(value: bytes) -> None:
    error = refused(a_request(reply_partition=value))
    assert (error.reply, error.cause) == (None, "reply_partition is no partition's number")


@pytest.mark.parametrize("value", [*NO_NUMBERS, b"%d" % (MAX_TIMEOUT_MS + 1)])
def test_a_strange_timeout_is_refused_and_answered(value: bytes) -> None:
    error = refused(a_request(rpc_timeout=value))
    assert error.reply == Address(b"abc-1", "rpc.replies", 7)
    assert (error.status, error.cause) == (Status.INVALID_ARGUMENT, "rpc-timeout is not a number of milliseconds")


def test_the_largest_numbers_are_taken() -> None:
    request = parse_request(a_request(rpc_timeout=b"%d" % MAX_TIMEOUT_MS, reply_partition=b"%d" % MAX_PARTITION))
    assert request.timeout_ms == MAX_TIMEOUT_MS
    assert request.reply == Address(b"abc-1", "rpc.replies", MAX_PARTITION)


def test_null_numbers_are_absent_ones() -> None:
    request = parse_request(a_request(rpc_timeout=None, reply_partition=None))
    assert request.timeout_ms is None
    assert request.reply == Address(b"abc-1", "rpc.replies", None)


@pytest.mark.parametrize("value", [b"2", b"", b"01", b"1 ", b"1.0", b"\xff", b"1" * 10_000])
def test_another_protocol_version_is_answered_unimplemented(value: bytes) -> None:
    error = refused(a_request(rpc_protocol=value))
    assert error.status is Status.UNIMPLEMENTED
    assert error.reply == Address(b"abc-1", "rpc.replies", 7)
    assert len(error.cause) < 150


@pytest.mark.parametrize("value", [None, b"", b"echo", b"/", b"echo/", b"/echo", b"\xff/\xff"])
def test_a_method_that_is_not_named_is_answered_invalid(value: bytes | None) -> None:
    error = refused(a_request(rpc_method=value))
    assert (error.status, error.cause) == (Status.INVALID_ARGUMENT, "rpc-method is missing or not service/method")
    assert error.reply == Address(b"abc-1", "rpc.replies", 7)
    assert refused(without(a_request(), "rpc-method")).cause == error.cause


def test_as_many_headers_as_the_limit_are_taken_and_one_more_is_answered() -> None:
    most: RawHeaders = a_request()
    most += [(f"h{i}", b"") for i in range(MAX_HEADERS - len(most))]
    assert len(parse_request(most).metadata) == MAX_HEADERS - 7
    error = refused([*most, ("h", b"")])
    assert (error.status, error.reply) == (Status.RESOURCE_EXHAUSTED, Address(b"abc-1", "rpc.replies", 7))


def test_as_many_header_bytes_as_the_limit_are_taken_and_one_more_is_answered() -> None:
    size = sum(len(name) + len(value or b"") for name, value in a_request())
    room = MAX_HEADER_BYTES - size - len("big")
    assert parse_request([*a_request(), ("big", b"x" * room)]).metadata == {"big": "x" * room}
    error = refused([*a_request(), ("big", b"x" * (room + 1))])
    assert (error.status, error.reply) == (Status.RESOURCE_EXHAUSTED, Address(b"abc-1", "rpc.replies", 7))


def test_too_many_headers_without_an_address_are_refused_unanswered() -> None:
    assert refused([("h", b"")] * 10_000).reply is None


# Metadata that a user gives


@pytest.mark.parametrize(
    "name", ["", "correlation_id", "reply_to", "reply_partition", "content-type", "rpc-method", "rpc-", "rpc-x"]
)
def test_reserved_metadata_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="reserves"):
        metadata_headers({name: "x"})


@pytest.mark.parametrize("metadata", [{"a": 1}, {"a": None}, {1: "a"}, {"a": b"x"}, {"\ud800": "x"}, {"a": "\udfff"}])
def test_metadata_that_is_no_text_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="text"):
        metadata_headers(metadata)


def test_metadata_over_the_limits_is_refused_before_it_is_sent() -> None:
    assert len(metadata_headers({f"h{i}": "" for i in range(48)})) == 48
    with pytest.raises(ResourceExhausted, match="49 entries"):
        metadata_headers({f"h{i}": "" for i in range(49)})
    assert metadata_headers({"h": "x" * (MAX_HEADER_BYTES - 2049)})
    with pytest.raises(ResourceExhausted, match="14337 bytes"):
        metadata_headers({"h": "x" * (MAX_HEADER_BYTES - 2048)})
    with pytest.raises(ResourceExhausted):
        metadata_headers({"h": "ü" * 7200})  # bytes count, not characters


def test_metadata_at_the_limits_fits_beside_the_longest_protocol_headers() -> None:
    headers: list[Header] = [
        ("correlation_id", b"x" * MAX_CORRELATION_ID),
        *reply_headers("x" * 249, MAX_PARTITION),
        *method_headers("x" * 249, "y" * 249),
        *metadata_headers({f"h{i}": "v" * 295 for i in range(47)}),
        ("rpc-timeout", b"%d" % MAX_TIMEOUT_MS),
    ]
    assert len(parse_request(headers).metadata) == 47


# Responses


@pytest.mark.parametrize("value", [None, b"", b"ok", b"NOT FOUND", b"\xff", b"5", b"NOT_FOUND_X"])
def test_an_unknown_status_is_unknown(value: bytes | None) -> None:
    assert parse_response([("rpc-status", value)]).status is Status.UNKNOWN


@pytest.mark.parametrize("value", [None, *NO_NUMBERS, b"%d" % (MAX_TIMEOUT_MS + 1)])
def test_strange_times_of_a_response_are_zero(value: bytes | None) -> None:
    response = parse_response([("rpc-queue-ms", value), ("rpc-exec-ms", value)])
    assert (response.queue_ms, response.exec_ms) == (0, 0)


@pytest.mark.parametrize("value", [None, b""])
def test_a_reply_without_an_id_belongs_to_nobody(value: bytes | None) -> None:
    assert correlation_of([("x", b"y"), ("correlation_id", value)]) is None
    assert correlation_of([]) is None


# Anything at all

KNOWN = [*dict(a_request()), "rpc-status", "rpc-queue-ms", "rpc-exec-ms"]
values = st.none() | st.binary(max_size=60) | st.sampled_from([b"1", b"echo/echo", b"rpc.replies", b"7", b"OK", b"x/"])
hostile = st.lists(st.tuples(st.sampled_from(KNOWN) | st.text(max_size=20), values), max_size=80)


@st.composite
def mutated(draw: st.DrawFn) -> RawHeaders:
    """A valid request, with headers dropped, repeated, moved and replaced."""
    headers: RawHeaders = a_request()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(headers) - 1))
        match draw(st.sampled_from(["drop", "repeat", "value", "byte", "insert"])):
            case "drop" if len(headers) > 1:
                del headers[at]
            case "repeat":
                headers.insert(draw(st.integers(0, len(headers))), (headers[at][0], draw(values)))
            case "byte" if headers[at][1]:
                value = bytearray(headers[at][1] or b"")
                value[draw(st.integers(0, len(value) - 1))] = draw(st.integers(0, 255))
                headers[at] = (headers[at][0], bytes(value))
            case "insert":
                headers.insert(at, draw(st.tuples(st.text(max_size=20), values)))
            case _:
                headers[at] = (headers[at][0], draw(values))
    return headers


def check_address(reply: Address | None, headers: RawHeaders) -> None:
    if reply is not None:
        assert is_topic(reply.topic)
        assert reply.correlation_id == correlation_of(headers)
        assert 1 <= len(reply.correlation_id) <= MAX_CORRELATION_ID
        assert reply.partition is None or 0 <= reply.partition <= MAX_PARTITION
        assert reply.topic.encode() == next(value for name, value in headers if name == "reply_to")


@settings(deadline=None, max_examples=400)
@given(hostile | mutated())
def test_any_headers_are_a_request_or_malformed(headers: RawHeaders) -> None:
    request: Request | Malformed
    try:
        request = parse_request(headers)
    except Malformed as error:
        request = error
    check_address(request.reply, headers)
    if isinstance(request, Malformed):
        assert request.cause
        assert request.status in (Status.INVALID_ARGUMENT, Status.UNIMPLEMENTED, Status.RESOURCE_EXHAUSTED)
    else:
        assert request.foreign or (request.service and request.method and "/" not in request.service)
        assert request.timeout_ms is None or 0 <= request.timeout_ms <= MAX_TIMEOUT_MS
        assert all(name and not name.startswith("rpc-") for name in request.metadata)
        assert not reserved_names(request.metadata)


@unhurried
@given(hostile | mutated())
def test_any_headers_are_a_response(headers: RawHeaders) -> None:
    response = parse_response(headers)
    assert status_of(headers) is response.status
    assert isinstance(response.status, Status)
    assert response.queue_ms >= 0
    assert response.exec_ms >= 0
    assert all(name and not name.startswith("rpc-") for name in response.metadata)
    assert correlation_of(headers) != b""


def reserved_names(metadata: dict[str, str]) -> set[str]:
    return {name for name in metadata if reserved.fullmatch(name)}
