"""Types whose values do not arrive as they were sent: Pydantic writes them in one way and reads them in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Json, PlainSerializer, Secret, SecretBytes, SecretStr, WrapSerializer

_JSON: Any = Json  # to type checkers it is an annotation


def masked(annotation: Any) -> str:
    """The secret type, or the field of a model that is one, of which asterisks are written; "" where there is none."""
    return _found(annotation, _secret, set())


def parsed(annotation: Any) -> str:
    """`Json`, or the field of a model that is one: a text is read, and its content is written."""
    return _found(annotation, _json, set())


def _secret(cls: Any, _extras: Sequence[Any]) -> str:
    return cls.__name__ if isinstance(cls, type) and issubclass(cls, SecretStr | SecretBytes | Secret) else ""


def _json(cls: Any, extras: Sequence[Any]) -> str:
    return "Json" if any(each is _JSON or isinstance(each, _JSON) for each in (cls, *extras)) else ""


def _found(
    annotation: Any, named: Callable[[Any, Sequence[Any]], str], seen: set[Any], extras: Sequence[Any] = ()
) -> str:
    """The name of a type in the annotation that is not written as it is; a serializer of its own sets it right."""
    if get_origin(annotation) is Annotated:
        extras = (*annotation.__metadata__, *extras)
        return _found(annotation.__origin__, named, seen, extras)
    if any(isinstance(extra, PlainSerializer | WrapSerializer) for extra in extras):
        return ""
    cls = get_origin(annotation) or annotation
    if name := named(cls, extras):
        return name
    if isinstance(cls, type) and issubclass(cls, BaseModel) and cls not in seen:
        seen.add(cls)
        return _in_model(cls, named, seen)
    return next((found for a in get_args(annotation) if (found := _found(a, named, seen))), "")


def _in_model(cls: type[BaseModel], named: Callable[[Any, Sequence[Any]], str], seen: set[Any]) -> str:
    own = cls.__pydantic_decorators__
    written = {name for serializer in own.field_serializers.values() for name in serializer.info.fields}
    if own.model_serializers or "json_encoders" in cls.model_config or "*" in written:
        return ""
    for name, field in cls.model_fields.items():
        skipped = name in written or field.exclude
        if not skipped and _found(field.annotation, named, seen, field.metadata):
            return f"{cls.__name__}.{name}"
    return ""
