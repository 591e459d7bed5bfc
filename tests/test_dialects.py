"""Every dialect against its vectors: bytes of headers and bodies in, frames out, and back.

`interop/vectors/*.json` are for others too. Header values and bodies are hex, null where Kafka has a null.

- `requests`: headers → the frame that a server sees; `refused_requests`: headers to which nothing may be answered.
- `replies`: a handler's value, of the Python type `annotation`, to the correlation id `to` → headers and body. `json`:
  the request said that it is JSON. `errors`: the same for an error; its body is null.
- `calls`: a client's request with a text → headers and body. `answers`: what comes back → an error, or null for a value.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedrpc import Call, DeadlineExceeded, NotFound, Rpc, RpcError, Service, Status, UsageError, service
from typedrpc.codec import BareCodec
from typedrpc.contract import service_spec
from typedrpc.dialects import CONVENTIONS, foreign_correlation_of
from typedrpc.dialects.convention import MOST_TEXT
from typedrpc.error_codec import ErrorCodec
from typedrpc.errors import BUILT_IN
from typedrpc.request_parser import RequestParser
from typedrpc.served import ServedMethod
from typedrpc.wire import MAX_CORRELATION_ID, Address, Malformed, Request, WireHeaders, correlation_of, reply_headers

VECTORS: dict[str, Any] = {
    path.stem: json.loads(path.read_text())
    for path in (Path(__file__).parent / "interop" / "vectors").glob("*.json")
    if path.stem != "typedrpc"
}
TYPES: dict[str, Any] = {
    "int": int,
    "str": str,
    "str | None": str | None,
    "None": None,
    "dict[str, int]": dict[str, int],
}


def cases(kind: str) -> pytest.MarkDecorator:
    found = [
        pytest.param(dialect, case, id=f"{dialect}: {case['name']}")
        for dialect, vectors in sorted(VECTORS.items())
        for case in vectors[kind]
    ]
    return pytest.mark.parametrize(("dialect", "case"), found)


def unhex(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def headers_of(case: Mapping[str, Any]) -> WireHeaders:
    return tuple((name, unhex(value)) for name, value in case["headers"])


def test_every_dialect_has_vectors() -> None:
    assert VECTORS.keys() == CONVENTIONS.keys()


@cases("requests")
def test_a_request_is_known_by_its_headers(dialect: str, case: dict[str, Any]) -> None:
    frame = case["frame"]
    id_ = bytes.fromhex(frame["correlation_id"])
    reply = Address(id_, frame["reply_topic"], frame["reply_partition"]) if frame["reply_topic"] else None
    expected = Request(dialect, "", "", id_, reply, None, frame["content_type"], frame["metadata"])
    assert RequestParser().parse(headers_of(case)) == expected


@cases("requests")
def test_a_dialect_that_is_not_spoken_is_refused(dialect: str, case: dict[str, Any]) -> None:
    others = CONVENTIONS.keys() - {dialect}
    if not case["headers"]:
        assert RequestParser(others).parse(()).reply is None  # an event, of any framework
        with pytest.raises(Malformed, match="not spoken here"):
            RequestParser(frozenset()).parse(())
        return
    with pytest.raises(Malformed, match=f"dialect of {dialect}, which is not spoken here") as caught:
        RequestParser(others).parse(headers_of(case))
    assert caught.value.reply is None


@cases("refused_requests")
def test_a_request_that_cannot_be_answered_is_refused_in_silence(dialect: str, case: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        RequestParser().parse(headers_of(case))
    assert caught.value.reply is None


def served(annotation: Any) -> ServedMethod:
    class One(Service):
        @service.method
        async def one(self) -> int:
            return 1

    spec = next(iter(service_spec(One).methods.values()))
    codec_free = spec.__class__(
        **{name: getattr(spec, name) for name in spec.__slots__ if name not in ("signature", "codec")},
        signature=inspect.Signature(return_annotation=annotation),
        codec=None,
    )
    return ServedMethod("one", codec_free, spec.fn, One)


@cases("replies")
def test_a_value_is_written_so(dialect: str, case: dict[str, Any]) -> None:
    id_ = bytes.fromhex(case["to"])
    content_type = "application/json" if case.get("json") else ""
    request = Request(dialect, "", "", id_, Address(id_, "replies", None), None, content_type, {})
    headers, body = served(TYPES[case["annotation"]]).reply(request, case["value"], 1, 2, ())
    assert tuple(headers) == headers_of(case)
    assert body == unhex(case["body"])


@cases("replies")
def test_a_value_that_was_written_is_read_again(dialect: str, case: dict[str, Any]) -> None:
    if case.get("json"):
        return  # only the caller knows that it asked in JSON
    content_type = dict(headers_of(case)).get("content-type") or b""
    codec = BareCodec(TYPES[case["annotation"]])
    body = CONVENTIONS[dialect].received(unhex(case["body"]), content_type.decode())
    assert codec.load_reply(body, content_type.decode()) == case["value"]


@cases("errors")
def test_an_error_is_written_so(dialect: str, case: dict[str, Any]) -> None:
    error = BUILT_IN[Status(case["status"])](case["message"])
    dumped = ErrorCodec((), {}).dump(error)
    assert dumped is not None
    headers, body = CONVENTIONS[dialect].error(bytes.fromhex(case["to"]), error, dumped[1])
    assert tuple(headers) == headers_of(case)
    assert body is None


@cases("calls")
def test_a_call_is_written_so(dialect: str, case: dict[str, Any]) -> None:
    convention = CONVENTIONS[dialect]
    id_ = bytes.fromhex(case["correlation_id"])
    reply = Address(id_, case["reply_topic"], case["reply_partition"]) if case["reply_topic"] else None
    body, content = convention.request(BareCodec(str | None), case["value"])
    assert tuple(convention.request_headers(id_, reply, content)) == headers_of(case)
    assert body == unhex(case["body"])


@cases("answers")
def test_an_answer_is_known_by_its_correlation_id_and_is_a_value_or_an_error(
    dialect: str, case: dict[str, Any]
) -> None:
    headers = headers_of(case)
    assert (correlation_of(headers) or foreign_correlation_of(headers)) == b"n-1"
    found = CONVENTIONS[dialect].error_in(headers)
    error = ErrorCodec((), {}).load(*found) if found else None
    told = error and {"status": error.code.value, "message": error.message}
    assert told == case["error"]


@pytest.mark.parametrize("dialect", sorted(CONVENTIONS.keys() - {"faststream"}))
def test_no_text_of_an_error_makes_the_headers_too_large(dialect: str) -> None:
    error = BUILT_IN[Status.NOT_FOUND]("ü" * 100_000)
    dumped = ErrorCodec((), {}).dump(error)
    assert dumped is not None
    headers, _ = CONVENTIONS[dialect].error(b"id", error, dumped[1])
    assert sum(len(value) for _, value in headers) < MOST_TEXT + 100
    found = CONVENTIONS[dialect].error_in(headers)
    assert found is not None
    assert ErrorCodec((), {}).load(*found).message.startswith("üüü")


@pytest.mark.parametrize("dialect", sorted(CONVENTIONS.keys() - {"faststream"}))
def test_metadata_cannot_forge_the_headers_of_a_dialect(dialect: str) -> None:
    convention = CONVENTIONS[dialect]
    forged = [(convention.correlation, b"another")]
    with pytest.raises(UsageError, match="reserves this name"):
        convention.request_headers(b"id", None, forged)
    with pytest.raises(UsageError, match="reserves this name"):
        convention.response_headers(b"id", "", forged)


NAMES = [n for c in CONVENTIONS.values() for n in (c.correlation, c.reply_topic, c.reply_partition) if n]
VALUES = st.one_of(
    st.none(), st.binary(max_size=600), st.sampled_from([b"replies", b"7", b"\x00\x00\x00\x02", b"\xff" * 4])
)


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "__TypeId__", "tenant"]), VALUES), max_size=8))
def test_any_headers_are_a_request_or_malformed(headers: list[tuple[str, bytes | None]]) -> None:
    request: Request | Malformed
    try:
        request = RequestParser().parse(headers)
    except Malformed as error:
        request = error
    if request.reply is not None:
        assert 0 < len(request.reply.correlation_id) <= MAX_CORRELATION_ID
        assert request.reply.correlation_id in [value for _, value in headers]
        assert request.reply.topic.encode() in [value for _, value in headers]
        assert request.reply.partition is None or 0 <= request.reply.partition < 2**31


def test_headers_of_protocol_1_come_before_those_of_others() -> None:
    foreign = (("kafka_correlationId", b"x"), ("kafka_replyTopic", b"elsewhere"))
    request = RequestParser().parse((("correlation_id", b"n-1"), *reply_headers("replies", None), *foreign))
    assert (request.foreign, request.reply) == ("faststream", Address(b"n-1", "replies", None))


def test_a_declared_error_arrives_as_itself_through_nestjs_whose_errors_are_objects() -> None:
    class Gone(RpcError, code=Status.NOT_FOUND):
        id: int

    codec = ErrorCodec([Gone], {})
    error = Gone("gone", id=7)
    dumped = codec.dump(error)
    assert dumped is not None
    headers, _ = CONVENTIONS["nestjs"].error(b"id", error, dumped[1])
    found = CONVENTIONS["nestjs"].error_in(headers)
    assert found is not None
    arrived = codec.load(*found)
    assert isinstance(arrived, Gone)
    assert (arrived.message, arrived.id) == ("gone", 7)


@pytest.mark.parametrize(
    ("annotation", "body", "value"),
    [
        (str | None, b"hello", "hello"),
        (str | None, b"7", "7"),
        (str | None, None, None),
        (int, b"7", 7),
        (list[int], b"[7]", [7]),
    ],
)
def test_a_body_without_a_content_type_is_json_or_a_text_that_stands_for_the_type(
    annotation: Any, body: bytes | None, value: Any
) -> None:
    assert BareCodec(annotation).load_reply(body, "") == value


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dialects=\['soap'\]: give some of 'typedrpc', 'faststream'"):
        Rpc.in_memory(dialects=["soap"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


# A client and a server of ours that meet in another framework's dialect.


class Missing(RpcError, code=Status.NOT_FOUND):
    id: int


def meeting(dialect: Any) -> Any:
    class Met(Service, service="met", dialect=dialect):
        def __init__(self) -> None:
            self.events: list[str] = []

        @service.method(topic="upper")
        async def upper(self, ctx: Call, text: str) -> str:
            ctx.reply_metadata.update(ctx.metadata)
            return text.upper()

        @service.method(topic="find", raises=[Missing])
        async def find(self, id: int) -> dict[str, int] | None:
            if id < 0:
                raise Missing("no such thing", id=id)
            return {"id": id} if id else None

        @service.method(topic="nothing")
        async def nothing(self) -> None: ...

        @service.method(topic="event", oneway=True)
        async def event(self, text: str) -> None:
            self.events.append(text)

    return Met


@pytest.mark.parametrize("dialect", sorted(CONVENTIONS))
async def test_a_client_and_a_server_of_ours_meet_in_every_dialect(dialect: str) -> None:
    met = meeting(dialect)
    served = met()
    rpc = Rpc.in_memory(timeout=5)
    rpc.serve(served)
    async with rpc:
        client = rpc.client(met)
        assert await client.upper("grüße") == "GRÜSSE"
        assert await client.find(7) == {"id": 7}
        assert await client.find(0) is None
        assert await client.nothing() is None
        await client.event("once")
        if dialect == "faststream":
            with pytest.raises(DeadlineExceeded):
                await client.find.with_options(timeout=0.2)(-1)
        else:
            with pytest.raises(Missing if dialect == "nestjs" else NotFound, match="no such thing"):
                await client.find(-1)
    assert served.events == ["once"]


@pytest.mark.parametrize("dialect", sorted(CONVENTIONS))
async def test_metadata_travels_both_ways_without_the_headers_of_the_dialect(dialect: str) -> None:
    met = meeting(dialect)
    rpc = Rpc.in_memory(timeout=5)
    rpc.serve(met())
    async with rpc:
        reply = await rpc.client(met).upper.with_options(metadata={"tenant": "a"}).with_reply("hi")
    assert reply.metadata == {"tenant": "a"}


async def test_a_client_refuses_metadata_that_is_a_header_of_its_dialect() -> None:
    met = meeting("spring")
    rpc = Rpc.in_memory(timeout=5)
    rpc.serve(met())
    async with rpc:
        with pytest.raises(UsageError, match="reserves this name"):
            await rpc.client(met).upper.with_options(metadata={"kafka_replyTopic": "x"})("hi")
        assert rpc.pending_calls == 0
