"""Spring Kafka: `ReplyingKafkaTemplate`, and `@KafkaListener` with `@SendTo`.

An error is a null body, which no deserializer sees, and the two headers that a reply error checker can read.
Source: spring-kafka requestreply/ReplyingKafkaTemplate.java, support/KafkaHeaders.java (4.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from typedrpc.dialects.convention import (
    Convention,
    Found,
    error_body,
    text_header,
    text_of,
)
from typedrpc.errors import RpcError
from typedrpc.wire import Header

_CLASS: Final = "kafka_exception-fqcn"
_MESSAGE: Final = "kafka_exception-message"


def _refusal(error: RpcError, _body: bytes) -> Sequence[Header]:
    return text_header(_CLASS, f"typedrpc.{type(error).__name__}"), text_header(_MESSAGE, error.message)


def _refused(found: Found) -> bytes | None:
    if _CLASS not in found and _MESSAGE not in found:
        return None
    return error_body(text_of(found.get(_MESSAGE)) or text_of(found.get(_CLASS)))


SPRING: Final = Convention(
    name="spring",
    reserved="kafka_",
    correlation="kafka_correlationId",
    reply_topic="kafka_replyTopic",
    reply_partition="kafka_replyPartition",
    json_mark="__TypeId__",
    refusal=_refusal,
    refused=_refused,
)
