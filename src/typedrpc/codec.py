"""Parameters and replies ⇄ bodies, by Pydantic; built once for each method."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import field, make_dataclass
from functools import partial
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypeAliasType

from typedrpc.errors import ErrorDetail, InvalidArgument

MAX_DETAILS = 20
"""Of a validation error, at most so many findings travel."""

JSON_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="strings")
"""How values that JSON lacks are written, outside the user's own models."""


_renamed: Any = TypeAliasType  # type checkers want an alias to be a constant


class ReplyError(Exception):
    """A reply, or the handler's value for one, is not what the contract says; the text tells how."""


_refusal: object = object()
"""The filter of `refuse_by_filter`, once it is there."""


def refuse_by_filter() -> None:
    """Has Python's filter of warnings raise what Pydantic warns of while this module serializes.

    Pydantic itself raises by `warnings="error"`, but tries that argument as a bool first, and the exception this costs
    takes three times as long as writing a small model: 0.8 µs, twice in a call.
    """
    global _refusal
    if not getattr(sys.flags, "context_aware_warnings", False):  # there, `warnings.filters` is not all that counts
        warnings.filterwarnings("error", category=UserWarning, module=r"typedrpc\.codec\Z")
        _refusal = warnings.filters[0]


def _strictly() -> Literal[True, "error"]:
    """How Pydantic is asked to refuse values of another type: by a warning where our filter comes before others."""
    filters = warnings.filters
    return True if filters and filters[0] is _refusal else "error"


class MethodCodec:
    """One method's arguments and reply ⇄ JSON bodies. `signature` has resolved annotations.

    Serializing goes by the annotations: a subclass' extra fields stay here, a value of another type is refused.
    """

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        parameters = list(signature.parameters.values())
        self._name = name
        self._signature = signature
        self._names = frozenset(p.name for p in parameters)
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self._positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self._positional_only = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
        # A keyword-only dataclass, so that parameters may be called `json`, `model_config`, `_id` or `self`.
        namespace = {"__pydantic_config__": JSON_CONFIG}
        self._holder = make_dataclass(name, [_as_field(p) for p in parameters], kw_only=True, namespace=namespace)
        self._kinds = [(p.name, _Kind(p.annotation)) for p in parameters]
        self._reply_kind = _Kind(signature.return_annotation)
        arguments, reply = value_adapter(self._holder), self._reply_kind.adapter
        self._dump, self._load = arguments.serializer.to_json, arguments.validator.validate_json
        self._dump_reply, self._load_reply = reply.serializer.to_json, reply.validator.validate_json

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults filled in; raises TypeError as Python itself would."""
        if not kwargs and len(args) == len(self._names) == len(self._positional):
            return dict(zip(self._positional, args, strict=True))
        if len(args) <= len(self._positional) and not (kwargs and self._positional_only):
            given = dict(zip(self._positional, args, strict=False))
            if kwargs.keys().isdisjoint(given):
                values = {**self._defaults, **given, **kwargs}
                if values.keys() == self._names:
                    return values
        bound = self._signature.bind(*args, **kwargs)  # ten times slower; its TypeError is the one people know
        bound.apply_defaults()
        return bound.arguments

    def dump_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """A request's body. Raises TypeError for wrong arguments, InvalidArgument for values of a wrong type."""
        arguments = self.bind(args, kwargs)
        for name, kind in self._kinds:
            if not kind.admits(arguments[name]):
                raise self.not_sendable(arguments)
        holder = cast("Any", object.__new__(self._holder))
        holder.__dict__ = arguments
        try:
            return self._dump(holder, by_alias=True, warnings=_strictly())
        except (ValueError, UserWarning):  # Pydantic's own, and Unicode's: bytes that are no UTF-8, a lone surrogate
            raise self.not_sendable(arguments) from None

    def not_sendable(self, arguments: Mapping[str, Any]) -> InvalidArgument:
        """What is wrong with arguments that could not be serialized, without their values, which may be secret."""
        details: list[ErrorDetail] = []
        for name, kind in self._kinds:
            if problem := kind.problem(arguments[name]):
                details.append(ErrorDetail(type="not_sendable", loc=(name,), msg=problem))
        found = "; ".join(f"{d['loc'][0]}: {d['msg']}" for d in details) or "an argument is not of its declared type"
        return InvalidArgument(f"{self._name}: {found}; nothing was sent", errors=details)

    def load_arguments(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        """What to call the handler with: positional-only arguments, and the others by name. Raises InvalidArgument."""
        try:
            values = cast("dict[str, Any]", vars(self._load(body)))
        except ValidationError as error:
            raise invalid_argument(self._name, error) from None
        return [values.pop(name) for name in self._positional_only], values

    def dump_reply(self, value: Any) -> bytes:
        """A reply's body; raises ReplyError where the handler's value is not of the contract's type."""
        if not self._reply_kind.admits(value):
            raise ReplyError(self._reply_kind.problem(value))
        try:
            return self._dump_reply(value, by_alias=True, warnings=_strictly())
        except Exception as error:  # a model's own serializers may raise anything
            raise ReplyError(str(error)) from error

    def load_reply(self, body: bytes) -> Any:
        """The value of a reply; raises ReplyError where it is not of the contract's type."""
        try:
            return self._load_reply(body)
        except ValidationError as error:
            raise ReplyError(summary(error)) from None
        except Exception as error:  # a model's own validators may raise anything
            raise ReplyError(f"a validator raised {error!r}") from error


class BareCodec:
    """One value ⇄ a body without an envelope and its content type, as other frameworks read and write them.

    Source: faststream/message/utils.py, `encode_message` and `decode_message`: bytes as they are, text unquoted,
    nothing as an empty body, anything else as JSON. A null body is None. Others name no content type: what is no JSON
    of the annotated type may be a text that stands for a value of it.
    """

    def __init__(self, annotation: Any) -> None:
        self._is_none = annotation in (None, type(None))
        self._is_bytes = annotation is bytes
        self._is_text = annotation is str or (get_origin(annotation) is Annotated and annotation.__origin__ is str)
        self._kind = _Kind(annotation)
        self._adapter = self._kind.adapter

    def dump(self, value: Any, *, json: bool = False) -> tuple[bytes, str]:
        """Raises ReplyError where the value is not of the annotated type. `json`: texts too are JSON."""
        if self._is_none:
            return b"", ""
        if self._is_bytes and isinstance(value, bytes):
            return value, ""
        if not self._kind.admits(value):
            raise ReplyError(self._kind.problem(value))
        try:
            if isinstance(value, str) and not json:
                self._adapter.serializer.to_python(value, warnings="error")
                return value.encode(), "text/plain"
            return self._adapter.serializer.to_json(value, by_alias=True, warnings="error"), "application/json"
        except Exception as error:  # a model's own serializers may raise anything
            raise ReplyError(str(error)) from error

    def load_argument(self, name: str, body: bytes | None, content_type: str) -> Any:
        """A parameter of the method `name`; raises InvalidArgument."""
        try:
            return self._load(body, content_type)
        except ValidationError as error:
            raise invalid_argument(name, error) from None

    def load_reply(self, body: bytes | None, content_type: str) -> Any:
        """A reply's value; raises ReplyError."""
        try:
            return self._load(body, content_type)
        except ValidationError as error:
            raise ReplyError(summary(error)) from None
        except Exception as error:  # a model's own validators may raise anything
            raise ReplyError(f"a validator raised {error!r}") from error

    def _load(self, body: bytes | None, content_type: str) -> Any:
        if self._is_none or (body is None and self._kind.admits(None)):
            return None
        body = body or b""
        if self._is_bytes:
            return body
        text = self._adapter.validator.validate_python
        if content_type.startswith("text/plain") or (self._is_text and not content_type):
            return text(body.decode(errors="replace"))
        try:
            return self._adapter.validator.validate_json(body)
        except ValidationError:
            if content_type or not body:
                raise
            with suppress(ValidationError):
                return text(body.decode(errors="replace"))
            raise


class _Kind:
    """One type, and what its serializer lets pass though no validator would: None, and any object as a model."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation
        self._classes = _model_classes(annotation)
        self.adapter = value_adapter(annotation)
        try:
            self.adapter.validator.validate_json(b"null")
        except Exception:  # noqa: BLE001  # a model's own validators may raise anything
            self._nullable = False
        else:
            self._nullable = True

    def admits(self, value: Any) -> bool:
        """False where serializing the value would not fail as it should."""
        if value is None:
            return self._nullable
        return self._classes is None or isinstance(value, self._classes)

    def problem(self, value: Any) -> str:
        """Why the value cannot be sent, without the value, which may be secret; empty where it can."""
        problem = f"{_a(type(value).__name__)} does not fit its type, {inspect.formatannotation(self._annotation)}"
        if not self.admits(value):
            return problem
        try:
            self.adapter.dump_python(value, by_alias=True, warnings="error")
            problem = f"this {type(value).__name__} cannot be written as JSON"
            self.adapter.dump_json(value, by_alias=True, warnings="error")
        except ValueError:
            return problem
        return ""


def _a(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _model_classes(annotation: Any) -> tuple[type[Any], ...] | None:
    """The models that the annotation names; None where it names anything else, whose serializer looks itself."""
    if get_origin(annotation) is Annotated:
        return _model_classes(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        found = [_model_classes(a) for a in get_args(annotation) if a is not type(None)]
        return None if None in found else tuple(cls for classes in found for cls in classes or ())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation.__pydantic_generic_metadata__["origin"] or annotation,)  # Box(x=1) also is a Box[int]
    return None


def value_adapter(annotation: Any, name: str = "Value") -> TypeAdapter[Any]:
    """An adapter for one value: by JSON_CONFIG, but for what a model or a dataclass configures itself. `name` is what
    the JSON Schema of anything but a model calls it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return TypeAdapter(annotation)
    # By another name: Pydantic refuses a configuration beside a dataclass or TypedDict, also for one that has none.
    return TypeAdapter(_renamed(name, annotation), config=JSON_CONFIG)


def invalid_argument(name: str, error: ValidationError) -> InvalidArgument:
    """What the caller gets: the findings without the inputs, which may be secret."""
    found = error.errors(include_url=False, include_input=False)[:MAX_DETAILS]
    details = [ErrorDetail(type=e["type"], loc=e["loc"], msg=_message(e)) for e in found]
    return InvalidArgument(f"{name}: {summary(error)}", errors=details)


def summary(error: ValidationError) -> str:
    """The first findings on one line, without the inputs."""
    found = error.errors(include_url=False, include_input=False)
    lines = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {_message(e)}" for e in found[:3]]
    return "; ".join(lines) + (f" (and {len(found) - 3} more)" if len(found) > 3 else "")


def _message(found: ErrorDetails) -> str:
    if found["type"] == "union_tag_invalid":  # the one text of Pydantic's that repeats the input
        return f"Input tag is none of the expected ones: {found.get('ctx', {}).get('expected_tags')}"
    return found["msg"]


def _as_field(parameter: inspect.Parameter) -> tuple[str, Any, Any]:
    default = parameter.default
    # A handler may change the value it is given: each call gets its own copy of a default.
    rest = field() if default is parameter.empty else field(default_factory=partial(deepcopy, default))
    return parameter.name, parameter.annotation, rest
