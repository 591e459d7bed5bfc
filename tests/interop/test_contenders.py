"""The contenders of the benchmarks in other languages: a sample of each work, in a closed and an open loop."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from benchmarks.children import Child
from benchmarks.peers import CONTENDERS, command, missing
from benchmarks.samples import Sample
from benchmarks.work import WAIT, WORKS

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module", params=[name for name, peer in CONTENDERS.items() if peer.program])
def pair(request: pytest.FixtureRequest) -> Generator[tuple[Child, Child]]:
    name: str = request.param
    assert missing(CONTENDERS[name]) is None
    environment = {**os.environ, "BENCH_NAME": f"bench-{uuid4().hex[:8]}"}
    with ExitStack() as stack:
        children: list[Child] = []
        for role in ("server", "client"):
            child = Child(f"the {role} of {name}", command(name, role), environment)
            stack.callback(child.stop)
            assert child.wait_ready() == "ready"
            children.append(child)
        yield children[0], children[1]


@pytest.mark.parametrize("work", WORKS)
def test_a_program_answers_with_a_sample_as_contenders_in_python_do(pair: tuple[Child, Child], work: str) -> None:
    server, client = pair
    before = server.ask("cpu", 10)
    sample = client.ask({"work": work, "at_once": 20, "seconds": 3.0, "rate": None}, 30)
    assert sample.keys() == Sample.__annotations__.keys()
    assert (sample["errors"], sample["error"], sample["late"]) == (0, None, False)
    assert sample["calls"] > 20
    assert sample["p50"] > (WAIT * 1000 if work == "waiting" else 0)
    assert sample["p50"] <= sample["p99"] < sample["seconds"] * 1000
    assert sample["calls"] * sample["p50"] < 2.2 * 20 * sample["seconds"] * 1000  # 20 at once, no more
    assert sample["cpu"] > 0
    assert server.ask("cpu", 10) > before


def test_a_program_makes_the_calls_of_an_open_loop(pair: tuple[Child, Child]) -> None:
    sample = pair[1].ask({"work": "small", "at_once": 0, "seconds": 2.0, "rate": 25.0}, 30)
    assert (sample["calls"], sample["errors"]) == (50, 0)
    assert 1.9 < sample["seconds"] < 5
    assert sample["p999"] is None
