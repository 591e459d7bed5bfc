"""Records that no typedrpc client writes: nothing stalls, nobody is hurt, and who can be answered is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from faststream.kafka import KafkaBroker
from pydantic import BaseModel, field_validator

from typedrpc import (
    Call,
    DataLoss,
    InternalError,
    NotFound,
    Rpc,
    RpcError,
    Service,
    Status,
    Topics,
    UnknownError,
    service,
)
from typedrpc.transport import Reader, TopicPartition, TopicSpec, Transport
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.transport.memory import MemoryTransport
from typedrpc.wire import MAX_BODY, correlation_of, parse_response

PARTITIONS = 3
PATIENCE = 20.0

RawHeaders = list[tuple[str, bytes | None]]


class Tree(BaseModel):
    text: str = ""
    number: int = 0
    below: list[Tree] = []

    @field_validator("text")
    @classmethod
    def break_down(cls, text: str) -> str:
        if text == "break":
            raise KeyError("a validator's own bug")
        return text


@dataclass
class Scene:
    """A service under fire: what is thrown at it, and who can be seen to be answered."""

    rpc: Rpc
    raw: Transport
    client: Any
    topic: str
    other_topic: str
    replies: str
    answers: str
    reader: Reader
    handled: list[str]
    caller_ids: list[str]
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def headers(self, **changes: Any) -> RawHeaders:
        """Of a valid request, with some replaced (`_` for `-`); ... takes one out."""
        headers: dict[str, Any] = {
            "correlation_id": b"hostile",
            "reply_to": self.answers.encode(),
            "reply_partition": b"0",
            "content-type": b"application/json",
            "rpc-protocol": b"1",
            "rpc-method": f"{self.topic}/echo".encode(),
            "rpc-timeout": b"60000",
        }
        headers |= {name if name in headers else name.replace("_", "-"): value for name, value in changes.items()}
        return [(name, value) for name, value in headers.items() if value is not ...]

    async def throw(
        self, headers: Sequence[tuple[str, bytes | None]], body: bytes | None, topic: str = "", partition: int = 0
    ) -> None:
        """Writes a record as it is."""
        written: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        as_they_are: Any = list(headers)
        self.raw.send(topic or self.topic, partition, None, body, as_they_are, lambda _, e: written.set_result(e), None)
        async with asyncio.timeout(PATIENCE):
            assert await written is None

    async def still_serves(self) -> None:
        for partition_key in ("a", "b", "c"):
            assert await self.client.echo.with_options(key=partition_key)(Tree(text="well")) == Tree(text="well")


@pytest_asyncio.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def scene(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> AsyncGenerator[Scene]:
    topic, other_topic, replies, answers = (unique(name) for name in ("hostile", "other", "replies", "answers"))
    topics = Topics(request_partitions=PARTITIONS, reply_partitions=4, replies=replies)
    rpc, raw = make_rpc(request, topics)
    handled: list[str] = []
    caller_ids: list[str] = []
    release = asyncio.Event()

    class Target(Service, Protocol, service=topic):
        @service.method
        async def echo(self, msg: Tree) -> Tree: ...
        @service.method
        async def slow(self, msg: Tree) -> Tree: ...
        @service.method(oneway=True)
        async def log(self, line: str) -> None: ...

    class TargetServer(Target):
        @service.method
        async def echo(self, msg: Tree) -> Tree:
            handled.append(msg.text)
            return msg

        @service.method
        async def slow(self, ctx: Call, msg: Tree) -> Tree:
            handled.append(msg.text)
            caller_ids.append(ctx.correlation_id)
            await release.wait()
            return msg

        @service.method(oneway=True)
        async def log(self, line: str) -> None:
            handled.append(line)

    class Other(Service, service=other_topic):
        @service.method
        async def echo(self, msg: Tree) -> Tree:
            handled.append("other")
            return msg

    rpc.serve(TargetServer(), Other())
    async with AsyncExitStack() as stack:
        await raw.start()
        stack.push_async_callback(raw.stop)
        await raw.ensure_topics([TopicSpec(name=answers, partitions=1, config={})], create=True)
        reader = await raw.open_reader([TopicPartition(answers, 0)])
        stack.push_async_callback(reader.close)
        await stack.enter_async_context(rpc)
        stack.callback(release.set)
        client = rpc.client(Target)
        yield Scene(rpc, raw, client, topic, other_topic, replies, answers, reader, handled, caller_ids, release)
        release.set()
        await assert_offsets_reach_the_ends(request, raw, [topic, other_topic])


def make_rpc(request: pytest.FixtureRequest, topics: Topics) -> tuple[Rpc, Transport]:
    if request.param == "memory":
        rpc = Rpc.in_memory(topics=topics)
        return rpc, MemoryTransport(rpc._log)  # pyright: ignore[reportPrivateUsage]  # nothing public writes raw records
    kafka: str = request.getfixturevalue("kafka")
    connection = connection_of(KafkaBroker(kafka, logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=10, instance_id=None)
    return Rpc(KafkaBroker(kafka, logger=None), topics=topics), transport


async def assert_offsets_reach_the_ends(request: pytest.FixtureRequest, raw: Transport, groups: list[str]) -> None:
    """A group has its service's name; what is committed must soon be everything."""
    if request.param == "memory":
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=request.getfixturevalue("kafka"))
    await admin.start()
    try:
        for group in groups:
            all_ends = await asyncio.gather(*(end_of(raw, TopicPartition(group, p)) for p in range(PARTITIONS)))
            ends = dict(enumerate(all_ends))
            async with asyncio.timeout(PATIENCE):
                while True:
                    offsets = await admin.list_consumer_group_offsets(group)
                    committed = {at.partition: meta.offset for at, meta in offsets.items()}
                    if all(committed.get(p) == end for p, end in ends.items()):
                        break
                    await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def end_of(raw: Transport, at: TopicPartition) -> int:
    """The end of a partition as one more record tells it, garbage like the others."""
    written: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    reader = await raw.open_reader([at])
    try:
        raw.send(at.topic, at.partition, None, b"", [], lambda _, error: written.set_result(error), None)
        async with asyncio.timeout(PATIENCE):
            assert await written is None
            while not (records := await reader.fetch()):
                pass
        return records[-1].offset + 1
    finally:
        await reader.close()


# Requests

GOOD = b'{"msg":{"text":"hi"}}'
DEEP = b"[" * 100_000

BODIES: dict[str, tuple[bytes | None, Status]] = {
    "null body": (None, Status.INVALID_ARGUMENT),
    "empty body": (b"", Status.INVALID_ARGUMENT),
    "binary body": (b"\x00\xff\xfe\x80", Status.INVALID_ARGUMENT),
    "half a body": (GOOD[:-3], Status.INVALID_ARGUMENT),
    "a list": (b"[]", Status.INVALID_ARGUMENT),
    "null": (b"null", Status.INVALID_ARGUMENT),
    "a number": (b"1", Status.INVALID_ARGUMENT),
    "deep and open": (DEEP, Status.INVALID_ARGUMENT),
    "deep and closed": (DEEP + b"]" * 100_000, Status.INVALID_ARGUMENT),
    "deep in an unknown key": (
        b'{"x":' + DEEP + b"]" * 100_000 + b"," + GOOD[1:],
        Status.INVALID_ARGUMENT,
    ),
    "a deep model": (b'{"msg":' + b'{"below":[' * 5000 + b"]}" * 5000 + b"}", Status.INVALID_ARGUMENT),
    "a huge number": (b'{"msg":{"number":' + b"9" * 100_000 + b"}}", Status.INVALID_ARGUMENT),
    "a huge exponent": (b'{"msg":{"number":1e999999999}}', Status.INVALID_ARGUMENT),
    "a lone surrogate": (b'{"msg":{"text":"\\ud800"}}', Status.INVALID_ARGUMENT),
    "undecodable text": (b'{"msg":{"text":"\xff"}}', Status.INVALID_ARGUMENT),
    "not a number": (b'{"msg":{"number":NaN}}', Status.INVALID_ARGUMENT),
    "too large": (b'{"msg":{"text":"' + b"x" * MAX_BODY + b'"}}', Status.RESOURCE_EXHAUSTED),
    "many findings": (b'{"msg":{"below":[' + b"1," * 100_000 + b"1]}}", Status.INVALID_ARGUMENT),
    "a repeated key": (b'{"msg":{"text":"break"},"msg":{"text":"hi"}}', Status.OK),
    "unknown keys": (b'{"unknown":1,"msg":{"text":"hi","__class__":1}}', Status.OK),
}


@pytest.mark.parametrize("method", ["echo", "slow"])
async def test_every_body_is_answered_and_the_next_call_works(scene: Scene, method: str) -> None:
    scene.release.set()
    for index, body in enumerate(BODIES.values()):
        name = f"{scene.topic}/{method}".encode()
        await scene.throw(scene.headers(correlation_id=b"%d" % index, rpc_method=name), body[0], partition=index % 3)
        await scene.still_serves()
    await scene.throw(scene.headers(correlation_id=b"last"), GOOD)
    answers = await all_answers(scene, len(BODIES) + 1)
    found = {name: answers[b"%d" % index][0] for index, name in enumerate(BODIES)}
    assert found == {name: status for name, (_, status) in BODIES.items()}


@pytest.mark.parametrize("method", ["echo", "slow"])
async def test_a_validator_that_fails_oddly_is_answered_and_the_next_call_works(scene: Scene, method: str) -> None:
    scene.release.set()
    name = f"{scene.topic}/{method}".encode()
    await scene.throw(scene.headers(correlation_id=b"odd", rpc_method=name), b'{"msg":{"text":"break"}}')
    status, body = (await all_answers(scene, 1))[b"odd"]
    assert status in (Status.INTERNAL, Status.INVALID_ARGUMENT)
    assert b"own bug" not in body
    await scene.still_serves()


def answerable(scene: Scene) -> dict[str, tuple[RawHeaders, Status]]:
    good = scene.headers()
    echo = f"{scene.topic}/echo".encode()
    return {
        "valid": (good, Status.OK),
        "no timeout": (scene.headers(rpc_timeout=...), Status.OK),
        "the longest timeout": (scene.headers(rpc_timeout=b"%d" % 2**53), Status.OK),
        "the longest timeout of a task": (
            scene.headers(rpc_timeout=b"%d" % 2**53, rpc_method=f"{scene.topic}/slow".encode()),
            Status.OK,
        ),
        "null and binary headers": (
            [("n", None), ("b", b"\xff"), ("", b""), *good, ("\x00", b"\x00"), ("ü" * 100, b"\xfe")],
            Status.OK,
        ),
        "null content type": (scene.headers(content_type=None), Status.OK),
        "another content type": (scene.headers(content_type=b"\xff/xml"), Status.OK),
        "repeated headers": ([*good, ("rpc-method", b"a/b"), ("reply_to", b"x"), ("rpc-protocol", None)], Status.OK),
        "unknown method": (scene.headers(rpc_method=echo + b"x"), Status.UNIMPLEMENTED),
        "dunder method": (scene.headers(rpc_method=f"{scene.topic}/__init__".encode()), Status.UNIMPLEMENTED),
        "unknown service": (scene.headers(rpc_method=b"unknown/echo"), Status.UNIMPLEMENTED),
        "another service": (scene.headers(rpc_method=f"{scene.other_topic}/echo".encode()), Status.UNIMPLEMENTED),
        "a huge method": (scene.headers(rpc_method=echo + b"x" * 15_000), Status.UNIMPLEMENTED),
        "null method": (scene.headers(rpc_method=None), Status.INVALID_ARGUMENT),
        "no method": (scene.headers(rpc_method=...), Status.INVALID_ARGUMENT),
        "binary method": (scene.headers(rpc_method=b"\xff/\xff"), Status.INVALID_ARGUMENT),
        "protocol 2": (scene.headers(rpc_protocol=b"2"), Status.UNIMPLEMENTED),
        "binary protocol": (scene.headers(rpc_protocol=b"\xff" * 1000), Status.UNIMPLEMENTED),
        "a negative timeout": (scene.headers(rpc_timeout=b"-1"), Status.INVALID_ARGUMENT),
        "a binary timeout": (scene.headers(rpc_timeout=b"\x00\x00\x00\xff"), Status.INVALID_ARGUMENT),
        "a huge timeout": (scene.headers(rpc_timeout=b"9" * 9999), Status.INVALID_ARGUMENT),
        "too many headers": ([*good, *[("h", b"")] * 100], Status.RESOURCE_EXHAUSTED),
        "too large headers": ([*good, ("h", b"x" * 20_000)], Status.RESOURCE_EXHAUSTED),
        "any partition": (scene.headers(reply_partition=...), Status.OK),
        "null partition": (scene.headers(reply_partition=None), Status.OK),
        "a binary id": (scene.headers(), Status.OK),
    }


async def test_requests_with_strange_headers_are_answered_with_the_right_status(scene: Scene) -> None:
    scene.release.set()
    cases = answerable(scene)
    ids = {name: b"%d" % index for index, name in enumerate(cases)} | {"a binary id": b"\xff\x00" * 100}
    for name, (headers, _) in cases.items():
        await scene.throw([(h, ids[name] if h == "correlation_id" else v) for h, v in headers], GOOD)
        await scene.still_serves()
    answers = await all_answers(scene, len(cases))
    assert {name: answers[id_][0] for name, id_ in ids.items()} == {name: case[1] for name, case in cases.items()}


def unanswerable(scene: Scene, refused: str) -> dict[str, tuple[RawHeaders, bytes | None]]:
    cases: dict[str, tuple[RawHeaders, bytes | None]] = {
        "nothing": ([], None),
        "no headers": ([], GOOD),
        "only null headers": ([(name, None) for name, _ in scene.headers()], GOOD),
        "only binary headers": ([(name, b"\xff\xfe") for name, _ in scene.headers()], GOOD),
        "only empty headers": ([(name, b"") for name, _ in scene.headers()], None),
        "plain, on a topic of several methods": (scene.headers(rpc_protocol=..., rpc_method=...), GOOD),
        "null id": (scene.headers(correlation_id=None), GOOD),
        "empty id": (scene.headers(correlation_id=b""), GOOD),
        "long id": (scene.headers(correlation_id=b"x" * 513), GOOD),
        "a partition that is no number": (scene.headers(reply_partition=b"\x00\x00\x00\x00"), GOOD),
        "a name that is no topic": (scene.headers(reply_to=b"no topic"), GOOD),
        "the name of a directory": (scene.headers(reply_to=b".."), GOOD),
        "a binary topic": (scene.headers(reply_to=b"\xff"), GOOD),
        "a long topic": (scene.headers(reply_to=b"x" * 300), GOOD),
        "too many headers and no address": ([("h", b"x")] * 200, GOOD),
    }
    for what, changes, body in TO_REFUSED_TOPICS:
        headers = scene.headers(reply_to=refused.encode(), reply_partition=b"1", **changes)
        cases[f"{what}, to {refused}"] = (headers, body)
    return cases


TO_REFUSED_TOPICS: list[tuple[str, dict[str, Any], bytes | None]] = [
    ("valid", {}, GOOD),
    ("bad body", {}, b"garbage"),
    ("too large", {}, b"x" * (MAX_BODY + 1)),
    ("protocol 2", {"rpc_protocol": b"2"}, GOOD),
    ("no method", {"rpc_method": ...}, GOOD),
    ("unknown method", {"rpc_method": b"unknown/echo"}, GOOD),
    ("bad timeout", {"rpc_timeout": b"soon"}, GOOD),
    ("too large headers", {"h": b"x" * 20_000}, GOOD),
]


@pytest.mark.parametrize("refused", ["the topic itself", "another served topic", "__consumer_offsets"])
async def test_what_cannot_or_must_not_be_answered_is_not_and_no_handler_runs(scene: Scene, refused: str) -> None:
    target = {"the topic itself": scene.topic, "another served topic": scene.other_topic}.get(refused, refused)
    if target == "__consumer_offsets" and isinstance(scene.raw, MemoryTransport):
        await scene.raw.ensure_topics([TopicSpec(name=target, partitions=50, config={})], create=True)
    count = await scene.raw.partitions_of(target)
    watched = await scene.raw.open_reader([TopicPartition(target, p) for p in range(count)])
    try:
        cases = unanswerable(scene, target)
        for index, (headers, body) in enumerate(cases.values()):
            marked = [(name, b"silent-%d" % index if value == b"hostile" else value) for name, value in headers]
            await scene.throw(marked, body, partition=index % PARTITIONS)
        await scene.still_serves()
        await scene.throw(scene.headers(correlation_id=b"last"), GOOD)
        answers = await all_answers(scene, 1)
        assert list(answers) == [b"last"]
        written: list[str] = []
        while records := await watched.fetch():
            written += [
                f"{list(cases)[int((correlation_of(record.headers) or b'').rpartition(b'-')[2])]}: {record.value!r:.60}"
                for record in records
                if (correlation_of(record.headers) or b"").startswith(b"silent-")
                and any(name == "rpc-status" for name, _ in record.headers)
            ]
        assert not written
        assert set(scene.handled) == {"well", "hi"}
        assert scene.handled.count("hi") == 1
    finally:
        await watched.close()


async def test_an_answer_that_cannot_be_written_holds_nothing_up(scene: Scene, unique: Callable[[str], str]) -> None:
    await scene.throw(scene.headers(reply_partition=b"99999"), GOOD)
    await scene.throw(scene.headers(reply_partition=b"%d" % (2**31 - 1)), b"garbage", partition=1)
    if isinstance(scene.raw, MemoryTransport):  # a real Kafka may make it
        await scene.throw(scene.headers(reply_to=unique("missing").encode()), GOOD, partition=2)
    await scene.still_serves()


async def test_an_expired_request_is_answered_and_its_handler_does_not_run(scene: Scene) -> None:
    await scene.still_serves()  # the server knows the broker's clock by its own replies
    await scene.throw(scene.headers(correlation_id=b"expired", rpc_timeout=b"0"), GOOD)
    assert (await all_answers(scene, 1))[b"expired"][0] is Status.DEADLINE_EXCEEDED
    assert "hi" not in scene.handled


async def test_a_oneway_request_of_garbage_is_dropped(scene: Scene) -> None:
    name = f"{scene.topic}/log".encode()
    for body in (b"garbage", None, b'{"line":1}', b'{"line":"good"}'):
        await scene.throw(scene.headers(rpc_method=name, reply_to=..., correlation_id=...), body)
    await scene.still_serves()
    await until(lambda: "good" in scene.handled)


async def test_thousands_of_hostile_records_do_not_keep_calls_waiting(scene: Scene) -> None:
    for _ in range(10):
        await asyncio.gather(*(scene.throw([("h", b"x")] * 65, b"garbage", partition=p) for p in range(3)))
        await asyncio.gather(*(scene.throw([], DEEP[:1000], partition=p % 3) for p in range(300)))
    await asyncio.wait_for(scene.still_serves(), PATIENCE)


# Replies


async def test_forged_replies_hurt_nobody(scene: Scene) -> None:
    calls = [asyncio.create_task(scene.client.slow(Tree(text=f"{index}"))) for index in range(20)]
    await until(lambda: len(scene.caller_ids) == 20)
    nonce = scene.caller_ids[0].partition("-")[0]
    ids = [b"", None, b"\xff\xfe", b"x" * 10_000, f"{nonce}-999999".encode(), nonce.encode(), f"{nonce}-".encode()]
    forged = b'{"text":"forged"}'
    for partition in range(4):
        for id_ in ids:
            await scene.throw([("correlation_id", id_), ("rpc-status", b"OK")], forged, scene.replies, partition)
        await scene.throw([], None, scene.replies, partition)
        await scene.throw([("rpc-status", None), ("x", b"\xff")], b"\xff", scene.replies, partition)
        await scene.throw([("h", b"")] * 1000, forged, scene.replies, partition)
        await scene.throw(scene.headers(), GOOD, scene.replies, partition)
    scene.release.set()
    assert await asyncio.gather(*calls) == [Tree(text=f"{index}") for index in range(20)]
    await scene.still_serves()


GARBAGE_REPLIES: list[tuple[RawHeaders, bytes | None, type[RpcError]]] = [
    ([], b"garbage", DataLoss),
    ([], None, DataLoss),
    ([], DEEP, DataLoss),
    ([("rpc-status", b"OK"), ("rpc-exec-ms", b"-5"), ("x", None)], b'{"text":1}', DataLoss),
    ([("rpc-status", b"NO_SUCH_STATUS")], b"\xff", UnknownError),
    ([("rpc-status", None)], DEEP, UnknownError),
    ([("rpc-status", b"NOT_FOUND")], b'{"message":{},"type":5,"data":[],"details":7}', NotFound),
    ([("rpc-status", b"INTERNAL")], b'{"type":"KeyError","data":{"__class__":1}}', InternalError),
]


async def test_a_garbage_reply_ends_its_call_with_an_error(scene: Scene) -> None:
    for number, (headers, body, expected) in enumerate(GARBAGE_REPLIES, start=1):
        call = asyncio.create_task(scene.client.slow(Tree(text="x")))
        await until(lambda number=number: len(scene.caller_ids) == number)  # type: ignore[misc]
        forged: RawHeaders = [("correlation_id", scene.caller_ids[-1].encode()), *headers]
        for partition in range(4):
            await scene.throw(forged, body, scene.replies, partition)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(expected) as caught:
                await call
        assert type(caught.value) is expected
    await scene.still_serves()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # many things change what is waited for
            await asyncio.sleep(0.01)


async def all_answers(scene: Scene, count: int) -> dict[bytes, tuple[Status, bytes]]:
    """By correlation id; fails where one is answered twice, or some are not within a while."""
    answers: dict[bytes, tuple[Status, bytes]] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while len(answers) < count:
                for record in await scene.reader.fetch():
                    id_ = correlation_of(record.headers) or b""
                    assert id_ not in answers
                    answers[id_] = (parse_response(record.headers).status, record.value or b"")
    except TimeoutError:
        pytest.fail(f"{len(answers)} of {count} answered: {sorted(answers)}")
    return answers
