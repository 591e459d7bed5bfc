"""What is remembered of requests, so that none runs twice."""

from __future__ import annotations

import pytest

from typedrpc.errors import Status
from typedrpc.repeats import Repeats, reply_of, request_key
from typedrpc.wire import Address, Header, Request, response_headers


def request(correlation_id: bytes = b"id", *, foreign: str = "", method: str = "m", topic: str = "r") -> Request:
    return Request(foreign, "s", method, correlation_id, Address(correlation_id, topic, 0), None, "", {})


def test_a_request_is_known_while_it_runs_and_when_it_was_answered() -> None:
    repeats: Repeats[str] = Repeats()
    assert repeats.find("key") is None
    repeats.start("key", "job")
    assert repeats.find("key") == "job"
    repeats.finish("key", [("a", b"b")], b"body")
    assert repeats.find("key") == ((("a", b"b"),), b"body")


@pytest.mark.parametrize(
    "headers",
    [
        response_headers(b"id", Status.OK, 0, 0),
        response_headers(b"id", Status.NOT_FOUND, 3, 4),
        response_headers(b"id", Status.OK, 300, 400, [("name", b"value")]),
        [("correlation_id", b"id"), ("content-type", b"text/plain")],
        [],
    ],
)
def test_a_reply_is_the_same_again(headers: list[Header]) -> None:
    repeats: Repeats[str] = Repeats()
    repeats.finish("key", headers, b"body")
    found = repeats.find("key")
    assert found is not None
    assert not isinstance(found, str)
    again, body = reply_of(found, request())
    assert (list(again), body) == (headers, b"body")


def test_the_oldest_answers_are_forgotten_beyond_the_number() -> None:
    repeats: Repeats[str] = Repeats(most=2)
    for key in "abc":
        repeats.finish(key, [], b"")
    assert [repeats.find(key) is not None for key in "abc"] == [False, True, True]


def test_the_oldest_answers_are_forgotten_beyond_the_bytes() -> None:
    repeats: Repeats[str] = Repeats(most_bytes=10)
    for key in "abc":
        repeats.finish(key, [], b"12345")
    assert [repeats.find(key) is not None for key in "abc"] == [False, True, True]
    repeats.finish("huge", [], b"x" * 11)
    assert repeats.find("huge") is None


def test_an_answers_metadata_counts_and_an_answer_that_is_replaced_does_not() -> None:
    repeats: Repeats[str] = Repeats(most_bytes=100)
    metadata = [(f"header-{n}", b"x") for n in range(10)]
    repeats.finish("a", metadata, b"")
    for _ in range(3):
        repeats.finish("b", [], b"12345")
    assert repeats.find("a") is not None
    repeats.finish("c", metadata, b"")
    assert repeats.find("a") is None
    assert repeats.find("b") is not None


def test_the_same_id_from_the_same_sender_is_the_same_request_wherever_it_lies() -> None:
    assert request_key(request(), "t", 0, 1) == request_key(request(), "t", 3, 9)


def test_another_sender_method_or_id_is_another_request() -> None:
    keys = [request_key(r, "t", 0, 1) for r in (request(), request(b"other"), request(method="n"), request(topic="q"))]
    assert len(set(keys)) == 4


def test_of_foreign_senders_and_of_those_without_a_sensible_id_only_the_same_record_is_the_same() -> None:
    for strange in (request(foreign="spring"), request(b""), request(b"x" * 513)):
        assert request_key(strange, "t", 0, 1) != request_key(strange, "t", 0, 2)
        assert request_key(strange, "t", 0, 1) == request_key(strange, "t", 0, 1)
