"""Contracts as text: a method's signature, as Python writes it."""

from __future__ import annotations

import json

from typedrpc.document import MethodDocument, ParameterDocument
from typedrpc.schemas import type_text


def parameter_text(parameter: ParameterDocument) -> str:
    """`name: type`, with the default where it has one."""
    default = parameter.json_schema.get("default")
    text = f"{parameter.name}: {type_text(parameter.json_schema)}"
    return text if parameter.required else f"{text} = {json.dumps(default)}"


def signature_text(method: MethodDocument) -> str:
    """`name(parameters) -> reply`."""
    parts: list[str] = []
    kinds = [p.kind for p in method.parameters]
    for place, parameter in enumerate(method.parameters):
        if parameter.kind == "keyword_only" and "keyword_only" not in kinds[:place]:
            parts.append("*")
        parts.append(parameter_text(parameter))
        if parameter.kind == "positional_only" and kinds[place + 1 : place + 2] != ["positional_only"]:
            parts.append("/")
    reply = "None" if method.reply is None else type_text(method.reply)
    return f"{method.name}({', '.join(parts)}) -> {reply}"
