"""Plain FastStream: `reply_to` and `correlation_id`; the topic names the method, the body is its parameter, bare.

Source: faststream/kafka/parser.py and faststream/message/utils.py (0.7).
"""

from __future__ import annotations

from collections.abc import Sequence

from typedrpc.wire import Header


def request_headers(content_type: str) -> tuple[Header, ...]:
    """Those of a request to a plain FastStream handler besides its reply address and correlation id."""
    return (("content-type", content_type.encode()),) if content_type else ()


def response_headers(correlation_id: bytes, content_type: str, metadata: Sequence[Header] = ()) -> list[Header]:
    """Those of a reply to a plain FastStream client. FastStream knows no status: errors are never answered."""
    return [("correlation_id", correlation_id), *request_headers(content_type), *metadata]
