"""The log in memory joined to a FastStream broker under TestKafkaBroker: plain subscribers and publishers take part."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typedrpc.transport import GroupListener, GroupReader, Reader, Sent, TopicPartition
from typedrpc.transport.memory import MemoryLog, MemoryTransport
from typedrpc.wire import Header

if TYPE_CHECKING:
    from faststream.kafka import KafkaBroker, KafkaMessage

_log = logging.getLogger("typedrpc")

_STOP_WAIT = 1.0  # seconds that plain subscribers get to end


class BridgedTransport(MemoryTransport):
    """What is read here comes from the broker too; what nobody here reads goes to the broker's subscribers."""

    def __init__(self, log: MemoryLog, broker: KafkaBroker) -> None:
        super().__init__(log)
        self._broker = broker
        self._read_here: dict[str, Any] = {}  # topic → the subscriber that forwards; the broker holds it weakly
        self._publishing: set[asyncio.Task[None]] = set()

    async def open_reader(self, partitions: Sequence[TopicPartition]) -> Reader:
        """As `Transport.open_reader`."""
        for topic in dict.fromkeys(at.topic for at in partitions):
            await self._forward(topic)
        return await super().open_reader(partitions)

    async def join_group(self, group: str, topics: Sequence[str], listener: GroupListener) -> GroupReader:
        """As `Transport.join_group`."""
        for topic in topics:
            await self._forward(topic)
        return await super().join_group(group, topics, listener)

    async def stop(self) -> None:
        """Forgets the broker."""
        if self._publishing:
            await asyncio.wait(self._publishing, timeout=_STOP_WAIT)
        for publishing in self._publishing:  # a plain subscriber that still runs
            publishing.cancel()
        await asyncio.gather(*self._publishing, return_exceptions=True)
        subscribers: Any = self._broker._subscribers  # pyright: ignore  # there is no public way to take one back
        for subscriber in self._read_here.values():
            await subscriber.stop()
            subscribers.discard(subscriber)  # held weakly, yet in cycles: the broker would still start it
        self._read_here.clear()

    def send(
        self,
        topic: str,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header],
        sent: Sent,
        token: Any,
        *,
        durable: bool = False,
    ) -> None:
        """As `Transport.send`."""
        if topic in self._read_here:
            super().send(topic, partition, key, value, headers, sent, token, durable=durable)
            return
        publishing = asyncio.get_running_loop().create_task(self._publish(topic, key, value, headers))
        self._publishing.add(publishing)
        publishing.add_done_callback(self._publishing.discard)
        asyncio.get_running_loop().call_soon(sent, token, None)

    async def _publish(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> None:
        text = {name: content.decode() for name, content in headers}
        correlation_id, reply_to = text.get("correlation_id"), text.pop("reply_to", "")
        try:
            await self._broker.publish(
                value, topic, key=key, headers=text, correlation_id=correlation_id, reply_to=reply_to
            )
        except Exception:  # noqa: BLE001  # a plain subscriber's failure is silence to its caller, as on a real Kafka
            _log.warning("a plain subscriber of %r failed", topic, exc_info=True)

    async def _forward(self, topic: str) -> None:
        if topic in self._read_here:
            return
        subscriber: Any = self._broker.subscriber(topic, no_reply=True, persistent=False)

        async def forward(message: KafkaMessage) -> None:
            record: Any = message.raw_message
            count = self.log.partition_count(topic) or 1
            self.log.append(
                TopicPartition(topic, record.partition % count), record.key or None, record.value, list(record.headers)
            )

        forward.__annotations__["message"] = _message_class()
        subscriber(forward)
        self._read_here[topic] = subscriber
        await self._broker.start()  # under TestKafkaBroker: starts what was added since, connects to nothing


def _message_class() -> Any:
    from faststream.kafka import KafkaMessage  # FastStream injects by the class itself

    return KafkaMessage
