"""A parameter's default as Python writes it: an expression that is evaluated once, and never changes. Pure."""

from __future__ import annotations

import ast
import base64
from collections.abc import Mapping

from pydantic import JsonValue

from typedrpc.errors import UsageError
from typedrpc.schemas import REFERENCE, JsonSchema

_CLASSES = {
    "date": "date",
    "date-time": "datetime",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "uuid1": "UUID1",
    "uuid3": "UUID3",
    "uuid4": "UUID4",
    "uuid5": "UUID5",
    "decimal": "Decimal",
    "ipv4": "IPv4Address",
    "ipv6": "IPv6Address",
    "ipv4network": "IPv4Network",
    "ipv6network": "IPv6Network",
    "path": "Path",
    "uri": "AnyUrl",
}
_KINDS: Mapping[type, set[str]] = {
    bool: {"boolean"},
    int: {"integer", "number"},
    float: {"number"},
    str: {"string"},
    list: {"array"},
    dict: {"object"},
}


class Defaults:
    """Writes defaults. `names` are the classes of the definitions."""

    def __init__(self, definitions: Mapping[str, JsonSchema], names: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._names = names

    def text(self, schema: JsonValue, value: JsonValue) -> str:
        """The expression; raises UsageError where there is none for such a value."""
        if value is None or not isinstance(schema, dict):
            return repr(value)
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._of_definition(reference.removeprefix(REFERENCE), value)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(branches, list):
            return self.text(next((each for each in branches if self._may_be(each, value)), None), value)
        if isinstance(value, list):
            return self._array(schema, value)
        if isinstance(value, dict):
            raise UsageError("the contract document has a default that Python can't write: an object without a model")
        if isinstance(value, str) and schema.get("format") == "base64url":
            return repr(_bytes(value))
        known = _CLASSES.get(str(schema.get("format")))
        return f"TypeAdapter({known}).validate_python({value!r})" if known else repr(value)

    def _of_definition(self, key: str, value: JsonValue) -> str:
        schema, name = self._definitions.get(key, {}), self._names.get(key, "")
        if "enum" in schema:
            return f"{name}({value!r})"
        if "properties" in schema:
            return f"{name}.model_validate({value!r})"
        return self.text(schema, value)

    def _array(self, schema: dict[str, JsonValue], values: list[JsonValue]) -> str:
        places = schema.get("prefixItems")
        kinds = places if isinstance(places, list) else [schema.get("items")] * len(values)
        items = "".join(f"{self.text(kind, each)}, " for kind, each in zip(kinds, values, strict=False))
        if schema.get("uniqueItems"):
            return f"frozenset(({items}))"
        return f"({items})"

    def _may_be(self, schema: JsonValue, value: JsonValue) -> bool:
        if not isinstance(schema, dict):
            return False
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._may_be(self._definitions.get(reference.removeprefix(REFERENCE)), value)
        if "enum" in schema or "const" in schema:
            words = schema.get("enum", [schema.get("const")])
            return isinstance(words, list) and value in words
        return schema.get("type") in _KINDS.get(type(value), set())


def _bytes(text: str) -> bytes:
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
        case ast.Subscript(value=ast.Name(id="set"), slice=item):
            return ast.Subscript(ast.Name("frozenset", ast.Load()), item, ast.Load())
        case _:
            return annotation
