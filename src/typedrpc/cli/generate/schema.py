"""A contract document as one JSON Schema, for the generator of models. Pure.

A document may come from whoever may write to Kafka, and the generator reads more out of a schema than a JSON Schema
says, remote references and imports among it: nothing but the keywords named here gets through.
"""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import JsonValue

from typedrpc.cli.generate.formats import FORMATS, MODULES, PYDANTIC, constraints, named_type, unconstrained
from typedrpc.document import ContractDocument, ParameterDocument
from typedrpc.errors import UsageError
from typedrpc.schema_parts import capitalized
from typedrpc.schemas import REFERENCE, JsonSchema

_PART: Final = "TypedrpcPart"
"""Begins the names of classes that only hold the types of a method or an error: `TypedrpcPart0` with `p0`, `p1`, ..."""

_MARK: Final = "TypedrpcMark"
"""Begins the names of definitions that are made for a type of which something is said that the generator drops."""

_KEYWORDS: Final = {
    *("type", "format", "enum", "const", "default", "description", "required", "uniqueItems", "pattern", "$ref"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "x-enum-varnames"),
}
_LISTS: Final = {"anyOf", "oneOf", "allOf", "prefixItems"}
_NAMED: Final = {"properties", "patternProperties"}
_NESTED: Final = {"items", "additionalProperties"}
_SAID: Final = ("deprecated", "readOnly", "writeOnly")
IMPORTS: Final = """
import dataclasses
import typing
import typedrpc
from typing import Annotated
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from uuid import UUID
from pydantic import AnyUrl, ConfigDict, Field, JsonValue, TypeAdapter
from pydantic import Field as _Field
"""
"""What a module may need beside the generator's own imports; ruff takes out what it does not."""
RESERVED: Final[set[str]] = {
    *re.findall(r"\w+", IMPORTS),
    *("Any", "BaseModel", "IntEnum", "Literal", "MISSING", "Optional", "RootModel", "StrEnum", "Union"),
    *("UUID1", "UUID3", "UUID4", "UUID5", *PYDANTIC),
}
"""Names that mean something else in a generated module."""


_Place = Literal["definition", "field", "type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is said of a type: the field on the wire that tells a union's members apart, annotations, and constraints as
    arguments in Python.
    """

    discriminator: str = ""
    said: Mapping[str, bool] = field(default_factory=dict[str, bool])
    constraints: Mapping[str, str] = field(default_factory=dict[str, str])

    def __bool__(self) -> bool:
        return bool(self.discriminator or self.said or self.constraints)


class Models:
    """The schema of a document's models, and of the types of its methods and errors.

    `names` has the class of each definition, `titles` what the document calls a class of another name, `marks` what is
    said of a class beside its schema, and `parts` the class that holds the types of each method and error, by `method
    NAME` and `error NAME`. Raises UsageError for a document that Python cannot say.
    """

    def __init__(self, document: ContractDocument) -> None:
        self.names: dict[str, str] = _class_names(document.definitions)
        self.titles: dict[str, str] = {
            name: title
            for key, name in self.names.items()
            if (title := str(document.definitions[key].get("title", key))) != name
        }
        self.parts: dict[str, str] = {}
        self.marks: dict[str, Mark] = {}
        self._schemas: dict[str, JsonValue] = {}
        for key, schema in document.definitions.items():
            if schema:
                self.marks[self.names[key]] = _mark(schema, "definition")
                self._schemas[self.names[key]] = self._clean(schema, "definition")
        for method in document.methods:
            reply: list[JsonSchema] = [] if method.reply is None else [method.reply]
            self._add(f"method {method.name}", method.parameters, reply)
        for key, error in document.errors.items():
            self._add(f"error {key}", error.fields)

    def schema(self) -> JsonSchema:
        """What the generator reads."""
        imported: dict[str, JsonValue] = {
            name: {"x-python-import": {"module": module, "name": name}} for name, module in MODULES.items()
        }
        return {"definitions": {**imported, **self._schemas}}

    def _add(self, part: str, parameters: Iterable[ParameterDocument], more: Iterable[JsonSchema] = ()) -> None:
        name = self.parts[part] = class_name(f"{_PART}{len(self.parts)}", self._schemas)
        schemas = [*(without_default(p.json_schema) for p in parameters), *more]
        properties = {f"p{n}": self._clean(schema) for n, schema in enumerate(schemas)}
        self._schemas[name] = {"type": "object", "properties": properties, "required": list[JsonValue](properties)}

    def _clean(self, schema: JsonValue, place: _Place = "type") -> JsonValue:
        if not isinstance(schema, dict):
            return schema
        schema = _one_decimal(schema)
        mark = _mark(schema, place)
        if place != "definition" and (mark or "prefixItems" in schema):  # of tuples in a dict it would make an alias
            return self._marked(schema, place, mark)
        if "$ref" in schema:
            schema = {**schema, "$ref": self._reference(str(schema["$ref"]))}
        if set(schema) <= {"default", "description", "title"}:
            schema = {**schema, "$ref": REFERENCE + "JsonValue"}
        schema = _as_python_has_it(schema)
        made: dict[str, JsonValue] = {}
        for key, each in schema.items():
            if key in _LISTS and isinstance(each, list):
                made[key] = [self._clean(part) for part in each]
            elif key in _NAMED and isinstance(each, dict):
                inner: _Place = "field" if (key, place) == ("properties", "definition") else "type"
                made[key] = {name: self._clean(part, inner) for name, part in each.items()}
            elif key in _NESTED:
                made[key] = self._clean(each)
            elif key == "propertyNames":
                made[key] = _imported(each) or self._clean(each)
            elif key in _KEYWORDS or (key, place) == ("deprecated", "field"):
                made[key] = each
        if "enum" in made and place != "definition":
            made["x-enum-field-as-literal"] = True
        return made

    def _marked(self, schema: dict[str, JsonValue], place: _Place, mark: Mark) -> JsonValue:
        """A reference to a definition that is made for it."""
        kept = {"default", "description", *(("deprecated",) if place == "field" else ())}
        name = class_name(f"{_MARK}{len(self.marks)}", {*self.names.values(), *self.marks})
        self.marks[name] = mark
        left = {key: value for key, value in schema.items() if key not in {*kept, *_SAID, "discriminator"}}
        inside = unconstrained(left)
        self._schemas[name] = self._clean(inside, "definition" if "prefixItems" in inside else "type")
        return {**{key: value for key, value in schema.items() if key in kept}, "$ref": REFERENCE + name}

    def _reference(self, reference: str) -> str:
        name = reference.removeprefix(REFERENCE)
        if not reference.startswith(REFERENCE) or name not in self.names:
            raise UsageError(f"the contract document refers to {reference[:200]!r}, which it does not define")
        return REFERENCE + self.names[name]


def _mark(schema: Mapping[str, JsonValue], place: _Place) -> Mark:
    """What the generator drops: it knows that a field of a model is deprecated."""
    union = schema.get("discriminator") if "oneOf" in schema else None
    name = union.get("propertyName") if isinstance(union, dict) else None
    dropped = [key for key in _SAID if (key, place) != ("deprecated", "field")]
    return Mark(
        discriminator=name if isinstance(name, str) else "",
        said={key: True for key in dropped if schema.get(key) is True},
        constraints=constraints(schema),
    )


def without_default(schema: JsonSchema) -> JsonSchema:
    """The type alone."""
    return {key: value for key, value in schema.items() if key != "default"}


def python_name(name: str, what: str) -> str:
    """The name, where Python takes it as one, and as no private or special one of its own; else UsageError."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise UsageError(f"the contract document has {what} {name[:200]!r}, which is no name in Python")
    return name


def class_name(name: str, taken: Collection[str] = ()) -> str:
    """A name for a class, as Python writes them: `users.v2` is `UsersV2`."""
    made = capitalized(name)
    if not made.isidentifier() or keyword.iskeyword(made):
        made = f"Type{made}"
    return free_name(made, taken)


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken or means something else in a generated module."""
    numbered = (f"{name}{n}" for n in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken and each not in RESERVED)


def _class_names(definitions: Mapping[str, JsonSchema]) -> dict[str, str]:
    names: dict[str, str] = {}
    for key, schema in definitions.items():
        names[key] = class_name(key, set(names.values())) if schema else "JsonValue"
    return names


def _imported(keys: JsonValue) -> JsonValue:
    """A format of a dict's keys, which the generator knows by its class only; None where there is none."""
    if not isinstance(keys, dict):
        return None
    kind = FORMATS.get(str(keys.get("format")))
    name = named_type({"type": "string", **keys}) or (kind.__name__ if kind else "")
    return {"$ref": REFERENCE + name} if name else None


def _as_python_has_it(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The schema in words that the generator has a Python type for."""
    rest = {key: value for key, value in schema.items() if key in ("default", "description")}
    name = named_type({key: value for key, value in schema.items() if key not in rest})
    if schema.get("format") == "base64url":
        name = "Base64UrlBytes"
    if name:
        return {**rest, "$ref": REFERENCE + name}
    schema = _known_format(schema)
    branches = schema.get("anyOf")
    if isinstance(branches, list):
        return {**schema, "anyOf": list(_with_decimals(branches))}
    return _fixed_lengths(schema)


def _one_decimal(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A type of its own where a `Decimal` is a number or a text."""
    branches = schema.get("anyOf")
    if not (isinstance(branches, list) and _is_decimal(branches)):
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **_decimal(branches)}


def _known_format(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    name = str(schema.get("format"))
    if name == "uri":  # pydantic's own lengths, which its type does not take
        return {key: value for key, value in schema.items() if key not in ("minLength", "maxLength")}
    if name in ("ipv4network", "ipv6network"):
        return {**schema, "format": name.replace("network", "-network")}
    if name == "binary" or name in FORMATS:
        return schema
    return {key: value for key, value in schema.items() if key != "format"}


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
