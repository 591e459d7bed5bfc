"""Whether Pydantic takes the classes and types of a package: made here, by hand, of what the Python says. Pure.

Nothing that was generated runs: each annotation is read, and only what is known in it becomes a type.
"""

from __future__ import annotations

import ast
import types
import warnings
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union

from pydantic import (
    Base64UrlBytes,
    BaseModel,
    Field,
    JsonValue,
    PlainValidator,
    PydanticUserError,
    TypeAdapter,
    create_model,
)
from pydantic_core import SchemaError, to_json

from typedrpc.cli.generate.classes import fields_of, is_enum, is_root_model, on_wire
from typedrpc.cli.generate.formats import FORMATS, URLS
from typedrpc.errors import UsageError

_NAMES: Final[Mapping[str, Any]] = {
    **{kind.__name__: kind for kind in (bool, bytes, float, int, str, list, dict, set, frozenset, tuple)},
    **{kind.__name__: kind for kind in FORMATS.values()},
    **URLS,
    "Base64UrlBytes": Base64UrlBytes,
    "JsonValue": JsonValue,
}
_CONSTRAINTS: Final = {
    *("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern"),
    *("max_digits", "decimal_places", "allow_inf_nan"),
}
_SETTINGS: Final = {"extra", "regex_engine", "ser_json_bytes", "val_json_bytes"}


class Soundness:
    """Of the classes of a package. What has no type here is one that takes anything."""

    def __init__(self, classes: Iterable[ast.ClassDef]) -> None:
        self._classes = {cls.name: cls for cls in classes}
        self._made: dict[str, Any] = {}

    def check(self, parts: Mapping[str, Iterable[ast.expr]]) -> None:
        """Raises UsageError for a class, or one of these types of methods and errors, that Pydantic does not take."""
        for name in self._classes:
            self._class(name)
        for part, kinds in parts.items():
            with _told(f"the {part}"):
                for kind in kinds:
                    TypeAdapter(self._type(kind))

    def takes(self, name: str, value: JsonValue) -> bool:
        """Whether a value in JSON is one of the class."""
        try:
            with _told(f"the model {name}"):
                TypeAdapter(self._class(name)).validate_json(to_json(value))
        except UsageError:
            return False
        return True

    def _class(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._later(name)  # inside of itself
            with _told(f"the model {name}"):
                self._made[name] = self._new(self._classes[name])
        return self._made[name]

    def _later(self, name: str) -> Any:
        """A class that is looked for once a value of it is there."""

        def validated(value: JsonValue) -> object:
            return TypeAdapter[object](self._made[name]).validate_json(to_json(value))

        return Annotated[Any, PlainValidator(validated)]

    def _new(self, cls: ast.ClassDef) -> Any:
        if is_enum(cls):
            members = [
                each for each in cls.body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
            ]
            values = [(ast.unparse(each.targets[0]), ast.literal_eval(each.value)) for each in members]
            return Enum(cls.name, values)
        fields = fields_of(cls)
        if is_root_model(cls):
            return self._type(fields[0].annotation)
        inherited = [self._class(name) for base in cls.bases if (name := ast.unparse(base)) in self._classes]
        bases = tuple(base for base in inherited if isinstance(base, type))
        made: Any = {
            f"{cls.name}_{n}": (self._type(each.annotation), _field(each))  # of other names than its base's
            for n, each in enumerate(fields)
        }
        body = {"model_config": _settings(cls), "__module__": __name__}
        base: Any = types.new_class(cls.name, bases or (BaseModel,), {}, lambda there: there.update(body))
        model: type[BaseModel] = create_model(cls.name, __base__=base, **made)
        return model

    def _type(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name) | ast.Constant(value=str(name)) if name in self._classes:
                return self._class(name)
            case ast.Name(id=name):
                return _NAMES.get(name, Any)
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=builtin) if builtin is ...:
                return ...
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._union(each for each in (left, right) if ast.unparse(each) != "MISSING")
            case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
                return Literal[ast.literal_eval(values)]
            case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=members)):
                return self._union(members)
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, ast.Call(keywords=given)])):
                said = {each.arg: _bound(each.value) for each in given if each.arg in _CONSTRAINTS}
                extra: Any = Field(**said)
                return Annotated[self._type(kind), extra]
            case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _NAMES:
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return _NAMES[name][tuple(self._type(each) for each in parts)]
            case _:
                return Any

    def _union(self, members: Iterable[ast.expr]) -> Any:
        return Union[tuple(self._type(each) for each in members)]  # noqa: UP007  # `|` takes no `Annotated`


def _field(field: ast.AnnAssign) -> Any:
    """By its name on the wire; its default is not looked at."""
    return Field(alias=on_wire(field)) if field.value is None else Field(default=None, alias=on_wire(field))


def _bound(value: ast.expr) -> Any:
    match value:
        case ast.Call(func=ast.Name(id="float" | "Decimal" as name), args=[ast.Constant(value=number)]):
            return {"float": float, "Decimal": Decimal}[name](str(number))
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=kind), attr="fromisoformat"), args=[ast.Constant(value=text)]
        ):
            return _NAMES[kind].fromisoformat(text)
        case ast.Call(func=ast.Name(id="timedelta"), keywords=given):
            return timedelta(**{str(each.arg): ast.literal_eval(each.value) for each in given})
        case _:
            return ast.literal_eval(value)


def _settings(cls: ast.ClassDef) -> dict[str, object]:
    """Those that decide what it takes."""
    calls = [each.value for each in cls.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)]
    given = [keyword for call in calls for keyword in call.keywords if keyword.arg in _SETTINGS]
    return {str(each.arg): ast.literal_eval(each.value) for each in given}


@contextmanager
def _told(where: str) -> Generator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (SchemaError, PydanticUserError, TypeError, ValueError, OverflowError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise UsageError(
            f"{where} of the contract document has what Pydantic does not take: {lines[-1][:300]}"
        ) from None
