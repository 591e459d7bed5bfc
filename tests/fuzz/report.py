"""What befell a service under fire, and the watch over what must not happen."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

GROWTH = 5000
"""Objects; what comes and goes by itself is less."""


class HandlersOwn(Exception):
    """What a handler raises by itself is logged with its traceback, as it must."""


@dataclass
class Report:
    """`wrong` holds what must never happen; `objects` that the garbage collector knows are counted at even distances."""

    thrown: Counter[str] = field(default_factory=Counter[str])
    answered: Counter[str] = field(default_factory=Counter[str])
    counted: Counter[str] = field(default_factory=Counter[str])
    forged: Counter[str] = field(default_factory=Counter[str])
    logged: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    objects: list[int] = field(default_factory=list[int])
    resident_mb: list[int] = field(default_factory=list[int])
    real_calls: int = 0
    slowest_call: float = 0.0
    seconds: float = 0.0

    @property
    def growth(self) -> int:
        """Objects in the last three tenths over those in the three before, when every cache was full already."""
        return (sum(self.objects[-3:]) - sum(self.objects[-6:-3])) // 3


class _Watched(logging.Handler):
    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        what = "a handler's own" if isinstance(error, HandlersOwn) else str(record.msg)[:60]
        self._report.logged[f"{record.levelname} {what}"] += 1
        if record.levelno >= logging.ERROR and not isinstance(error, HandlersOwn):
            self._report.wrong.append(f"logged: {record.getMessage()[:300]}: {error!r}")


class watched:  # a context manager
    """Keeps what is logged and what reaches the loop's exception handler."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._handler = _Watched(report)
        self._loggers = [logging.getLogger(name) for name in ("typedrpc", "asyncio")]

    def __enter__(self) -> None:
        for logger in self._loggers:
            logger.addHandler(self._handler)
            logger.propagate = False
        asyncio.get_running_loop().set_exception_handler(self._uncaught)

    def __exit__(self, *exc: object) -> None:
        gc.collect()  # tasks whose error nobody asked for say so
        for logger in self._loggers:
            logger.removeHandler(self._handler)
            logger.propagate = True
        asyncio.get_running_loop().set_exception_handler(None)

    def _uncaught(self, _loop: object, context: dict[str, Any]) -> None:
        self._report.wrong.append(f"uncaught: {context.get('message')}: {context.get('exception')!r}")
