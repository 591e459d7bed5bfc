"""Contracts as text: a method's signature, as Python writes it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from typedrpc.document import MethodDocument, ParameterDocument
from typedrpc.schemas import default_text, type_text


def parameter_text(parameter: ParameterDocument) -> str:
    """`name: type`, with the default where it has one."""
    text = f"{parameter.name}: {type_text(parameter.json_schema)}"
    return text if parameter.required else text + default_text(parameter.json_schema)


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
