"""AsyncAPI 3.0: services as channels, operations and messages, from their contract documents.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from faststream.specification.asyncapi import get_asyncapi_html
from pydantic import JsonValue

from typedrpc.components import Components, Places, clean, draft_07, free_key
from typedrpc.dialects import CONVENTIONS
from typedrpc.dialects.convention import read_decimal
from typedrpc.document import (
    ContractDocument,
    ErrorDocument,
    MethodDocument,
    declared_errors,
    object_schema,
    request_schema,
)
from typedrpc.errors import Status, UsageError
from typedrpc.schemas import JsonSchema
from typedrpc.wire import MAX_CORRELATION_ID, PROTOCOL

_Object = dict[str, Any]

_REPLIES: Final = "rpc.replies"
_REPLIES_DOC: Final = (
    "The topic that a request's header names: `rpc.replies` for clients of typedrpc, if not set otherwise. It has no "
    "fixed address here, as AsyncAPI wants it of a channel whose address is in the request."
)
_BINDING: Final = "0.5.0"
_DECIMAL: Final[JsonSchema] = {"type": "string", "pattern": "^[0-9]+$"}
_BINARY: Final[JsonSchema] = {"type": "string", "format": "binary"}
_ERROR: Final[JsonSchema] = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "details": {"type": "object"}},
    "not": {"required": ["type"]},
}


def asyncapi(
    documents: Iterable[ContractDocument], *, title: str, version: str, server: str | None = None
) -> dict[str, JsonValue]:
    """An AsyncAPI 3.0.0 document of these services, as their servers see them: each method is received.

    `server` is the host and port of a broker. A method of another framework's dialect is described in that dialect.
    Raises UsageError for two services of one name.
    """
    documents = list(documents)
    names = [document.service for document in documents]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"asyncapi: two documents of the service {twice[0]!r}; give one of each service")
    services = _Services()
    for document in documents:
        services.add(document)
    doc = {"description": documents[0].doc} if len(documents) == 1 and documents[0].doc else {}
    tags = [{"name": d.service, **({"description": d.doc} if d.doc else {})} for d in documents]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, **doc, **({"tags": cast("Any", tags)} if tags else {})},
        "defaultContentType": "application/json",
        **({"servers": {"kafka": {"host": server, "protocol": "kafka"}}} if server is not None else {}),
        "channels": services.channels,
        "operations": services.operations,
        "components": {"schemas": services.components.schemas},
    }


def asyncapi_html(document: Mapping[str, JsonValue]) -> str:
    """A page that shows an AsyncAPI document, which it holds; the viewer and its styles come from unpkg.com.

    It is FastStream's page, with AsyncAPI's own viewer, which takes HTML out of descriptions that could run.
    """
    page = get_asyncapi_html(_Page(document), try_it_out_path=None)
    return page.replace("<head>", '<head>\n        <meta charset="utf-8">', 1)  # a file has no header that says it


class _Page:
    """A document for FastStream's page, which writes what it is given as it is."""

    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        self._document = document

    @property
    def title(self) -> str:
        info = self._document.get("info")
        return html.escape(str(info.get("title", "")) if isinstance(info, dict) else "")

    def to_json(self) -> str:
        """With nothing that HTML reads, even inside of a script."""
        text = json.dumps(self._document)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    def to_jsonable(self) -> Any:
        return self._document

    def to_yaml(self) -> str:
        return self.to_json()


class _Services:
    """Collects what services have in common: topics, replies, and models of the same name and content."""

    def __init__(self) -> None:
        self.channels: _Object = {}
        self.operations: _Object = {}
        self.components: Components = Components()
        self._topics: dict[str, str] = {}

    def add(self, document: ContractDocument) -> None:
        places = self.components.add(document)
        for method in document.methods:
            key = free_key(self.operations, f"{document.service}.{method.name}")
            self.operations[key] = self._operation(key, document, method, places)

    def _operation(self, key: str, document: ContractDocument, method: MethodDocument, places: Places) -> _Object:
        channel = self._topic(method.topic)
        request = _request(document.service, method, places)
        operation: _Object = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
            "title": f"{document.service}/{method.name}",
            **_told(method.doc),
            "tags": [{"name": document.service}],
            "bindings": {"kafka": {"groupId": _const(document.service), "bindingVersion": _BINDING}},
            "messages": [self._message(channel, f"{key}.request", request)],
        }
        if not method.oneway:
            operation["reply"] = self._reply(key, document, method, places)
        return operation

    def _reply(self, key: str, document: ContractDocument, method: MethodDocument, places: Places) -> _Object:
        channel = _REPLIES
        if channel not in self.channels:
            self.channels[channel] = {"address": None, "messages": {}, "description": _REPLIES_DOC}
        messages = [self._message(channel, f"{key}.reply", _reply(method, places))]
        if method.dialect == "typedrpc":
            for name, error in declared_errors(document, method).items():
                message = _declared_error(error, places)
                messages.append(self._message(channel, f"{key}.error.{name}", message))
        if (other := _other_error(method.dialect)) is not None:
            messages.append(self._message(channel, f"error.{method.dialect}", other))
        _, reply_to = _addressing(method.dialect)
        return {
            "address": {"location": f"$message.header#/{reply_to}"},
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": messages,
        }

    def _topic(self, topic: str) -> str:
        """The channel of a topic of requests."""
        if topic not in self._topics:
            key = self._topics[topic] = free_key({*self.channels, _REPLIES}, topic)
            kafka = {"topicConfiguration": {"message.timestamp.type": "LogAppendTime"}, "bindingVersion": _BINDING}
            self.channels[key] = {"address": topic, "messages": {}, "bindings": {"kafka": kafka}}
        return self._topics[topic]

    def _message(self, channel: str, name: str, message: _Object) -> _Object:
        """A reference to the message, which the channel has from now on."""
        messages: _Object = self.channels[channel]["messages"]
        message = {"name": name, **message}
        key = clean(name)
        if messages.get(key) != message:
            key = free_key(messages, name)
            messages[key] = message
        return {"$ref": f"#/channels/{channel}/messages/{key}"}


def _request(service: str, method: MethodDocument, places: Places) -> _Object:
    correlation, reply_to = _addressing(method.dialect)
    reply: _Object = {} if method.oneway else _reply_headers(method.dialect)
    answered: _Object = {} if method.oneway else {"correlationId": {"location": f"$message.header#/{correlation}"}}
    required = [] if method.oneway else [correlation, reply_to]
    if method.dialect != "typedrpc":
        return {**answered, "headers": _headers(reply, required), **_bare(request_schema(method), places)}
    headers: _Object = {
        **reply,
        "content-type": _const("application/json"),
        "rpc-protocol": _const(PROTOCOL.decode()),
        "rpc-method": _const(f"{service}/{method.name}"),
        "rpc-timeout": {**_DECIMAL, "description": "Milliseconds from the record's time to the deadline."},
    }
    return {
        **answered,
        "contentType": "application/json",
        "headers": _headers(headers, [*required, "rpc-protocol", "rpc-method"]),
        "payload": draft_07(request_schema(method), places),
    }


def _reply_headers(dialect: str) -> _Object:
    """Those by which a request says where its reply goes."""
    correlation, reply_to = _addressing(dialect)
    headers: _Object = {correlation: _correlation_id(), reply_to: {"type": "string"}}
    convention = CONVENTIONS.get(dialect)
    if convention is None:
        return {**headers, "reply_partition": _DECIMAL}
    if convention.reply_partition:
        decimal = convention.read_partition is read_decimal
        binary = {**_BINARY, "description": "Four bytes, the highest first."}
        headers[convention.reply_partition] = _DECIMAL if decimal else binary
    return headers


def _reply(method: MethodDocument, places: Places) -> _Object:
    schema: JsonSchema = {} if method.reply is None else method.reply
    convention = CONVENTIONS.get(method.dialect)
    if convention is None:
        return _replied(_const("OK"), draft_07(schema, places))
    headers = _headers({convention.correlation: _correlation_id()}, [convention.correlation])
    if convention.refusal is not None:
        headers["not"] = {"required": ["rpc-status"]}
    correlation = {"location": f"$message.header#/{convention.correlation}"}
    return {"correlationId": correlation, "headers": headers, **_bare(schema, places)}


def _replied(status: _Object, payload: Any) -> _Object:
    """A reply of protocol 1."""
    headers: _Object = {
        "correlation_id": _correlation_id(),
        "content-type": _const("application/json"),
        "rpc-protocol": _const(PROTOCOL.decode()),
        "rpc-status": status,
        "rpc-queue-ms": {**_DECIMAL, "description": "Milliseconds from the record's time to the handler's start."},
        "rpc-exec-ms": {**_DECIMAL, "description": "Milliseconds in the handler."},
    }
    return {
        "correlationId": {"location": "$message.header#/correlation_id"},
        "contentType": "application/json",
        "headers": _headers(headers, ["correlation_id", "rpc-status"]),
        "payload": payload,
    }


def _declared_error(error: ErrorDocument, places: Places) -> _Object:
    payload: _Object = {
        "type": "object",
        "properties": {
            "message": {"type": "string"},
            "type": _const(error.type),
            "data": draft_07(object_schema(error.fields), places),
        },
        "required": ["message", "type", "data"],
    }
    return {**_told(error.doc), **_replied(_const(error.code.value), payload)}


def _other_error(dialect: str) -> _Object | None:
    """An error that no method declares, which any may end with; None where the dialect knows no errors."""
    status: _Object = {"type": "string", "enum": [s.value for s in Status if s is not Status.OK]}
    convention = CONVENTIONS.get(dialect)
    if convention is None:
        return {"summary": "An error that the method does not declare.", **_replied(status, _ERROR)}
    if convention.refusal is None:
        return None
    headers: _Object = {convention.correlation: _correlation_id(), "rpc-status": status}
    return {
        "summary": f"An error, told in headers as {dialect} reads them.",
        "correlationId": {"location": f"$message.header#/{convention.correlation}"},
        "headers": _headers(headers, list(headers)),
        "payload": {"type": "null"},
    }


def _addressing(dialect: str) -> tuple[str, str]:
    """The headers with a request's id, and with the topic for its reply."""
    convention = CONVENTIONS.get(dialect)
    return ("correlation_id", "reply_to") if convention is None else (convention.correlation, convention.reply_topic)


def _bare(schema: JsonSchema, places: Places) -> _Object:
    """A value without an envelope, as the other frameworks write it."""
    if schema.get("format") == "base64url":
        return {"contentType": "application/octet-stream", "payload": _BINARY}
    text = schema.get("type") == "string" and "format" not in schema
    return {"contentType": "text/plain" if text else "application/json", "payload": draft_07(schema, places)}


def _correlation_id() -> _Object:
    return {"type": "string", "minLength": 1, "maxLength": MAX_CORRELATION_ID}


def _headers(properties: _Object, required: list[str]) -> _Object:
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _const(value: str) -> _Object:
    return {"type": "string", "const": value}


def _told(doc: str) -> _Object:
    summary, more, _ = doc.partition("\n")
    return {**({"summary": summary} if summary else {}), **({"description": doc} if more else {})}
