"""Contracts as text: types as Python writes them, and a method's signature."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

from typedrpc.document import MethodDocument, ParameterDocument
from typedrpc.schemas import REFERENCE, JsonSchema

_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_FORMATS = {
    "base64url": "bytes",
    "binary": "bytes",
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
}


def type_text(schema: JsonSchema) -> str:
    """The type, briefly: constraints are left to the schema itself."""
    found = cast("dict[str, Any]", schema)
    if "$ref" in found:
        return str(found["$ref"]).removeprefix(REFERENCE)
    if "enum" in found or "const" in found:
        words: list[Any] = found.get("enum", [found.get("const")])
        return f"Literal[{', '.join(map(repr, words))}]"
    for union in ("anyOf", "oneOf"):
        if union in found:
            return " | ".join(dict.fromkeys(type_text(each) for each in found[union]))
    kind = found.get("type")
    if kind == "array":
        return f"list[{type_text(found.get('items', {}))}]"
    if kind == "object":
        values = cast("JsonSchema | bool", found.get("additionalProperties", True))
        return found.get("title") or ("dict" if isinstance(values, bool) else f"dict[str, {type_text(values)}]")
    return _FORMATS.get(str(found.get("format")), _NAMES.get(str(kind), "Any"))


def parameter_text(parameter: ParameterDocument) -> str:
    """`name: type`, with the default where it has one."""
    default = parameter.json_schema.get("default")
    text = f"{parameter.name}: {type_text(parameter.json_schema)}"
    return text if parameter.required else f"{text} = {json.dumps(default)}"


def signature_text(method: MethodDocument) -> str:
    """`name(parameters) -> reply`."""
    reply = "None" if method.reply is None else type_text(method.reply)
    return f"{method.name}({', '.join(parameter_list(method.parameters, parameter_text))}) -> {reply}"


def parameter_list(parameters: Sequence[ParameterDocument], text: Callable[[ParameterDocument], str]) -> Generator[str]:
    """The parameters as text, with Python's `/` and `*` between their kinds."""
    before: str | None = None
    for parameter in parameters:
        if before == "positional_only" != parameter.kind:
            yield "/"
        if before != "keyword_only" == parameter.kind:
            yield "*"
        yield text(parameter)
        before = parameter.kind
    if before == "positional_only":
        yield "/"
