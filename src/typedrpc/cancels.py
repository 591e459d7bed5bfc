"""Cancels: a client says that nobody waits for a reply any more, and servers stop or skip the request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from typedrpc.config import Topics
from typedrpc.reading import Broadcast
from typedrpc.transport import Record
from typedrpc.wire import Address, parse_cancel

_KEPT = 10_000
_KEPT_FOR = 60_000  # milliseconds that a cancel waits for a request that is still queued, where it does not say


class Cancelled:
    """Cancels of requests not seen yet, bounded by number and time. Pure: `now` is given."""

    def __init__(self) -> None:
        self._until: OrderedDict[Address, float] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def add(self, address: Address, until: float, now: float) -> None:
        """Remembers the cancel until its request has expired, and forgets what is too old or too much."""
        self._until[address] = until
        while self._until and (len(self._until) > _KEPT or next(iter(self._until.values())) < now):
            self._until.popitem(last=False)

    def has(self, address: Address, now: float) -> bool:
        """Whether the request was cancelled. It may come again: Kafka's clients write it twice where in doubt."""
        return self._until.get(address, 0.0) >= now


def cancel_inbox(topics: Topics, cancel: Callable[[Address, float], None], *, create: bool) -> Broadcast:
    """Reads the cancels of all clients, for so many seconds each. One that is missed costs a handler's time, up to its
    deadline.
    """

    def take(records: Sequence[Record]) -> None:
        for record in records:
            found = parse_cancel(record.headers)
            if found is not None:
                address, timeout_ms = found
                cancel(address, (_KEPT_FOR if timeout_ms is None else timeout_ms) / 1000)

    return Broadcast(topics.cancel_topic(), take, create=create)
