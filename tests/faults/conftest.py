from __future__ import annotations

import gc
from collections.abc import Generator

import pytest


@pytest.fixture(autouse=True)
def garbage_collected() -> Generator[None]:
    """What a test leaves to the garbage collector warns within that test, which may ignore it, and not in a later one."""
    yield
    gc.collect()
