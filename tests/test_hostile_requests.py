"""Requests that no typedrpc client writes: nothing stalls, and who can be answered is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from hostile_scene import DEEP, GOOD, PARTITIONS, PATIENCE, RawHeaders, Scene, all_answers, until
from typedrpc import Status
from typedrpc.transport import TopicPartition, TopicSpec
from typedrpc.transport.memory import MemoryTransport
from typedrpc.wire import MAX_BODY, correlation_of

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
    assert max(len(body) for _, body in answers.values()) < 8 * 1024  # however much is wrong with a request
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
        until_then = time.monotonic() + 10  # others may commit without a pause
        while (records := await watched.fetch()) and time.monotonic() < until_then:
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


@pytest.mark.parametrize("allow_list", [True])
async def test_with_an_allow_list_answers_go_to_its_topics_and_nowhere_else(
    scene: Scene, allow_list: bool, unique: Callable[[str], str]
) -> None:
    elsewhere = unique("elsewhere")
    await scene.raw.ensure_topics([TopicSpec(name=elsewhere, partitions=2, config={})], create=True)
    watched = await scene.raw.open_reader([TopicPartition(elsewhere, 0), TopicPartition(elsewhere, 1)])
    try:
        for _, changes, body in TO_REFUSED_TOPICS:
            await scene.throw(scene.headers(reply_to=elsewhere.encode(), **changes), body)
        await scene.still_serves()
        await scene.throw(scene.headers(correlation_id=b"last"), GOOD)
        assert list(await all_answers(scene, 1)) == [b"last"]
        assert not await watched.fetch()
        assert scene.handled.count("hi") == 1
        assert scene.refused == len(TO_REFUSED_TOPICS)
    finally:
        await watched.close()


async def test_every_refusal_is_counted_and_each_cause_is_logged_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    cases = unanswerable(scene, scene.other_topic).values()
    for rounds in (1, 2, 3):
        caplog.clear()
        for index, (headers, body) in enumerate(cases):
            await scene.throw(headers, body, partition=index % PARTITIONS)
        await until(lambda rounds=rounds: scene.refused == rounds * len(cases))  # type: ignore[misc]
        said = [r.getMessage() for r in caplog.records if r.name == "typedrpc"]
        if rounds == 1:
            causes = [text.partition("offset ")[2].partition(": ")[2] for text in said]
            assert sorted(causes) == sorted(set(causes))
            assert 0 < len(causes) < 12
        else:
            assert said == []


async def test_one_id_of_two_clients_is_two_requests(scene: Scene) -> None:
    other = await scene.raw.open_reader([TopicPartition(scene.replies, 3)])
    try:
        await scene.throw(scene.headers(correlation_id=b"same"), b'{"msg":{"text":"mine"}}')
        theirs = scene.headers(correlation_id=b"same", reply_to=scene.replies.encode(), reply_partition=b"3")
        await scene.throw(theirs, b'{"msg":{"text":"theirs"}}')
        assert b'"mine"' in (await all_answers(scene, 1))[b"same"][1]
        found: list[bytes] = []
        async with asyncio.timeout(PATIENCE):
            while not found:
                found = [r.value or b"" for r in await other.fetch() if correlation_of(r.headers) == b"same"]
        assert [b'"theirs"' in body for body in found] == [True]
    finally:
        await other.close()


async def test_metadata_with_names_of_the_protocol_changes_no_reply(scene: Scene) -> None:
    more = [("rpc-status", b"NOT_FOUND"), ("rpc-exec-ms", b"-1"), ("rpc-x", b"x"), ("correlation_id", b"another")]
    await scene.throw([*scene.headers(), *more], GOOD)
    async with asyncio.timeout(PATIENCE):
        while not (records := await scene.reader.fetch()):
            pass
    names = [name for name, _ in records[0].headers]
    assert sorted(names) == sorted(set(names))
    assert "rpc-x" not in names
    assert dict(records[0].headers)["correlation_id"] == b"hostile"
    assert dict(records[0].headers)["rpc-status"] == b"OK"


async def test_hundreds_of_answers_that_cannot_be_written_do_not_keep_calls_waiting_and_are_logged_rarely(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.gather(
        *(scene.throw(scene.headers(reply_partition=b"%d" % (99_999 + n)), GOOD, partition=n % 3) for n in range(300))
    )
    await asyncio.wait_for(scene.still_serves(), PATIENCE)
    await until(lambda: scene.handled.count("hi") == 300)
    assert len([r for r in caplog.records if "not written" in r.getMessage()]) < 5


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


async def test_a_request_has_no_more_time_than_it_says_where_the_brokers_clock_is_thought_to_be_behind(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.still_serves()
    transport = scene.rpc._transport  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(transport, "broker_time", lambda: time.time() * 1000 - 60_000)
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
