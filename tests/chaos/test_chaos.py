"""A short run of the harness: a minute of steady calls, and one of each sort of fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.__main__ import report, run
from chaos.schedule import Kind

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

KINDS = [Kind.KILL_SERVER, Kind.KILL_BROKER, Kind.KILL_CLIENT, Kind.REBALANCES, Kind.DELETE_REPLIES, Kind.FETCH_SERVER]


async def test_every_promise_holds_while_processes_brokers_and_topics_fail(kafka: str, tmp_path: Path) -> None:
    verdict, felt = await run(seed=7, calls=6_000, rate=120, at_once=0, kinds=KINDS, folder=tmp_path, every=7)
    report(verdict, felt)
    assert verdict.violations == {}
    assert {fault.kind for fault, _ in felt} == set(KINDS)
    assert verdict.outcomes["OK"] > verdict.calls / 2
