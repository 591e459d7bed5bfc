"""SmallRye Reactive Messaging: `KafkaRequestReply`, and handlers with `@Incoming` and `@Outgoing`.

An error is a null body and the header `REPLY_ERROR`, which a `ReplyFailureHandler` of the client reads.
Source: smallrye-reactive-messaging kafka/reply/KafkaRequestReply.java (4.28).
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

_ERROR: Final = "REPLY_ERROR"


def _refusal(error: RpcError, _body: bytes) -> Sequence[Header]:
    return [text_header(_ERROR, error.message or error.code.value)]


def _refused(found: Found) -> bytes | None:
    return error_body(text_of(found[_ERROR])) if _ERROR in found else None


SMALLRYE: Final = Convention(
    name="smallrye",
    reserved="REPLY_",
    correlation="REPLY_CORRELATION_ID",
    reply_topic="REPLY_TOPIC",
    reply_partition="REPLY_PARTITION",
    refusal=_refusal,
    refused=_refused,
)
