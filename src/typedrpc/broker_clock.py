"""The broker's clock as a server judges deadlines by it: known before the first request, and asked again in doubt."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from typedrpc.transport import Transport

_log = logging.getLogger("typedrpc")

_FRESH = 1.0  # seconds
_TIMEOUT = 2.0  # seconds that an acknowledgement may take


class BrokerClock:
    """Every acknowledgement tells the broker's time; where none came for a while, a record without headers on the
    topic of cancels, where nobody takes it for one, asks for it.
    """

    def __init__(self, transport: Transport, topic: str) -> None:
        self._transport = transport
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._checked = float("-inf")
        self._warned = False

    @property
    def fresh(self) -> bool:
        """Whether it was asked within the last second: a clock that was set meanwhile must expire nobody's call."""
        return self._loop.time() < self._checked + _FRESH

    def now(self) -> float | None:
        """As `Transport.broker_time`."""
        return self._transport.broker_time()

    async def check(self) -> None:
        """Asks the broker, for at most two seconds; what was known before counts on where it does not answer."""
        acknowledged: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._transport.send(self._topic, 0, None, None, [], _settle, acknowledged)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                error = await acknowledged
                if error is not None and not self._warned:
                    self._warned = True
                    text = "deadlines count from receipt until a reply is written: the broker's time is not told: %s"
                    _log.warning(text, error)
        self._checked = self._loop.time()


def _settle(acknowledged: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not acknowledged.done():
        acknowledged.set_result(error)
