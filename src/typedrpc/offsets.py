"""Which offset of a partition may be committed. Pure: no Kafka, no clock."""

from __future__ import annotations


class Offsets:
    """Of one partition, from the first record fetched after an assignment.

    `committable` is the offset that the next reader should start at: everything before it is finished, nothing that
    is unfinished lies before it. Offsets that never appear (compacted, aborted) count as finished once a later record
    was seen.
    """

    __slots__ = ("_ahead", "_jumps", "_seen", "committable")

    def __init__(self, first: int) -> None:
        self.committable: int = first
        self._seen = first  # the next offset expected to be seen
        self._ahead: set[int] = set()  # finished, behind something unfinished
        self._jumps: dict[int, int] = {}  # first missing offset → the one after the gap

    def see(self, offset: int) -> bool:
        """Notes a fetched record; False where it was seen before, so that it is not run twice."""
        if offset < self._seen:
            return False
        if offset > self._seen:
            self._jumps[self._seen] = offset
            if self.committable == self._seen:
                self._advance()
        self._seen = offset + 1
        return True

    def finish(self, offset: int) -> None:
        """Notes that nothing is owed any more for this record, which was seen and not finished before."""
        if offset == self.committable:
            self.committable = offset + 1
            if self._ahead or self._jumps:
                self._advance()
        elif offset > self.committable:
            self._ahead.add(offset)

    def _advance(self) -> None:
        at, ahead, jumps = self.committable, self._ahead, self._jumps
        while True:
            if at in ahead:
                ahead.remove(at)
                at += 1
            elif at in jumps:
                at = jumps.pop(at)
            else:
                break
        self.committable = at
