"""How commands run that make or serve many calls."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_YOUNG = 5000  # objects, in place of Python's 700: a call leaves a few for as long as it waits


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end, on uvloop where that is installed."""
    if (
        importlib.util.find_spec("uvloop") is None
    ):  # an extra; what is raised here would be a cause of what a handler raises
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)


def collect_less() -> None:
    """What was imported stays: full collections, a tenth of a busy server's time, need not walk it. Young ones, each
    for as many calls as wait at once, take a twentieth; where an app has chosen for itself to have fewer, it has."""
    gc.collect()
    gc.freeze()
    if 0 < gc.get_threshold()[0] < _YOUNG:
        gc.set_threshold(_YOUNG)
