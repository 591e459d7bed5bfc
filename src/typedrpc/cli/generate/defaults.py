"""A parameter's default as Python writes it: an expression that is evaluated once, and never changes. Pure."""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Callable, Collection, Mapping

from pydantic import JsonValue, TypeAdapter, ValidationError

from typedrpc.cli.generate.formats import class_of
from typedrpc.errors import UsageError
from typedrpc.schemas import REFERENCE, JsonSchema

_KINDS: Mapping[type, set[str]] = {
    bool: {"boolean"},
    int: {"integer", "number"},
    float: {"number"},
    str: {"string"},
    list: {"array"},
    dict: {"object"},
    type(None): {"null"},
}


class Defaults:
    """Writes defaults. `names` are those of the definitions in Python, `classes` those that are classes, and `takes`
    says whether one takes a value.
    """

    def __init__(
        self,
        definitions: Mapping[str, JsonSchema],
        names: Mapping[str, str],
        classes: Collection[str],
        takes: Callable[[str, JsonValue], bool],
    ) -> None:
        self._definitions = definitions
        self._names = names
        self._classes = classes
        self._takes = takes

    def text(self, schema: JsonValue, value: JsonValue) -> str:
        """The expression; raises UsageError where there is none for such a value."""
        known = schema if isinstance(schema, dict) else {}
        reference = known.get("$ref")
        if isinstance(reference, str):
            return self._of_definition(reference.removeprefix(REFERENCE), value)
        branches = known.get("anyOf") or known.get("oneOf")
        if isinstance(branches, list):
            return self.text(next((each for each in branches if self._may_be(each, value)), None), value)
        if isinstance(value, list):
            return self._array(known, value)
        if isinstance(value, dict):
            raise UsageError("the contract document has a default that Python can't write: an object without a model")
        if isinstance(value, str):
            return _text(known, value)
        return repr(value)

    def _of_definition(self, key: str, value: JsonValue) -> str:
        schema, name = self._definitions.get(key, {}), self._names.get(key, "")
        if name not in self._classes:
            return self.text(schema, value)
        if "enum" not in schema:
            if not self._takes(name, value):
                raise UsageError(f"the contract document has a default that is no {name}")
            return f"{name}.model_validate_json({json.dumps(value)!r})"
        if not self._may_be(schema, value):
            raise UsageError(f"the contract document has a default that is no member of {name}")
        return f"{name}({value!r})"

    def _array(self, schema: dict[str, JsonValue], values: list[JsonValue]) -> str:
        places = schema.get("prefixItems")
        kinds = places if isinstance(places, list) else [schema.get("items")] * len(values)
        items = "".join(f"{self.text(kind, each)}, " for kind, each in zip(kinds, values, strict=False))
        if schema.get("uniqueItems"):
            return f"frozenset(({items}))"
        return f"({items})"

    def _may_be(self, schema: JsonValue, value: JsonValue) -> bool:
        """Which one it is of several types."""
        if not isinstance(schema, dict):
            return False
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._may_be(self._definitions.get(reference.removeprefix(REFERENCE)), value)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(branches, list):
            return any(self._may_be(each, value) for each in branches)
        if "enum" in schema or "const" in schema:
            words = schema.get("enum", [schema.get("const")])
            return isinstance(words, list) and value in words
        if isinstance(value, str) and schema.get("type") == "number" and value in _NO_NUMBERS:
            return True
        if "type" in schema and str(schema["type"]) not in _KINDS[type(value)]:
            return False
        if isinstance(value, str) and (kind := class_of(schema)):
            return _is_one(kind, value)
        fields = schema.get("properties")
        if isinstance(value, dict) and isinstance(fields, dict):
            return all(self._may_be(fields.get(name), each) for name, each in value.items())
        return True


_NO_NUMBERS = {"NaN": 'float("nan")', "Infinity": 'float("inf")', "-Infinity": 'float("-inf")'}


def _text(schema: dict[str, JsonValue], value: str) -> str:
    """What a text in JSON stands for."""
    if schema.get("type") == "number" and value in _NO_NUMBERS:
        return _NO_NUMBERS[value]
    if schema.get("format") == "base64url":
        return repr(decoded(value))
    kind = class_of(schema)
    if kind is None:
        return repr(value)
    if not _is_one(kind, value):
        raise UsageError(f"the contract document has a default that is no {kind.__name__}: {value[:200]!r}")
    return f"TypeAdapter({kind.__name__}).validate_python({value!r})"


def _is_one(kind: type, value: str) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def decoded(text: str) -> bytes:
    """What base64 says; raises UsageError."""
    try:
        return base64.urlsafe_b64decode(text)
    except ValueError:
        raise UsageError("the contract document has a default of bytes that is not base64") from None


def unchanging(annotation: ast.expr) -> ast.expr:
    """The type of an array that is a default: a tuple or a frozenset, as a default may not change."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return ast.BinOp(unchanging(left), ast.BitOr(), unchanging(right))
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *rest])):
            return ast.Subscript(annotation.value, ast.Tuple([unchanging(kind), *rest], ast.Load()), ast.Load())
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            inner = ast.Tuple([unchanging(item), ast.Constant(...)], ast.Load())
            return ast.Subscript(ast.Name("tuple", ast.Load()), inner, ast.Load())
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=items)):
            return ast.Subscript(
                annotation.value, ast.Tuple([unchanging(each) for each in items], ast.Load()), ast.Load()
            )
        case ast.Subscript(value=ast.Name(id="set"), slice=item):
            return ast.Subscript(ast.Name("frozenset", ast.Load()), item, ast.Load())
        case _:
            return annotation
