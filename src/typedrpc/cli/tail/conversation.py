"""Requests and replies as they are read, matched by correlation id. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from pydantic import JsonValue
from pydantic_core import from_json

from typedrpc.dialects import foreign_correlation_of
from typedrpc.errors import Status
from typedrpc.transport import Record
from typedrpc.wire import Malformed, correlation_of, parse_request, parse_response

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. `time` is milliseconds since 1970; `method` is `service/method`, or a foreign dialect's name.

    `problem` says why the record is no request, and is empty where it is one.
    """

    time: int
    place: str
    method: str
    correlation_id: str
    metadata: dict[str, str]
    body: JsonValue
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A reply, with the request that it answers; `time` as there."""

    request: Asked
    time: int
    status: Status
    metadata: dict[str, str]
    body: JsonValue


class Conversation:
    """Holds the newest 10,000 requests until their replies come."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, Asked] = OrderedDict()

    def request(self, record: Record) -> Asked:
        """What was read from the topic of a service."""
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        try:
            found = parse_request(record.headers)
        except Malformed as error:
            id_ = (correlation_of(record.headers) or b"").decode(errors="replace")
            body = body_of(record)
            return Asked(
                time=record.timestamp,
                place=place,
                method="",
                correlation_id=id_,
                metadata={},
                body=body,
                problem=str(error),
            )
        asked = Asked(
            time=record.timestamp,
            place=place,
            method=f"{found.service}/{found.method}" if found.service else f"{record.topic} ({found.foreign})",
            correlation_id=found.correlation_id.decode(errors="replace"),
            metadata=found.metadata,
            body=body_of(record),
        )
        if found.reply is not None:
            self._open[found.correlation_id] = asked
            if len(self._open) > _KEPT:
                self._open.popitem(last=False)
        return asked

    def reply(self, record: Record) -> Answered | None:
        """None for the reply to a request that was not seen."""
        id_ = correlation_of(record.headers) or foreign_correlation_of(record.headers) or b""
        request = self._open.pop(id_, None)
        if request is None:
            return None
        response = parse_response(record.headers)
        return Answered(
            request=request,
            time=record.timestamp,
            status=response.status,
            metadata=response.metadata,
            body=body_of(record),
        )


def body_of(record: Record) -> JsonValue:
    """The body where it is JSON, else its text."""
    try:
        value: JsonValue = from_json(record.value) if record.value else None
    except ValueError:
        return (record.value or b"").decode(errors="replace")
    return value
