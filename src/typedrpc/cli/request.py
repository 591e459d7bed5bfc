"""A request of any method, by what the command line says of it and its contract as a server that runs tells it."""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from typedrpc.calls import Calls, Target
from typedrpc.cli.completing import complete_method
from typedrpc.cli.connection import Connected
from typedrpc.cli.showing import signature_text
from typedrpc.codec import BareCodec
from typedrpc.dialects import CONVENTIONS
from typedrpc.document import ContractDocument, MethodDocument
from typedrpc.errors import DeadlineExceeded, Status, Unimplemented, UsageError
from typedrpc.options import check_timeout
from typedrpc.transport import Record
from typedrpc.wire import Header, metadata_headers, method_headers, status_of

MethodName = Annotated[str, typer.Argument(metavar="SERVICE/METHOD", autocompletion=complete_method)]
Body = Annotated[
    str, typer.Argument(metavar="[JSON]", help="The parameters by name, as JSON; `-` reads standard input.")
]
Timeout = Annotated[float | None, typer.Option(min=0.0001, help="Seconds; else the method's own, else 10.")]
Metadata = Annotated[
    list[str] | None, typer.Option("--header", "-H", metavar="NAME=VALUE", help="Metadata; may be repeated.")
]
Key = Annotated[str | None, typer.Option(help="Calls of one key reach one server process.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line says of a call. `timeout` in seconds."""

    name: str
    content: JsonValue
    timeout: float | None
    headers: tuple[Header, ...]
    key: bytes | None

    @classmethod
    def given(cls, name: str, body: str, timeout: float | None, header: list[str] | None, key: str | None) -> Order:
        """Reads standard input where `body` is `-`; raises UsageError, and ResourceExhausted for much metadata."""
        check_timeout(timeout)
        headers = tuple(metadata_headers(_metadata(header or [])))
        content = _parsed(sys.stdin.buffer.read() if body == "-" else os.fsencode(body))
        key_bytes = None if key is None else os.fsencode(key)
        return cls(name=name, content=content, timeout=timeout, headers=headers, key=key_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Ready to be sent, any number of times. `timeout` in seconds; `expires`: also where the method is oneway."""

    calls: Calls
    target: Target
    body: bytes | None
    timeout: float
    key: bytes | None
    headers: tuple[Header, ...]
    oneway: bool
    expires: bool

    async def send(self) -> tuple[Status, bytes]:
        """How a server answered, and the body of the reply or error. Of a oneway: OK once Kafka has it.

        Raises DeadlineExceeded, Unavailable, PermissionDenied or ResourceExhausted where none did.
        """
        if self.oneway:
            await self.calls.oneway(self.target, self.body, self.timeout, self.key, self.headers, expires=self.expires)
            return Status.OK, b""
        try:
            record = await self.calls.unary(self.target, self.body, self.timeout, self.key, self.headers)
        except DeadlineExceeded as error:
            if self.target.foreign is None or self.target.foreign.refusal is not None:
                raise
            raise DeadlineExceeded(f"{error.message}; or it failed, which its dialect cannot tell") from None
        return _outcome(self.target, record)


async def prepare(client: Connected, order: Order) -> Request:
    """Raises UsageError, Unimplemented for a method that is not there, and DeadlineExceeded where nobody tells."""
    service, _, method_name = order.name.partition("/")
    if not (service and method_name):
        raise UsageError(f"{order.name!r}: write SERVICE/METHOD; `typedrpc list` and `typedrpc describe` name them")
    document = await client.contract(service, max(order.timeout or 5.0, 1.0))  # a call may be shorter than a start
    method = _found(document, method_name)
    _check_names(method, order.content)
    target, body = _target(document, method, order.content)
    return Request(
        calls=client.calls,
        target=target,
        body=body,
        timeout=order.timeout or method.timeout or 10.0,
        key=order.key,
        headers=order.headers,
        oneway=method.oneway,
        expires=order.timeout is not None,
    )


def decoded(body: bytes) -> JsonValue:
    """The JSON, else the text, of a reply or error."""
    try:
        value: JsonValue = from_json(body) if body else None
    except ValueError:
        value = body.decode(errors="replace")
    return value


def message_in(error: JsonValue) -> JsonValue:
    """The message of an error's decoded body."""
    return error.get("message") if isinstance(error, dict) else error


def _metadata(given: list[str]) -> dict[str, str]:
    pairs = [(each, *each.partition("=")) for each in given]
    for whole, name, equals, _ in pairs:
        if not (name and equals):
            raise UsageError(f"-H {whole!r}: write NAME=VALUE")
    return {name: value for _, name, _, value in pairs}


def _parsed(body: bytes) -> JsonValue:
    try:
        content: JsonValue = from_json(body)
    except ValueError as error:
        raise UsageError(f"the parameters are no JSON: {error}") from None
    return content


def _found(document: ContractDocument, name: str) -> MethodDocument:
    for method in document.methods:
        if method.name == name:
            return method
    names = ", ".join(method.name for method in document.methods)
    raise Unimplemented(f"service {document.service!r} has no method {name!r}; it has {names}")


def _check_names(method: MethodDocument, content: JsonValue) -> None:
    """Raises UsageError for what a server would ignore: for all that it knows, a newer client sent it."""
    takes = f"it takes {signature_text(method)}"
    if not isinstance(content, dict):
        raise UsageError(f"the parameters are given by name, as a JSON object; {takes}")
    names = [parameter.name for parameter in method.parameters]
    for name in content:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            meant = f", did you mean {close[0]!r}?" if close else ";"
            raise UsageError(f"{method.name} has no parameter {name!r}{meant} {takes}")


def _target(document: ContractDocument, method: MethodDocument, content: JsonValue) -> tuple[Target, bytes | None]:
    foreign = CONVENTIONS.get(method.dialect)
    headers = method_headers(document.service, method.name)
    body: bytes | None = to_json(content)
    if foreign is not None:
        value: Any = None
        if isinstance(content, dict) and method.parameters:  # by name, as all others: one way to write parameters
            value = content.get(method.parameters[0].name)
        body, foreign_headers = foreign.request(BareCodec(JsonValue) if method.parameters else None, value)
        headers = tuple(foreign_headers)
    target = Target(
        name=f"{document.service}/{method.name}",
        topic=method.topic,
        foreign=foreign,
        headers=headers,
        once=method.delivery == "at_most_once",
    )
    return target, body


def _outcome(target: Target, record: Record) -> tuple[Status, bytes]:
    error = target.foreign.error_in(record.headers) if target.foreign else None
    if error is not None:
        return error[0], error[1] or b""
    return status_of(record.headers), record.value or b""
