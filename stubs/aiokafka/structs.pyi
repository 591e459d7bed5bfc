from collections.abc import Sequence
from typing import NamedTuple

class RecordMetadata(NamedTuple):
    topic: str
    partition: int
    topic_partition: object
    offset: int
    timestamp: int
    timestamp_type: int
    log_start_offset: int | None

class ConsumerRecord:
    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
