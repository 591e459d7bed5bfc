"""JSON Schemas of types, as the codecs read and write them; made together, for they share their definitions. And back:
a schema as the type that Python would write.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from enum import Flag
from functools import partial
from typing import Any, Final, cast, get_origin

from pydantic import JsonValue, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import from_json, to_json, to_jsonable_python

from typedrpc.codec import value_adapter

JsonSchema = dict[str, JsonValue]

REFERENCE = "#/definitions/"
"""Where a schema looks for a definition: in the document's own `definitions`."""


_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_FORMATS = {
    "base64url": "bytes",
    "binary": "bytes",
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "decimal": "Decimal",
    "complex": "complex",
}
_BOUNDS: Final = dict.fromkeys(("ge", "gt", "le", "lt"))
_IN_TIME: Final = {**_BOUNDS, "tz_constraint": None, "microseconds_precision": "truncate"}
_OF_URLS: Final = {"allowed_schemes": None, "host_required": False}
_UNSHOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "str": {"ascii_only": False},
    "float": {"allow_inf_nan": True},
    "decimal": {"allow_inf_nan": False, "max_digits": None, "decimal_places": None},
    "date": {**_BOUNDS, "now_op": None},
    "time": _IN_TIME,
    "datetime": {**_IN_TIME, "now_op": None},
    "timedelta": {**_BOUNDS, "multiple_of": None, "microseconds_precision": "truncate"},
    "url": _OF_URLS,
    "multi-host-url": _OF_URLS,
}
"""By the kind of Pydantic's own schema, the constraints that JSON Schema has no keyword for, and what they are where
nothing is refused.
"""


def makes_empty(factory: object) -> bool:
    """Whether a default's factory is `list`, `dict[str, int]` or the like: known without a call of somebody's code."""
    return (get_origin(factory) or factory) in (list, dict, set, frozenset, tuple)


class Place:
    """Where a schema goes once all are made, for they share their definitions."""

    def __init__(self, name: str, default: JsonSchema) -> None:
        self.name: str = name
        self.default: JsonSchema = default


class Schemas:
    """Collects types, and makes their schemas together."""

    def __init__(self) -> None:
        self._adapters: list[TypeAdapter[Any]] = []

    def of(self, annotation: Any, default: Any = inspect.Parameter.empty) -> Place:
        """Stands for the type's schema."""
        name = f"typedrpc_{len(self._adapters)}"
        adapter = value_adapter(annotation, name)
        self._adapters.append(adapter)
        return Place(name, {} if default is inspect.Parameter.empty else {"default": _as_json(adapter, default)})

    def fill(self, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, JsonSchema]]:
        """The document with schemas in place, and the definitions that they refer to."""
        inputs: Any = [(f"typedrpc_{n}", "validation", a) for n, a in enumerate(self._adapters)]
        made, shared = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE + "{model}", schema_generator=_Generator)
        definitions: dict[str, Any] = shared.get("$defs", {})

        def placed(value: Any) -> Any:
            if isinstance(value, Place):
                schema = made[value.name, "validation"]
                if schema.get("$ref") == REFERENCE + value.name:
                    schema = _by_reference(definitions[value.name], definitions)
                return {**schema, **value.default}
            if isinstance(value, dict):
                return {key: placed(each) for key, each in cast("dict[str, Any]", value).items()}
            if isinstance(value, list):
                return [placed(each) for each in cast("list[Any]", value)]  # type: ignore[redundant-cast]  # pyright sees list[Unknown]
            return value

        filled = placed(document)
        return filled, {k: v for k, v in sorted(definitions.items()) if not k.startswith("typedrpc_")}


def type_text(schema: JsonValue) -> str:
    """The type, briefly: constraints are left to the schema itself. What is no schema allows anything."""
    found = schema if isinstance(schema, dict) else {}
    if "$ref" in found:
        return str(found["$ref"]).removeprefix(REFERENCE)
    words = found.get("enum", [found["const"]] if "const" in found else None)
    if isinstance(words, list):
        return f"Literal[{', '.join(map(repr, words))}]"
    for union in (found.get("anyOf"), found.get("oneOf")):
        if isinstance(union, list):
            names = dict.fromkeys(type_text(each) for each in union)
            return " | ".join(name for name in names if name != "float" or "Decimal" not in names)
    kind = found.get("type")
    if kind == "array":
        return _array_text(found)
    if kind == "object":
        values = found.get("additionalProperties")
        return str(found.get("title") or (f"dict[str, {type_text(values)}]" if isinstance(values, dict) else "dict"))
    return _FORMATS.get(str(found.get("format")), _NAMES.get(str(kind), "Any"))


def _array_text(schema: JsonSchema) -> str:
    """A `frozenset` is a set to JSON, and a `tuple[int, ...]` is a list."""
    places = schema.get("prefixItems")
    if isinstance(places, list):
        return f"tuple[{', '.join(map(type_text, places))}]"
    return f"{'set' if schema.get('uniqueItems') else 'list'}[{type_text(schema.get('items'))}]"


def default_text(schema: JsonSchema) -> str:
    """The default as Python would write it, behind ` = `; nothing where there is none."""
    return f" = {schema['default']!r}" if "default" in schema else ""


def _by_reference(schema: JsonSchema, definitions: dict[str, Any]) -> JsonSchema:
    """A reference in place of an enum, a dataclass or a TypedDict, which Pydantic writes out where an adapter has it at
    its top: it is one type, wherever it stands.
    """
    title = schema.get("title")
    if not (isinstance(title, str) and ("properties" in schema or "enum" in schema)):
        return schema
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", title)
    key, number = clean, 1
    while _undescribed(definitions.setdefault(key, schema)) != _undescribed(schema):
        number += 1
        key = f"{clean}_{number}"
    return {"$ref": REFERENCE + key}


def _undescribed(schema: JsonSchema) -> JsonSchema:
    return {key: value for key, value in schema.items() if key != "description"}


def _as_json(adapter: TypeAdapter[Any], value: Any) -> JsonValue:
    shape = value
    try:
        dumped = adapter.dump_json(value, by_alias=True, warnings="error")
        shape = adapter.dump_python(value, by_alias=True)
    except Exception:  # noqa: BLE001  # a default that would not travel either: its text says what it is
        dumped = to_json(value, fallback=repr)
    return _ordered(from_json(dumped), shape)


def _ordered(made: JsonValue, value: Any) -> JsonValue:
    """What was made of the value, with its sets in an order, for Python's own is another in each process."""
    match made, value:
        case list(), set() | frozenset():
            return sorted(made, key=to_json)
        case list(), list() | tuple():
            values: list[Any] = [*value]
            return [_ordered(*pair) for pair in zip(made, values, strict=True)] if len(values) == len(made) else made
        case dict(), dict():
            values = [*value.values()]
            if len(values) != len(made):  # keys that are one in JSON
                return made
            return {key: _ordered(each, of) for (key, each), of in zip(made.items(), values, strict=True)}
        case _:
            return made


class _Generator(GenerateJsonSchema):
    """Pydantic's, with a schema that allows anything for a type that only its validator knows."""

    _own_configurations = 0

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # "Created At" says no more than `created_at`

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """A default that JSON cannot show is left out."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        with self._configured(True):
            return super().model_schema(schema)

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:
        with self._configured(_configures_itself(schema)):
            return super().dataclass_schema(schema)

    def typed_dict_schema(self, schema: Any) -> JsonSchemaValue:
        with self._configured(_configures_itself(schema)):
            return super().typed_dict_schema(schema)

    @contextmanager
    def _configured(self, own: bool) -> Generator[None]:
        """Inside of a type that has a configuration of its own, and not JSON_CONFIG."""
        self._own_configurations += own
        try:
            yield
        finally:
            self._own_configurations -= own

    def build_schema_type_to_method(self) -> Any:
        """With the constraints that JSON Schema has no keyword for."""
        methods: dict[Any, Any] = super().build_schema_type_to_method()
        told = {kind: partial(self._with_unshown, methods[kind]) for kind in _UNSHOWN if kind != "decimal"}
        return {**methods, **told}

    def _with_unshown(self, method: Callable[[Any], JsonSchemaValue], schema: Any) -> JsonSchemaValue:
        return {**method(schema), **self._unshown(schema)}

    def _unshown(self, schema: Any) -> JsonSchemaValue:
        """By the names that Pydantic has for them: `x-tz-constraint`."""
        made: JsonSchemaValue = {}
        for key, plain in _UNSHOWN[schema["type"]].items():
            value = schema.get(key, self._config.config_dict.get(key, plain))
            if value != plain:
                made[f"x-{key.replace('_', '-')}"] = to_jsonable_python(value)
        return made

    def float_schema(self, schema: Any) -> JsonSchemaValue:
        """A bound of 0.0 is one of 0."""
        made = super().float_schema(schema)
        return {key: int(each) if isinstance(each, float) and each.is_integer() else each for key, each in made.items()}

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        """Told apart from `float | str`."""
        made = super().decimal_schema(schema)
        for branch in made.get("anyOf", []):
            branch.update(self._unshown(schema))
            if branch.get("type") == "string":
                branch["format"] = "decimal"
        return made

    def complex_schema(self, schema: Any) -> JsonSchemaValue:
        """Told apart from `str`."""
        return {**super().complex_schema(schema), "format": "complex"}

    def enum_schema(self, schema: Any) -> JsonSchemaValue:
        """With the names of its members, as OpenAPI's generators read them; those of a flag may be combined."""
        if issubclass(schema["cls"], Flag):
            return {"type": "integer"}
        return {**super().enum_schema(schema), "x-enum-varnames": [member.name for member in schema["members"]]}

    def get_default_value(self, schema: Any) -> Any:
        """Also where a factory makes it empty, as in `Field(default_factory=list)`."""
        factory = schema.get("default_factory")
        return factory() if makes_empty(factory) else super().get_default_value(schema)

    def bytes_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().bytes_schema(schema)
        # by JSON_CONFIG, which it does not see
        return made if self._own_configurations else {**made, "format": "base64url"}

    def encode_default(self, dft: Any) -> Any:
        if self._own_configurations:
            return _ordered(super().encode_default(dft), dft)
        return _as_json(value_adapter(type(dft)), dft)


def _configures_itself(schema: Any) -> bool:
    return getattr(schema.get("cls"), "__pydantic_config__", None) is not None
