"""Asks all server processes at once, and collects what they answer."""

from __future__ import annotations

import asyncio
import random
import secrets

from pydantic import ValidationError

from typedrpc.config import Topics
from typedrpc.errors import Status
from typedrpc.reflection import Instance
from typedrpc.transport import TopicPartition, Transport, TransportError
from typedrpc.wire import correlation_of, method_headers, reply_headers, status_of

WAIT = 1.0  # seconds in which servers may answer, where nobody says otherwise


async def instances(transport: Transport, topics: Topics, seconds: float) -> list[Instance]:
    """Every process that answers within so many seconds. Raises TransportError where nobody could be asked."""
    asked = [topics.reply_topic(), topics.reflection_topic()]
    counts = await transport.ensure_topics(asked, create=True)
    partition = random.randrange(counts[topics.replies])  # noqa: S311  # spreads, hides nothing
    correlation_id = secrets.token_hex(16).encode()
    headers = [
        ("correlation_id", correlation_id),
        *reply_headers(topics.replies, partition),
        *method_headers("rpc.reflection", "instance"),
    ]
    found: dict[str, Instance] = {}
    written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reader = await transport.open_reader([TopicPartition(topics.replies, partition)])
    try:
        transport.send(topics.reflection, 0, None, b"{}", headers, _written, written)
        async with asyncio.timeout(seconds + 5):
            await written
        async with asyncio.timeout(seconds):
            while True:
                for record in await reader.fetch():
                    if correlation_of(record.headers) == correlation_id and status_of(record.headers) is Status.OK:
                        _add(record.value or b"", found)
    except TimeoutError:
        if not written.done() or written.cancelled():
            raise TransportError(f"{topics.reflection}: the question could not be written in time") from None
    finally:
        await reader.close()
    return list(found.values())


def _add(body: bytes, found: dict[str, Instance]) -> None:
    try:
        instance = Instance.model_validate_json(body)
    except ValidationError:
        return  # anybody who may write replies can write anything
    found[instance.id] = instance


def _written(written: asyncio.Future[None], error: BaseException | None) -> None:
    if not written.done():
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
