"""`topics plan` and `topics apply`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_runs import Command
from typedrpc.cli.topics import plan
from typedrpc.transport import TopicSpec

MODULE = """
import os
from faststream.kafka import KafkaBroker
from typedrpc import Rpc, Service, Topics, service

class Work(Service, service=os.environ["NAME"]):
    @service.method
    async def do(self) -> None: ...
    @service.method(topic=os.environ["NAME"] + ".other")
    async def other(self) -> None: ...

name = os.environ["NAME"]
topics = Topics(replies=name + ".replies", cancels=name + ".cancels", reflection=name + ".reflection",
                request_partitions=3, reply_partitions=2)
rpc = Rpc(KafkaBroker(os.environ["TYPEDRPC_KAFKA"], logger=None), topics=topics)
rpc.serve(Work())
memory = Rpc.in_memory()
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    (tmp_path / "elsewhere" / "planned.py").write_text(MODULE)
    return "planned:rpc"


@pytest.mark.kafka
def test_apply_makes_what_plan_says_is_missing(
    kafka: str, run: Command, module: str, name: str, tmp_path: Path
) -> None:
    before = run("topics", "plan", module, NAME=name)
    assert before.code == 0, before.err
    assert before.out.splitlines() == [
        f"+ {name}: 3 partitions, message.timestamp.type=LogAppendTime",
        f"+ {name}.other: 3 partitions, message.timestamp.type=LogAppendTime",
        *(
            f"+ {name}.{topic}, message.timestamp.type=LogAppendTime, retention.ms=3600000, segment.ms=600000"
            for topic in ("replies: 2 partitions", "cancels: 1 partition", "reflection: 1 partition")
        ),
    ]
    assert run("topics", "plan", module, NAME=name).out == before.out  # it made nothing
    assert run("topics", "apply", module, NAME=name).out == before.out
    (tmp_path / "elsewhere" / "planned.py").write_text(f"print('loading')\n{MODULE}")
    after = json.loads(run("topics", "plan", module, "--json", NAME=name).out)
    assert {step["sign"] for step in after} == {"="}
    assert len(after) == 5


def test_what_differs_is_said_and_left_alone() -> None:
    needed = TopicSpec(name="t", partitions=12, config={"message.timestamp.type": "LogAppendTime"})
    (few,) = plan([needed], {"t": TopicSpec(name="t", partitions=3, config=needed.config)})
    assert few == ("~", "t", "it has 3 partitions, not 12")
    (clock,) = plan(
        [needed], {"t": TopicSpec(name="t", partitions=12, config={"message.timestamp.type": "CreateTime"})}
    )
    assert clock == ("~", "t", "its message.timestamp.type is CreateTime, not LogAppendTime")


def test_an_rpc_in_memory_needs_none(run: Command, module: str) -> None:
    done = run("topics", "plan", "planned:memory", NAME="n", TYPEDRPC_KAFKA="127.0.0.1:1")
    assert (done.code, done.err) == (2, "typedrpc: this Rpc is in memory: it needs no topics of Kafka\n")


def test_an_rpc_without_reflection_does_not_need_its_topic() -> None:
    from typedrpc import Rpc

    names = [{t.name for t in Rpc.in_memory(reflection=on).required_topics} for on in (True, False)]
    assert names[0] - names[1] == {"rpc.reflection"}
