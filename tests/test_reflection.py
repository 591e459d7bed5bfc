"""What servers say of themselves, in memory and on a real Kafka."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from faststream.kafka import KafkaBroker
from pydantic import ValidationError

from real_kafka import FEW
from typedrpc import DeadlineExceeded, Rpc, Topics, contract_schema
from typedrpc.reflection import Instance, Reflection
from typedrpc.transport import TopicPartition, Transport
from typedrpc.wire import method_headers
from work_service import Work

SOON = 0.3


def transport_of(rpc: Rpc) -> Transport:
    found = rpc._transport  # pyright: ignore[reportPrivateUsage]
    assert found is not None
    return found


async def test_a_server_gives_the_contract_that_its_clients_share(rpc: Rpc, work: type[Work]) -> None:
    rpc.serve(work())
    async with rpc:
        assert await rpc.client(Reflection).contract(name_of(work)) == contract_schema(work)


async def test_of_several_servers_only_who_serves_it_answers(
    make_rpc: Callable[..., Rpc], named: Callable[[], type[Work]]
) -> None:
    first, second = make_rpc(), make_rpc()
    second._log = first._log  # pyright: ignore[reportPrivateUsage]  # in memory: one broker
    one, two = named(), named()
    first.serve(one())
    second.serve(two())
    async with first, second:
        for rpc in (first, second):
            for each in (one, two):
                assert (await rpc.client(Reflection).contract(name_of(each))).service == name_of(each)


async def test_a_service_that_nobody_serves_has_no_answer(rpc: Rpc, work: type[Work]) -> None:
    rpc.serve(work())
    async with rpc:
        with pytest.raises(DeadlineExceeded):
            await rpc.client(Reflection).contract.with_options(timeout=SOON)("nobody-serves-this")


async def test_a_server_tells_what_it_serves_and_how_much_runs_there(rpc: Rpc, work: type[Work]) -> None:
    rpc.serve(work())
    async with rpc:
        sleeping = asyncio.create_task(rpc.client(work).wait())
        async with asyncio.timeout(20):
            instance = await instance_serving(rpc, name_of(work))
            while instance.services[0].in_flight != 1:
                instance = await instance_serving(rpc, name_of(work))
        sleeping.cancel()
    assert instance.services[0].contract_hash == contract_schema(work).hash
    assert instance.services[0].topics == [name_of(work)]
    assert instance.pid == os.getpid()
    assert 0 < instance.uptime < 60


@pytest.mark.parametrize("field", ["uptime", "pid"])
@pytest.mark.parametrize("value", [-1, 1e300, float("nan"), 10**30])
def test_numbers_that_no_server_has_are_refused(field: str, value: float) -> None:
    instance: dict[str, object] = {
        "id": "i",
        "host": "h",
        "pid": 1,
        "typedrpc": "1",
        "python": "3",
        "uptime": 1e9,
        "services": [],
    }
    Instance.model_validate(instance)
    with pytest.raises(ValidationError):
        Instance.model_validate({**instance, field: value})


async def test_a_service_added_while_it_runs_is_described(rpc: Rpc, named: Callable[[], type[Work]]) -> None:
    first, late = named(), named()
    rpc.serve(first())
    async with rpc:
        rpc.serve(late())
        await rpc.ready()
        assert (await rpc.client(Reflection).contract(name_of(late))).service == name_of(late)


async def test_no_answer_where_reflection_is_off(work: type[Work]) -> None:
    rpc = Rpc.in_memory(reflection=False)
    rpc.serve(work())
    async with rpc:
        with pytest.raises(DeadlineExceeded):
            await rpc.client(Reflection).contract.with_options(timeout=SOON)(name_of(work))


async def test_no_answer_goes_where_replies_may_not_go(work: type[Work]) -> None:
    rpc = Rpc.in_memory(topics=Topics(reply_to={"others.replies"}))
    rpc.serve(work())
    async with rpc:
        with pytest.raises(DeadlineExceeded):
            await rpc.client(Reflection).instance.with_options(timeout=SOON)()
        log = rpc._log  # pyright: ignore[reportPrivateUsage]
        log.create("__internal", 1)
        for topic in ("__internal", name_of(work), "rpc.reflection"):
            reader = await transport_of(rpc).open_reader([TopicPartition(topic, 0)])
            headers = request_headers(topic, "instance")
            transport_of(rpc).send("rpc.reflection", 0, None, b"{}", headers, ignored, None)
            await asyncio.sleep(SOON)
            assert [r for r in await reader.fetch() if "rpc-status" in dict(r.headers)] == []
            await reader.close()


async def test_what_is_no_request_is_ignored_and_the_next_one_answered(
    rpc: Rpc, work: type[Work], caplog: pytest.LogCaptureFixture
) -> None:
    rpc.serve(work())
    async with rpc:
        for body, headers in (
            (None, []),
            (b"{}", [("correlation_id", b"1"), ("reply_to", b"rpc.replies")]),
            (b"{}", [*request_headers("rpc.replies", "contract"), ("rpc-timeout", b"x")]),
            (b"{", request_headers("rpc.replies", "contract")),
            (b"x" * 1_000_000, request_headers("rpc.replies", "contract")),
            (b"{}", request_headers("rpc.replies", "no-such-method")),
        ):
            transport_of(rpc).send("rpc.reflection", 0, None, body[:900_000] if body else body, headers, ignored, None)
        assert (await rpc.client(Reflection).contract(name_of(work))).service == name_of(work)
    assert [r for r in caplog.records if r.name == "typedrpc" and r.levelno > logging.INFO] == []


@pytest.mark.kafka
async def test_a_server_serves_where_it_may_not_read_the_topic_and_says_so(
    broker: KafkaBroker, work: type[Work], unique: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    async with Rpc(broker, topics=FEW) as maker:  # makes all other topics
        maker.serve(work())
        await maker.ready()
    missing = unique("reflection")
    rpc = Rpc(broker, create_topics=False, topics=replace(FEW, reflection=missing))
    rpc.serve(work())
    async with rpc:
        assert await rpc.client(work).twice(21) == 42
    (said,) = [r.getMessage() for r in caplog.records if "described" in r.getMessage()]
    assert missing in said
    assert "Rpc(reflection=False)" in said


def name_of(work: type[Work]) -> str:
    return contract_schema(work).service


async def instance_serving(rpc: Rpc, name: str) -> Instance:
    """Other tests' servers on the same Kafka answer too, and the first answer counts."""
    while True:
        instance = await rpc.client(Reflection).instance()
        if any(each.name == name for each in instance.services):
            return instance


def ignored(_token: object, _error: BaseException | None) -> None:
    pass


def request_headers(reply_to: str, method: str) -> list[tuple[str, bytes]]:
    return [
        ("correlation_id", b"asked"),
        ("reply_to", reply_to.encode()),
        ("reply_partition", b"0"),
        *method_headers("rpc.reflection", method),
    ]
