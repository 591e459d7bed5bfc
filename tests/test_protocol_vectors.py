"""Protocol 1 against its vectors, `interop/vectors/typedrpc.json`, from which a peer in another language can be tested.

Header values and bodies are hex, null where Kafka has a null.

- `requests`: headers → the frame; `refused_requests`: headers → the status, and whether it is answered.
- `replies`: a frame ⇄ headers; `lenient_replies`: headers that a client must take too. `cancels`: the headers of one.
- `argument_bodies`: the arguments of a method of `id`, an integer, `deep`, a truth value, false by default, and `data`,
  bytes (here as hex), empty by default ⇄ a request's body; `lenient_argument_bodies`: bodies that a server must take too.
- `reply_bodies`: a value, text or null ⇄ a reply's body.
- `error_bodies`: an error ⇄ its body; the method declares `UserNotFound`, NOT_FOUND with the field `id`, an integer.
  `lenient_error_bodies`: bodies that a client must take too.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from typedrpc import RpcError, Status
from typedrpc.codec import MethodCodec
from typedrpc.error_codec import ErrorCodec
from typedrpc.request_parser import RequestParser
from typedrpc.wire import (
    Address,
    Malformed,
    Request,
    WireHeaders,
    cancel_headers,
    correlation_of,
    metadata_headers,
    parse_cancel,
    parse_response,
    reply_headers,
    response_headers,
    status_of,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "interop" / "vectors" / "typedrpc.json").read_text())


class UserNotFound(RpcError, code=Status.NOT_FOUND):
    id: int


ERRORS = ErrorCodec([UserNotFound], {})


def get(id: int, deep: bool = False, data: bytes = b"") -> str | None: ...


METHOD = MethodCodec("get", inspect.signature(get, eval_str=True))


def arguments_of(case: dict[str, Any]) -> dict[str, Any]:
    return {**case["arguments"], "data": bytes.fromhex(case["arguments"]["data"])}


def cases(*kinds: str) -> pytest.MarkDecorator:
    found = [case for kind in kinds for case in VECTORS[kind]]
    return pytest.mark.parametrize("case", found, ids=[case["name"] for case in found])


def unhex(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def headers_of(case: dict[str, Any]) -> WireHeaders:
    return tuple((name, unhex(value)) for name, value in case["headers"])


@cases("requests")
def test_a_request_is_read_so_also_when_its_like_was_read_before(case: dict[str, Any]) -> None:
    frame = case["frame"]
    id_ = bytes.fromhex(frame["correlation_id"])
    reply = Address(id_, frame["reply_topic"], frame["reply_partition"]) if frame["reply_topic"] else None
    expected = Request(
        "", frame["service"], frame["method"], id_, reply, frame["timeout_ms"], "application/json", frame["metadata"]
    )
    parser = RequestParser()
    assert [parser.parse(headers_of(case)) for _ in range(3)] == [expected] * 3


@cases("refused_requests")
def test_a_request_is_refused_so(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        RequestParser().parse(headers_of(case))
    assert (caught.value.status, caught.value.reply is not None) == (Status(case["status"]), case["answered"])


@cases("replies")
def test_a_reply_is_written_and_read_so(case: dict[str, Any]) -> None:
    frame, headers = case["frame"], headers_of(case)
    id_, status = bytes.fromhex(frame["correlation_id"]), Status(frame["status"])
    metadata = metadata_headers(frame["metadata"])
    assert tuple(response_headers(id_, status, frame["queue_ms"], frame["exec_ms"], metadata)) == headers
    assert (correlation_of(headers), status_of(headers)) == (id_, status)
    expected = (status, "application/json", frame["queue_ms"], frame["exec_ms"], frame["metadata"])
    assert parse_response(headers) == expected


@cases("lenient_replies")
def test_a_strange_reply_is_taken_too(case: dict[str, Any]) -> None:
    headers = headers_of(case)
    response = parse_response(headers)
    assert response.status == status_of(headers) == Status(case["status"])
    assert (response.queue_ms, response.exec_ms) == (case["queue_ms"], case["exec_ms"])


@cases("cancels")
def test_a_cancel_is_written_and_read_so(case: dict[str, Any]) -> None:
    timeout = ("rpc-timeout", b"%d" % case["timeout_ms"])
    assert tuple(cancel_headers(b"n-1", reply_headers("rpc.replies", 7), timeout)) == headers_of(case)
    assert parse_cancel(headers_of(case)) == (Address(b"n-1", "rpc.replies", 7), case["timeout_ms"])


@cases("error_bodies", "lenient_error_bodies")
def test_the_body_of_an_error_is_read_so(case: dict[str, Any]) -> None:
    error = ERRORS.load(Status(case["status"]), unhex(case["body"]))
    assert type(error).__name__ == case["error"]["class"]
    assert error.message.startswith(case["error"]["message"])  # what follows says what is wrong with the body
    fields = {f.name: getattr(error, f.name) for f in dataclasses.fields(error) if f.name != "message"}
    assert fields == case["error"]["fields"]


@cases("error_bodies")
def test_the_body_of_an_error_is_written_so(case: dict[str, Any]) -> None:
    status, body = Status(case["status"]), unhex(case["body"])
    assert ERRORS.dump(ERRORS.load(status, body)) == (status, body)


@cases("argument_bodies", "lenient_argument_bodies")
def test_the_body_of_a_request_is_read_so(case: dict[str, Any]) -> None:
    assert METHOD.load_arguments(bytes.fromhex(case["body"])) == ([], arguments_of(case))


@cases("argument_bodies")
def test_the_body_of_a_request_is_written_so(case: dict[str, Any]) -> None:
    assert METHOD.dump_arguments((), arguments_of(case)) == bytes.fromhex(case["body"])


@cases("reply_bodies")
def test_the_body_of_a_reply_is_written_and_read_so(case: dict[str, Any]) -> None:
    body = bytes.fromhex(case["body"])
    assert METHOD.dump_reply(case["value"]) == body
    assert METHOD.load_reply(body) == case["value"]
