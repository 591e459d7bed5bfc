"""Which partition a keyless call goes to. Pure."""

from __future__ import annotations

from collections.abc import Set


class Balance:
    """Outstanding calls of each partition of one topic.

    The choice is the partition with the fewest, ties rotating: a dead or a full server gets little. Whoever chooses
    keeps one choice for a whole tick of the event loop, which makes large batches.
    """

    __slots__ = ("_next", "outstanding")

    def __init__(self, partitions: int) -> None:
        self.outstanding: list[int] = [0] * partitions
        self._next = 0

    def choose(self) -> int:
        """The partition with the fewest outstanding calls, at or after the last choice's successor."""
        outstanding, start = self.outstanding, self._next
        fewest = min(outstanding)
        try:
            choice = outstanding.index(fewest, start)
        except ValueError:
            choice = outstanding.index(fewest)
        self._next = (choice + 1) % len(outstanding)
        return choice

    def choose_other(self, tried: Set[int]) -> int:
        """The one with the fewest outstanding calls that is not in `tried`, where there is one."""
        outstanding = self.outstanding
        untried = [p for p in range(len(outstanding)) if p not in tried]
        return min(untried or range(len(outstanding)), key=outstanding.__getitem__)
