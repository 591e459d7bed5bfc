"""What all tests share: a real Kafka where there is one, and names that no other test uses."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator
from uuid import uuid4

import pytest
from faststream.kafka import KafkaBroker

from hostile_scene import allow_list as allow_list
from hostile_scene import scene as scene
from real_kafka import FEW, KAFKA
from typedrpc import Limits, Rpc
from typedrpc.client import _started  # pyright: ignore[reportPrivateUsage]
from work_service import Work


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if KAFKA:
        return
    for item in items:
        if "kafka" in item.keywords:
            item.add_marker(
                pytest.mark.skip(reason="needs a real Kafka: set TYPEDRPC_KAFKA, or use scripts/kafka.py run")
            )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not KAFKA:
        terminalreporter.section(
            "NO KAFKA: every test on a real Kafka was SKIPPED (TYPEDRPC_KAFKA is not set)", red=True
        )


def pytest_sessionstart(session: pytest.Session) -> None:
    if not KAFKA and os.environ.get("CI") == "true":
        pytest.exit(
            "CI without a Kafka: the tests that matter most would be skipped (set TYPEDRPC_KAFKA)", returncode=3
        )


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name for a service or topic that no earlier run left anything on."""
    return lambda name: f"{name}-{uuid4().hex[:10]}"


@pytest.fixture
def kafka() -> str:
    """Bootstrap servers of the real Kafka; the test also needs `@pytest.mark.kafka`."""
    if not KAFKA:
        pytest.skip("needs a real Kafka")
    return KAFKA


@pytest.fixture
def broker(kafka: str) -> KafkaBroker:
    """A FastStream broker on the real Kafka, not connected."""
    return KafkaBroker(kafka, logger=None)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def make_rpc(request: pytest.FixtureRequest) -> Callable[..., Rpc]:
    """Makes an Rpc in memory, and in a second run of the test one on the real Kafka."""

    def make(*, timeout: float = 10.0, limits: Limits | None = None) -> Rpc:
        if request.param == "memory":
            return Rpc.in_memory(timeout=timeout, topics=FEW, limits=limits)
        return Rpc(KafkaBroker(KAFKA, logger=None), timeout=timeout, topics=FEW, limits=limits)

    return make


@pytest.fixture
def rpc(make_rpc: Callable[..., Rpc]) -> Rpc:
    """An Rpc that is not started: in memory, and in a second run on the real Kafka."""
    return make_rpc()


@pytest.fixture
def sasl() -> str:
    """The address of the real Kafka's SASL/PLAIN listener (alice, alice-secret)."""
    address = os.environ.get("TYPEDRPC_KAFKA_SASL", "")
    if not address:
        pytest.skip("this Kafka has no SASL listener (TYPEDRPC_KAFKA_SASL is not set)")
    return address


@pytest.fixture
def named(unique: Callable[[str], str]) -> Callable[[], type[Work]]:
    """Makes a service that no other test has."""

    def make() -> type[Work]:
        class Named(Work, service=unique("work")):
            pass

        return Named

    return make


@pytest.fixture
def work(named: Callable[[], type[Work]]) -> type[Work]:
    return named()


@pytest.fixture(autouse=True)
def no_rpc_left_running() -> Generator[None]:
    """A test that leaves an Rpc running fails itself, and not one of those after it."""
    before = [*_started]  # those of a whole module
    yield
    left = [rpc for rpc in _started if rpc not in before]
    _started[:] = before
    assert not left, left


@pytest.fixture
async def no_task_left_running() -> AsyncGenerator[None]:
    """Unclosed producers and consumers raise ResourceWarnings by themselves; tasks do not."""
    before = asyncio.all_tasks()
    yield
    until = time.monotonic() + 5
    while left := [t for t in asyncio.all_tasks() - before if not t.done() and t is not asyncio.current_task()]:
        assert time.monotonic() < until, left
        await asyncio.sleep(0.05)
