"""NestJS: `ClientKafka`, `@MessagePattern` and `@EventPattern`.

Spring's headers, with partitions in decimal digits. Texts are raw, objects JSON. Its client waits for the header
`kafka_nest-is-disposed`, and rejects with what `kafka_nest-err` says, as JSON where that begins like it.
Source: nest packages/microservices/enums/kafka-headers.enum.ts, server/server-kafka.ts (12).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from typedrpc.dialects.convention import MOST_TEXT, Convention, Found, error_body, read_decimal, text_header, text_of
from typedrpc.errors import RpcError
from typedrpc.wire import Header

_ERROR: Final = "kafka_nest-err"


def _refusal(error: RpcError, body: bytes) -> Sequence[Header]:
    told = {"status": "error", "code": error.code.value, **json.loads(body)}
    text = json.dumps(told, ensure_ascii=False)
    if len(text.encode()) > MOST_TEXT:
        text = json.dumps({"status": "error", "code": error.code.value, "message": error.message[: MOST_TEXT // 8]})
    return [text_header(_ERROR, text)]


def _refused(found: Found) -> bytes | None:
    value = found.get(_ERROR)
    if not value:  # Nest's own clients take an empty one for none
        return None
    text = text_of(value)
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return error_body(text)
    if isinstance(told, dict) and isinstance(cast("dict[str, Any]", told).get("message"), str):
        return value
    return error_body(text)


NESTJS: Final = Convention(
    name="nestjs",
    reserved="kafka_",
    correlation="kafka_correlationId",
    reply_topic="kafka_replyTopic",
    reply_partition="kafka_replyPartition",
    read_partition=read_decimal,
    write_partition=lambda number: b"%d" % number,
    told_by_partition=True,
    last=(("kafka_nest-is-disposed", b"\x00"),),
    null_request=False,  # its handler would be given the whole of Kafka's message
    refusal=_refusal,
    refused=_refused,
)
