"""Replies that no typedrpc server writes: each call gets its own reply or an error, whatever else arrives."""

from __future__ import annotations

import asyncio

import pytest

from hostile_scene import DEEP, GOOD, PATIENCE, RawHeaders, Scene, Tree, until
from typedrpc import DataLoss, InternalError, NotFound, RpcError, UnknownError


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
    assert scene.rpc.pending_calls == 20
    scene.release.set()
    assert await asyncio.gather(*calls) == [Tree(text=f"{index}") for index in range(20)]
    await scene.still_serves()


async def test_a_reply_with_the_right_id_in_another_partition_is_not_seen(scene: Scene) -> None:
    call = asyncio.create_task(scene.client.slow(Tree(text="own")))
    await until(lambda: len(scene.caller_ids) == 1)
    id_ = scene.caller_ids[0].encode()
    own = int(id_[:8], 16) % 4  # the partition that the client reads, by its nonce
    for partition in {0, 1, 2, 3} - {own}:
        await scene.throw([("correlation_id", id_)], b'{"text":"forged"}', scene.replies, partition)
    await scene.still_serves()
    assert not call.done()
    scene.release.set()
    assert await call == Tree(text="own")


async def test_a_second_reply_is_dropped_and_counted(scene: Scene) -> None:
    call = asyncio.create_task(scene.client.slow(Tree(text="own")))
    await until(lambda: len(scene.caller_ids) == 1)
    scene.release.set()
    assert await call == Tree(text="own")
    calls = scene.rpc._calls  # pyright: ignore[reportPrivateUsage]
    assert calls is not None
    late = calls.dispatcher.late
    for partition in range(4):
        await scene.throw([("correlation_id", scene.caller_ids[0].encode())], b"{}", scene.replies, partition)
    await until(lambda: calls.dispatcher.late == late + 1)
    assert scene.rpc.pending_calls == 0


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
