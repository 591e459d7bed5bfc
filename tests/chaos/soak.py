"""Whether memory grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

_PAGE_KIB = 4
_EVERY = 5.0


class Memory:
    """Resident memory of processes, sampled every five seconds."""

    def __init__(self) -> None:
        self._samples: dict[str, list[int]] = {}
        self._next = 0.0

    def sample(self, processes: Sequence[Any]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        for process in processes:
            pages = Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]
            self._samples.setdefault(process.name, []).append(int(pages) * _PAGE_KIB)

    def growth(self) -> dict[str, tuple[float, float]]:
        """Of each process: MiB at the end, and by which share that is more than after the first fifth.

        Each is the mean of a twentieth of the samples.
        """
        return {name: _growth(samples) for name, samples in self._samples.items()}


def _growth(samples: Sequence[int]) -> tuple[float, float]:
    window = max(1, len(samples) // 20)
    fifth = len(samples) // 5
    before, after = mean(samples[fifth : fifth + window]), mean(samples[-window:])
    return after / 1024, after / before - 1
