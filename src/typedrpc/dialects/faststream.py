"""Plain FastStream: `reply_to` and `correlation_id`; the topic names the method, the body is its parameter, bare.

It knows no errors, so they are not answered: a caller would take one for a value. Its handlers answer on any partition.
Source: faststream/kafka/parser.py and faststream/message/utils.py (0.7).
"""

from __future__ import annotations

from typing import Final

from typedrpc.dialects.convention import Convention

FASTSTREAM: Final = Convention(
    name="faststream",
    reserved="",
    correlation="correlation_id",
    reply_topic="reply_to",
    null=False,
    null_request=False,
    content_types=True,
)
