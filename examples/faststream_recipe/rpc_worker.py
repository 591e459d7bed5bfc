"""The recipe of FastStream's documentation for RPC over Kafka: https://faststream.ag2.ai/latest/howto/kafka/rpc/"""

from asyncio import Future, wait_for
from uuid import uuid4

from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.types import SendableMessage


class RPCWorker:
    """Publishes requests, and matches the records of its own reply topic with them by correlation id."""

    def __init__(self, broker: KafkaBroker, reply_topic: str) -> None:
        self.responses: dict[str, Future[bytes]] = {}
        self.broker = broker
        self.reply_topic = reply_topic
        self.subscriber = broker.subscriber(reply_topic)
        self.subscriber(self._handle_response)

    async def start(self) -> None:
        """Only for a worker that is made when the broker runs already."""
        await self.subscriber.start()

    async def stop(self) -> None:
        await self.subscriber.stop()

    async def request(self, data: SendableMessage, topic: str, timeout: float = 10.0) -> bytes:
        correlation_id = str(uuid4())
        future = self.responses[correlation_id] = Future[bytes]()
        await self.broker.publish(data, topic, reply_to=self.reply_topic, correlation_id=correlation_id)
        try:
            return await wait_for(future, timeout)
        except TimeoutError:
            self.responses.pop(correlation_id, None)
            raise

    async def _handle_response(self, msg: KafkaMessage) -> None:
        if future := self.responses.pop(msg.correlation_id or "", None):
            future.set_result(msg.body)
