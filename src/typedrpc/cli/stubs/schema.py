"""A contract document as one JSON Schema, for the generator of models. Pure.

A document may come from whoever may write to Kafka, and the generator reads more out of a schema than a JSON Schema
says, remote references and imports among it: nothing but the keywords named here gets through.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from typedrpc.document import ContractDocument, ParameterDocument
from typedrpc.errors import UsageError
from typedrpc.schemas import REFERENCE, JsonSchema

PART: Final = "TypedrpcPart"
"""Begins the names of classes that only hold the types of a method or an error: `TypedrpcPart0` with `p0`, `p1`, ..."""

_KEYWORDS: Final = {
    *("type", "format", "enum", "const", "default", "description", "required", "uniqueItems", "pattern", "$ref"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "x-enum-varnames"),
}
_LISTS: Final = {"anyOf", "oneOf", "allOf", "prefixItems"}
_NAMED: Final = {"properties", "patternProperties"}
_NESTED: Final = {"items", "additionalProperties", "propertyNames"}
_IMPORTED: Final = {"base64url": "Base64UrlBytes", "json": "JsonValue"}


class Models:
    """The schema of a document's models, and of the types of its methods and errors.

    `names` has the class of each definition, `parts` the class that holds the types of each method and error, by
    `method NAME` and `error NAME`. Raises UsageError for a document that Python cannot say.
    """

    def __init__(self, document: ContractDocument) -> None:
        self.names: dict[str, str] = _class_names(document.definitions)
        self.parts: dict[str, str] = {}
        self._schemas: dict[str, JsonValue] = {
            self.names[key]: self._clean(schema, root=True) for key, schema in document.definitions.items() if schema
        }
        for method in document.methods:
            reply: list[JsonSchema] = [] if method.reply is None else [method.reply]
            self._add(f"method {method.name}", method.parameters, reply)
        for key, error in document.errors.items():
            self._add(f"error {key}", error.fields)

    def schema(self) -> JsonSchema:
        """What the generator reads."""
        imported: dict[str, JsonValue] = {
            name: {"x-python-import": {"module": "pydantic", "name": name}} for name in _IMPORTED.values()
        }
        return {"definitions": {**imported, **self._schemas}}

    def _add(self, part: str, parameters: Iterable[ParameterDocument], more: Iterable[JsonSchema] = ()) -> None:
        name = self.parts[part] = f"{PART}{len(self.parts)}"
        schemas = [*(without_default(p.json_schema) for p in parameters), *more]
        properties = {f"p{n}": self._clean(_bare_bytes(schema)) for n, schema in enumerate(schemas)}
        self._schemas[name] = {"type": "object", "properties": properties, "required": list[JsonValue](properties)}

    def _clean(self, schema: JsonValue, *, root: bool = False) -> JsonValue:
        if not isinstance(schema, dict):
            return schema
        if set(schema) <= {"default", "description", "title"}:
            schema = {**schema, "$ref": REFERENCE + _IMPORTED["json"]}
        schema = _as_python_has_it(schema)
        made: dict[str, JsonValue] = {}
        for key, each in schema.items():
            if key in _LISTS and isinstance(each, list):
                made[key] = [self._clean(part) for part in each]
            elif key in _NAMED and isinstance(each, dict):
                made[key] = {name: self._clean(part) for name, part in each.items()}
            elif key in _NESTED:
                made[key] = self._clean(each)
            elif key == "$ref":
                made[key] = self._reference(str(each))
            elif key in _KEYWORDS:
                made[key] = each
        if "enum" in made and not root:
            made["x-enum-field-as-literal"] = True
        return made

    def _reference(self, reference: str) -> str:
        name = reference.removeprefix(REFERENCE)
        if name in _IMPORTED.values() and name not in self.names:
            return REFERENCE + name
        if not reference.startswith(REFERENCE) or name not in self.names:
            raise UsageError(f"the contract document refers to {reference[:200]!r}, which it does not define")
        return REFERENCE + self.names[name]


def without_default(schema: JsonSchema) -> JsonSchema:
    """The type alone."""
    return {key: value for key, value in schema.items() if key != "default"}


def _bare_bytes(schema: JsonValue) -> JsonValue:
    """Outside of models, typedrpc itself writes `bytes` in base64."""
    if isinstance(schema, list):
        return [_bare_bytes(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _bare_bytes(each) for key, each in schema.items()}
    return {**made, "format": "binary"} if schema.get("format") == "base64url" else made


def python_name(name: str, what: str) -> str:
    """The name, where Python takes it as one; else UsageError."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"the contract document has {what} {name[:200]!r}, which is no name in Python")
    return name


def class_name(name: str, taken: Collection[str] = ()) -> str:
    """A name for a class, as Python writes them: `users.v2` is `UsersV2`."""
    parts = [part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name)]
    made = "".join(parts)
    if not made.isidentifier() or keyword.iskeyword(made):
        made = f"Type{made}"
    return next(each for each in (made, *(f"{made}{n}" for n in range(2, len(taken) + 3))) if each not in taken)


def _class_names(definitions: Mapping[str, JsonSchema]) -> dict[str, str]:
    names: dict[str, str] = {}
    for key, schema in definitions.items():
        names[key] = class_name(key, {*names.values(), *_IMPORTED.values()}) if schema else _IMPORTED["json"]
    return names


def _as_python_has_it(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The schema in words that the generator has a Python type for."""
    if schema.get("format") == "base64url":
        rest = {key: value for key, value in schema.items() if key in ("default", "description")}
        return {**rest, "$ref": REFERENCE + _IMPORTED["base64url"]}
    if schema.get("format") == "uri":  # pydantic's own lengths, which its type does not take
        return {key: value for key, value in schema.items() if key not in ("minLength", "maxLength")}
    branches = schema.get("anyOf")
    if isinstance(branches, list) and _is_decimal(branches):
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**rest, **_decimal(branches)}
    if isinstance(branches, list):
        return {**schema, "anyOf": list(_with_decimals(branches))}
    return _fixed_lengths(schema)


def _is_decimal(branches: list[JsonValue]) -> bool:
    kinds = [(each.get("type"), each.get("format")) for each in branches if isinstance(each, dict)]
    return kinds == [("number", None), ("string", "decimal")]


def _decimal(branches: list[JsonValue]) -> dict[str, JsonValue]:
    """A number or its text, in one; the bounds are the number's."""
    number = branches[0]
    return {**(number if isinstance(number, dict) else {}), "format": "decimal"}


def _with_decimals(branches: list[JsonValue]) -> Iterator[JsonValue]:
    """`Decimal | None` has three branches: a number, its text and null."""
    place = 0
    while place < len(branches):
        if _is_decimal(branches[place : place + 2]):
            yield _decimal(branches[place:])
            place += 2
        else:
            yield branches[place]
            place += 1


def _fixed_lengths(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A NamedTuple with defaults is an array of several lengths: one tuple type for each."""
    items, least = schema.get("prefixItems"), schema.get("minItems", 0)
    if not isinstance(items, list) or not isinstance(least, int):
        return schema
    if schema.get("maxItems") != len(items) or least >= len(items):
        return schema
    rest: dict[str, JsonValue] = {key: schema[key] for key in ("default", "description") if key in schema}
    lengths = range(len(items), max(least, 1) - 1, -1)
    return {
        **rest,
        "anyOf": [{"type": "array", "prefixItems": items[:n], "minItems": n, "maxItems": n} for n in lengths],
    }
