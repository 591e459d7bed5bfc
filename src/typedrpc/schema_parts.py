"""What a JSON Schema says, taken apart for comparing: its union's members, its name, its kind, its constraints."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from typedrpc.document import essence
from typedrpc.schemas import REFERENCE, JsonSchema, type_text

_DOCS: Final = {"description", "title", "examples"}
_SHAPE: Final = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "format",
    "items",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "type",
    "uniqueItems",
    "x-enum-varnames",
}
_ANNOTATIONS: Final = {"deprecated", "readOnly", "writeOnly", "$comment"}
_AROUND: Final = {"default", *_ANNOTATIONS, *_DOCS}
"""What is said of a place rather than of one type in it."""
_LOWER: Final = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_UPPER: Final = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "x-max-digits"}
_REFUSING: Final = {
    *("multipleOf", "pattern", "discriminator", "x-ascii-only", "x-decimal-places", "x-ge", "x-gt", "x-le", "x-lt"),
    *("x-multiple-of", "x-now-op", "x-tz-constraint", "x-microseconds-precision", "x-allowed-schemes"),
    "x-host-required",
}
"""What has none of these refuses less; two that differ are not compared, but for a few."""
INFINITE: Final = "x-allow-inf-nan"
"""Says nothing to integers, which are finite."""
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


class Union(NamedTuple):
    """A type as its members, one where it is no union; `around` is said of the whole, `aliases` are names of unions."""

    members: list[JsonSchema]
    around: JsonSchema
    aliases: frozenset[str]


def union_of(schema: JsonSchema, definitions: Mapping[str, JsonSchema], kept: Container[str]) -> Union:
    """The schema as a union; names of unions are replaced by these, but for those `kept`. None of a `Literal` is a
    member, as that of `| None` is.
    """
    around = {key: value for key, value in schema.items() if key in _AROUND}
    rest = {key: value for key, value in schema.items() if key not in _AROUND or key == "title"}
    alias = reference(rest)
    whole = definitions.get(alias, rest) if alias not in kept else rest
    if {"anyOf", "oneOf"} & whole.keys():
        around |= constraints(whole)
        if "oneOf" in whole:
            around["discriminator"] = object_of(whole.get("discriminator")).get("propertyName", "a function")
    aliases: set[str] = set()
    members = _members(rest, definitions, kept, aliases)
    return Union(members, around, frozenset(aliases))


def _members(
    schema: JsonSchema, definitions: Mapping[str, JsonSchema], kept: Container[str], aliases: set[str]
) -> list[JsonSchema]:
    name = reference(schema)
    definition = definitions.get(name, {})
    if name not in kept and name not in aliases and {"anyOf", "oneOf"} & definition.keys():
        aliases.add(name)
        return _members(definition, definitions, kept, aliases)
    inner, values, types = _inner(schema), values_of(schema), schema.get("type")
    if inner:
        return [member for each in inner for member in _members(each, definitions, kept, aliases)]
    if None in values:
        rest = {key: value for key, value in schema.items() if key not in ("type", "const")}
        others: JsonValue = [value for value in values if value is not None]
        null: JsonSchema = {"type": "null"}
        return [{**rest, "enum": others}, null] if others else [null]
    if isinstance(types, list):
        return [{**schema, "type": each} for each in types]
    return [schema]


def references(schema: JsonSchema) -> set[str]:
    """The names that a union, or a type that is none, refers to by itself."""
    return {reference(each) for each in _inner(schema) or [schema]} - {""}


def _inner(schema: JsonSchema) -> list[JsonSchema]:
    inner = schema.get("anyOf", schema.get("oneOf"))
    return [schema_of(each) for each in inner] if isinstance(inner, list) else []


def object_of(value: JsonValue) -> dict[str, JsonValue]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def schema_of(value: JsonValue) -> JsonSchema:
    """A schema that stands in another; `true`, or none, allows anything."""
    return {"not": {}} if value is False else object_of(value)


def texts(value: JsonValue) -> set[str]:
    """The texts in a list."""
    return {each for each in value if isinstance(each, str)} if isinstance(value, list) else set()


def reference(schema: JsonSchema) -> str:
    """The name of the definition that the schema refers to, or nothing."""
    return str(schema.get("$ref", "")).removeprefix(REFERENCE)


def named(schema: JsonSchema) -> str:
    """The name of the model or enum that the schema is or refers to, or nothing."""
    return reference(schema) or str(schema.get("title", ""))


def same_class(old: str, one: JsonSchema, new: str, other: JsonSchema) -> bool:
    """Whether two keys name one class: Pydantic writes `module__User` where there is another `User`, and `typedrpc
    generate` writes `PageUser` for `Page_User_`, and keeps its title.
    """
    if one.get("title", old) != other.get("title", new):
        return False
    title = re.sub(r"\W", "_", str(one.get("title", "")))
    keys = {old, new}
    if title in keys and all(key == title or key.endswith(f"__{title}") for key in keys):
        return True
    shorter, longer = sorted(map(capitalized, keys), key=len)
    return bool(re.fullmatch(rf"{shorter}\d*", longer))


def capitalized(name: str) -> str:
    """The name as `typedrpc generate` writes that of a class, which may have a number after it: `page_User` is
    `PageUser`.
    """
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def resolved(schema: JsonSchema, definitions: Mapping[str, JsonSchema]) -> JsonSchema:
    """The schema with what it refers to in its place."""
    if "$ref" not in schema:
        return schema
    return {**definitions.get(reference(schema), {}), **{k: v for k, v in schema.items() if k != "$ref"}}


def values_of(schema: JsonSchema) -> list[JsonValue]:
    """Those of a `Literal` or an enum."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return values if isinstance(values, list) else []


def member_names(schema: JsonSchema) -> dict[str, str]:
    """Those of an enum, by its values as JSON."""
    names = schema.get("x-enum-varnames")
    pairs = zip(values_of(schema), names if isinstance(names, list) else [], strict=False)
    return {as_json(value): str(name) for value, name in pairs}


def without(values: list[JsonValue], others: list[JsonValue]) -> list[JsonValue]:
    """The values that are not among the others; to JSON, 1 is not `true`."""
    there = {as_json(each) for each in others}
    return [each for each in values if as_json(each) not in there]


def as_json(value: JsonValue) -> str:
    """As text that is the same for equal values."""
    return json.dumps(value, sort_keys=True)


def kind(schema: JsonSchema) -> tuple[str, str]:
    """The type, and what it is in Python where JSON has one for several."""
    of_type = str(schema.get("type", ""))
    if values_of(schema):
        return "enum", ""
    if of_type == "array":
        return of_type, "tuple" if "prefixItems" in schema else "set" if schema.get("uniqueItems") else "list"
    return of_type, "model" if "properties" in schema else ""


def is_any(schema: JsonSchema) -> bool:
    """Whether it allows values of all types."""
    return type_text(schema) == "Any" and not schema.keys() & {"$ref", "enum", "const", "type"}


def fits(value: JsonValue, schema: JsonSchema) -> bool:
    """Whether the value of a `Literal` is surely one of the schema's type."""
    if "format" in schema or constraints(schema).keys() - {INFINITE}:
        return False
    wanted = _TYPES.get(str(schema.get("type")), (object,))
    return isinstance(value, wanted) and (not isinstance(value, bool) or bool in wanted or object in wanted)


def constraints(schema: JsonSchema) -> JsonSchema:
    """All that is said beside what the type is, descriptions left out."""
    return {key: value for key, value in schema.items() if key not in _SHAPE | _DOCS}


def matters(key: str, value: JsonValue, definitions: Mapping[str, JsonSchema]) -> JsonValue:
    """What a keyword says, without descriptions, and with what it refers to in its place."""
    stripped: JsonValue = essence({key: value})[key]
    return stripped if key == "default" else _expanded(stripped, definitions, {})


def _expanded(value: JsonValue, definitions: Mapping[str, JsonSchema], numbers: dict[str, int]) -> JsonValue:
    """Each definition once, and its number after that: some hold each other so often that no memory has room for it."""
    if isinstance(value, list):
        return [_expanded(each, definitions, numbers) for each in value]
    if not isinstance(value, dict):
        return value
    name = reference(value)
    if name and name not in numbers:
        numbers[name] = len(numbers)
        return _expanded(essence(resolved(value, definitions)), definitions, numbers)
    made = {key: _expanded(each, definitions, numbers) for key, each in value.items() if key != "$ref"}
    return {**made, "$ref": numbers[name]} if name else made


def constraint_rule(key: str, old: JsonValue, new: JsonValue) -> str:
    """The rule of a keyword that differs; None is one that is not there."""
    if key == "default":
        return "FIELD_DEFAULT_CHANGED"
    if key in _ANNOTATIONS:
        return "ANNOTATION_CHANGED"
    if key == INFINITE:  # none is `true` of a float, and `false` of a Decimal
        return _constraint_rule(tighter=new is False or old is True, looser=True)
    if key in _LOWER | _UPPER | _REFUSING:
        if old is None or new is None:
            return _constraint_rule(tighter=old is None, looser=True)
        if isinstance(old, int | float) and isinstance(new, int | float):
            return _bound_rule(key, old, new)
        if key == "x-allowed-schemes":
            before, after = texts(old), texts(new)
            return _constraint_rule(tighter=after <= before, looser=before <= after)
    return "CONSTRAINT_CHANGED"


def _bound_rule(key: str, old: float, new: float) -> str:
    if old == new:  # 1 and 1.0
        return "ANNOTATION_CHANGED"
    if key == "multipleOf":
        return _constraint_rule(tighter=bool(old) and new % old == 0, looser=bool(new) and old % new == 0)
    if key in _LOWER | _UPPER:
        return _constraint_rule(tighter=(new > old) == (key in _LOWER), looser=(new < old) == (key in _LOWER))
    return "CONSTRAINT_CHANGED"  # the more decimal places, the fewer digits may be before them


def _constraint_rule(*, tighter: bool, looser: bool) -> str:
    return "CONSTRAINT_TIGHTENED" if tighter else "CONSTRAINT_LOOSENED" if looser else "CONSTRAINT_CHANGED"
