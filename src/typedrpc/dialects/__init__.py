"""The conventions of other frameworks: pure mappings of frames ⇄ headers and bodies."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from typedrpc.dialects.convention import Convention
from typedrpc.dialects.faststream import FASTSTREAM
from typedrpc.dialects.nestjs import NESTJS
from typedrpc.dialects.smallrye import SMALLRYE
from typedrpc.dialects.spring import SPRING
from typedrpc.wire import Malformed, Request, WireHeaders, metadata_of

CONVENTIONS: Final[Mapping[str, Convention]] = {c.name: c for c in (FASTSTREAM, SMALLRYE, NESTJS, SPRING)}
"""By the names that contracts give as `dialect=`."""

_MARKED = (SMALLRYE, NESTJS, SPRING)  # NestJS before Spring: they share headers, but for how a partition is written
_CORRELATIONS = frozenset(c.correlation for c in _MARKED)


def foreign_request(headers: WireHeaders, plain: Request, spoken: Set[str]) -> Request:
    """What a request without `rpc-protocol` is, of which `parse_request` made `plain`. Raises Malformed.

    A request without the headers of any framework is FastStream's: an event, in whatever dialect its method has.
    """
    found = dict(headers[::-1])
    marked = None if "reply_to" in found else next((c for c in _MARKED if c.claims(found)), None)
    name = marked.name if marked else plain.foreign
    if name not in spoken and (marked or plain.reply or not spoken):
        raise Malformed(f"a request in the dialect of {name}, which is not spoken here")
    if marked is None:
        return plain
    correlation_id, reply, content_type = marked.take(found)
    return Request(name, "", "", correlation_id, reply, None, content_type, metadata_of(found))


def foreign_correlation_of(headers: WireHeaders) -> bytes | None:
    """The correlation id of a reply that has none of protocol 1; b"" and null ones are None."""
    for name, value in headers:
        if name in _CORRELATIONS:
            return value or None
    return None
