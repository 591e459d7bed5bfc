"""Requests of one client to one method differ in two headers: the others are parsed once. Pure."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from typedrpc.dialects import CONVENTIONS, foreign_request
from typedrpc.wire import MAX_CORRELATION_ID, Address, Request, WireHeaders, parse_request

_FEWEST: Final = 6  # headers of a request that wants a reply
_MOST_KNOWN: Final = 1024
_MOST_BYTES: Final = 1024  # of the headers that one of the known ones is recognized by
_DIGITS: Final = 15  # of a time-out; more are for `parse_request` to judge


class RequestParser:
    """`parse_request` for one reader of many requests.

    What lies between `correlation_id` and `rpc-timeout`, as this library's clients order them, is remembered, where it
    holds no metadata. What lacks the headers of protocol 1 is looked at for those of `dialects`.
    """

    def __init__(self, dialects: Set[str] = CONVENTIONS.keys()) -> None:
        self._dialects = dialects
        self._known: dict[WireHeaders, Request] = {}

    def parse(self, headers: WireHeaders) -> Request:
        """As `parse_request`; raises Malformed. A list of headers is not recognized, only a tuple is."""
        if headers.__class__ is not tuple or len(headers) < _FEWEST:
            return self._parse(headers)
        first, last = headers[0], headers[-1]
        if first[0] != "correlation_id" or last[0] != "rpc-timeout":
            return self._parse(headers)
        common = headers[1:-1]
        known = self._known.get(common)
        if known is None:
            request = self._parse(headers)
            self._learn(common, request)
            return request
        correlation_id, timeout = first[1], last[1]
        if not correlation_id or len(correlation_id) > MAX_CORRELATION_ID:
            return self._parse(headers)  # which says what is wrong
        if not timeout or not timeout.isdigit() or len(timeout) > _DIGITS:
            return self._parse(headers)
        _, service, method, _, address, _, content_type, _ = known
        assert address is not None
        reply = Address(correlation_id, address.topic, address.partition)
        return Request("", service, method, correlation_id, reply, int(timeout), content_type, {})

    def _parse(self, headers: WireHeaders) -> Request:
        request = parse_request(headers)
        return foreign_request(headers, request, self._dialects) if request.foreign else request

    def _learn(self, common: WireHeaders, request: Request) -> None:
        if request.foreign or request.reply is None or request.metadata:
            return
        if any(name in ("correlation_id", "rpc-timeout") for name, _ in common):  # the first of repeated ones counts
            return
        if sum(len(name) + len(value or b"") for name, value in common) > _MOST_BYTES:
            return
        if len(self._known) >= _MOST_KNOWN:  # clients and methods are few, unless somebody makes them up
            self._known.clear()
        self._known[common] = request
