"""What is parsed once is what would be parsed each time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from typedrpc import request_parser
from typedrpc.request_parser import RequestParser
from typedrpc.wire import Malformed, Request, WireHeaders, method_headers, parse_request, reply_headers

NAMES = ["correlation_id", "reply_to", "reply_partition", "content-type", "rpc-protocol", "rpc-method", "rpc-timeout"]
VALUES = [b"", b"1", b"7", b"echo/echo", b"a.topic", b"/", b"\xff", b"9" * 16, b"9" * 17, b"1.5", b"x" * 600, None]

names = st.sampled_from([*NAMES, "trace", "rpc-unknown", ""])
values = st.sampled_from(VALUES) | st.binary(max_size=8)
headers = st.lists(st.tuples(names, values), max_size=8)


def headers_of(
    correlation_id: bytes | None = b"id-1", timeout: bytes | None = b"1500", *more: tuple[str, bytes | None]
) -> WireHeaders:
    """Those of a client of this library, in its order."""
    common = (*reply_headers("rpc.replies", 7), *method_headers("echo", "echo"), *more)
    return (("correlation_id", correlation_id), *common, ("rpc-timeout", timeout))


def outcome(headers: WireHeaders, parse: object = parse_request) -> Request | str:
    try:
        return parse(headers)  # type: ignore[operator,no-any-return]  # pyright: ignore
    except Malformed as error:
        return f"{error} {error.reply} {error.status}"


@settings(deadline=None)
@given(st.lists(values, max_size=4), st.lists(values, max_size=4), headers)
def test_requests_that_differ_in_id_and_timeout_are_parsed_as_if_each_were_the_first(
    ids: list[bytes | None], timeouts: list[bytes | None], more: list[tuple[str, bytes | None]]
) -> None:
    parser = RequestParser()
    for correlation_id in [b"id-1", *ids]:
        for timeout in [b"1500", *timeouts]:
            for found in (headers_of(correlation_id, timeout), headers_of(correlation_id, timeout, *more)):
                assert outcome(found, parser.parse) == outcome(found)


@settings(deadline=None)
@given(st.lists(headers, max_size=4))
def test_headers_of_any_kind_are_parsed_alike_whatever_came_before(
    sequence: list[list[tuple[str, bytes | None]]],
) -> None:
    parser = RequestParser()
    for found in [*sequence, *sequence]:
        assert outcome(tuple(found), parser.parse) == outcome(found)
        assert outcome(found, parser.parse) == outcome(found)


def test_a_handler_that_changes_its_metadata_does_not_change_that_of_the_next_request() -> None:
    parser = RequestParser()
    for _ in range(3):
        metadata = parser.parse(headers_of()).metadata
        assert metadata == {}
        metadata["changed"] = "by a handler"


def test_what_strangers_make_up_is_not_kept_for_ever() -> None:
    parser = RequestParser()
    for number in range(3000):
        common = (*reply_headers(f"made.up.{number}", 7), *method_headers("echo", "echo"))
        parser.parse((("correlation_id", b"1"), *common, ("rpc-timeout", b"1")))
    parser.parse(headers_of(b"1", b"1", ("trace", b"x" * 5000)))
    kept = parser._known  # pyright: ignore[reportPrivateUsage]
    assert 0 < len(kept) <= request_parser._MOST_KNOWN  # pyright: ignore[reportPrivateUsage]
    assert all(len(value or b"") < 2000 for common in kept for _, value in common)
