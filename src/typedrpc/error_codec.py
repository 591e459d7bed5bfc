"""Errors ⇄ the bodies of error replies: `{"message", "details"?, "type"?, "data"?}`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_type_hints

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from typedrpc.codec import JSON_CONFIG, ReplyError, summary, value_adapter
from typedrpc.errors import BUILT_IN, RpcError, Status


class ErrorCodec:
    """The errors that one method declares in `raises`, and the built-in ones.

    `scope` resolves the annotations of error classes made inside functions. Raises NameError for a name not known
    there, and Pydantic's own errors for a field that it cannot handle.
    """

    def __init__(self, raises: Sequence[type[RpcError]], scope: Mapping[str, Any]) -> None:
        self._declared = {cls: _FieldsCodec(cls, scope) for cls in raises}
        self._by_name = {cls.__name__: cls for cls in raises}

    def fields_of(self, cls: type[RpcError]) -> tuple[dataclasses.Field[Any], ...]:
        """The own fields of an error of `raises`, with resolved annotations."""
        return dataclasses.fields(self._declared[cls].holder)

    def dump(self, error: RpcError) -> tuple[Status, bytes] | None:
        """Status and body; None where the method neither declares the error nor inherits it from a built-in class.

        Raises ReplyError where a field has a wrong type, or a text cannot be written.
        """
        for ancestor in type(error).__mro__:
            cls = cast("type[RpcError]", ancestor)
            if cls in self._declared:
                content = {"type": cls.__name__, "data": self._declared[cls].dump(error)}
                return cls.code, _body(error.message, content)
            if cls in _BUILT_IN_FIELDS and (cls is not RpcError or type(error) is RpcError):
                details = _BUILT_IN_FIELDS[cls].dump(error)
                return cls.code, _body(error.message, {"details": details} if details else {})
        return None

    def load(self, status: Status, body: bytes | None) -> RpcError:
        """The error that a reply carries. A declared one is rebuilt without its `__init__`; an unknown type, or data
        that does not fit, arrives as the class of its status.
        """
        content = _parse(body)
        message = content.get("message")
        text = message if isinstance(message, str) else ""
        declared = self._by_name.get(str(content.get("type")))
        try:
            if declared is not None and declared.code is status:
                return self._declared[declared].load(text, content.get("data", {}))
            built_in = BUILT_IN.get(status, RpcError)
            return _BUILT_IN_FIELDS[built_in].load(text, content.get("details", {}))
        except ReplyError as failure:
            fallback = BUILT_IN.get(status, RpcError)
            return _BUILT_IN_FIELDS[fallback].load(f"{text} (its fields do not fit: {failure})", {})


class _FieldsCodec:
    """The fields of one error class ⇄ JSON values."""

    def __init__(self, cls: type[RpcError], scope: Mapping[str, Any]) -> None:
        self._class = cls
        hints = get_type_hints(cls, localns=dict(scope), include_extras=True)
        own = [f for f in dataclasses.fields(cls) if f.name != "message"]
        self._names = [f.name for f in own]
        self.holder = dataclasses.make_dataclass(
            cls.__name__,
            [(f.name, hints[f.name], _default_of(f)) for f in own],
            kw_only=True,
            namespace={"__pydantic_config__": JSON_CONFIG},
        )
        self._adapter = value_adapter(self.holder)

    def dump(self, error: RpcError) -> dict[str, Any]:
        """Raises ReplyError where a field has a wrong type."""
        holder = cast("Any", object.__new__(self.holder))
        try:
            holder.__dict__ = {name: getattr(error, name) for name in self._names}
            dumped = self._adapter.serializer.to_python(holder, mode="json", by_alias=True, warnings="error")
        except Exception as failure:  # a model's own serializers may raise anything
            raise ReplyError(f"{self._class.__name__}: {failure}") from failure
        return dict(dumped)

    def load(self, message: str, data: Any) -> RpcError:
        """Raises ReplyError where the data do not fit."""
        try:
            holder: object = self._adapter.validator.validate_json(json.dumps(data))
        except ValidationError as failure:
            raise ReplyError(summary(failure)) from None
        except Exception as failure:  # a model's own validators may raise anything
            raise ReplyError(f"a validator raised {failure!r}") from failure
        error = self._class.__new__(self._class, message)
        error.__dict__.update(vars(holder), message=message)
        return error


def _default_of(f: dataclasses.Field[Any]) -> Any:
    if f.default is not dataclasses.MISSING:
        return dataclasses.field(default=f.default)
    if f.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=f.default_factory)
    return dataclasses.field()


def _body(message: str, content: dict[str, Any]) -> bytes:
    try:
        return to_json({"message": str(message), **content})
    except ValueError as failure:  # a lone surrogate
        raise ReplyError(f"the error's text cannot be written: {failure}") from None


def _parse(body: bytes | None) -> dict[str, Any]:
    try:
        content = from_json(body or b"{}")
    except ValueError:
        return {"message": "the error's body is no JSON"}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


_BUILT_IN_CLASSES: list[type[RpcError]] = [RpcError, *BUILT_IN.values()]
_BUILT_IN_FIELDS = {cls: _FieldsCodec(cls, {}) for cls in _BUILT_IN_CLASSES}
