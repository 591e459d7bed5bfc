from collections.abc import Collection

from . import TopicPartition

class AbstractTokenProvider:
    async def token(self) -> str: ...

class ConsumerRebalanceListener:
    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None: ...
    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None: ...
