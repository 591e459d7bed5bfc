"""Methods and errors of a contract document as Python writes them. Pure."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from typedrpc.cli.showing import parameter_list
from typedrpc.cli.stubs.defaults import Defaults, unchanging
from typedrpc.cli.stubs.schema import python_name
from typedrpc.document import ContractDocument, ErrorDocument, MethodDocument, ParameterDocument, RetryDocument
from typedrpc.errors import BUILT_IN
from typedrpc.options import Retry

_BASES: Final[dict[str, frozenset[str]]] = {
    cls.__name__: frozenset(getattr(cls, "__annotations__", ())) for cls in BUILT_IN.values()
}
"""The built-in errors, with the fields that they bring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodText:
    """One method, in parts."""

    name: str
    options: str
    parameters: str
    reply: str
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorText:
    """One error class, in parts; `type` is its name on the wire."""

    name: str
    type: str
    base: str
    code: str
    doc: str
    fields: Sequence[str]


def method_text(
    document: ContractDocument, method: MethodDocument, types: Sequence[ast.expr], defaults: Defaults
) -> MethodText:
    """Raises UsageError for a name or a default that Python cannot write."""
    methods = {each.python_name for each in document.methods}
    annotations = [_outside(each, methods) for each in types]
    reply = "None" if method.reply is None else ast.unparse(annotations[-1])
    types_of = dict(zip([p.name for p in method.parameters], annotations, strict=False))
    parts = parameter_list(method.parameters, lambda p: _parameter(p, types_of[p.name], "a parameter", defaults))
    return MethodText(
        name=python_name(method.python_name, "a method"),
        options=_options(document, method),
        parameters=", ".join(["self", *parts]),
        reply=reply,
        doc=docstring(method.doc),
    )


def error_text(key: str, error: ErrorDocument, types: Iterable[ast.expr], defaults: Defaults) -> ErrorText:
    """Raises UsageError as `method_text` does. A field without a known default is one that must be given."""
    base = error.base if error.base in _BASES else "RpcError"
    inherited = _BASES.get(base, frozenset())
    fields = [(field, kind) for field, kind in zip(error.fields, types, strict=True) if field.name not in inherited]
    return ErrorText(
        name=python_name(key, "an error"),
        type=python_name(error.type, "an error"),
        base=base,
        code=error.code.value,
        doc=docstring(error.doc),
        fields=[_parameter(field, kind, "a field", defaults) for field, kind in fields],
    )


def docstring(text: str) -> str:
    """The text as a literal in three quotes; empty where there is none."""
    if not text:
        return ""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    end = "\n" if "\n" in escaped else " " if escaped.endswith('"') else ""
    return f'"""{escaped}{end}"""'


def _parameter(parameter: ParameterDocument, annotation: ast.expr, what: str, defaults: Defaults) -> str:
    name = python_name(parameter.name, what)
    if "default" not in parameter.json_schema:
        return f"{name}: {ast.unparse(annotation)}"
    value = parameter.json_schema["default"]
    if isinstance(value, list):
        annotation = unchanging(annotation)
    return f"{name}: {ast.unparse(annotation)} = {defaults.text(parameter.json_schema, value)}"


def _options(document: ContractDocument, method: MethodDocument) -> str:
    """The decorator's arguments: what differs from the defaults."""
    retry = None if method.retry is None else _retry(method.retry)
    given = {
        "oneway": "True" if method.oneway else None,
        "name": repr(method.name) if method.name != method.python_name else None,
        "topic": repr(method.topic) if method.topic != document.service else None,
        "dialect": repr(method.dialect) if method.dialect != "typedrpc" else None,
        "delivery": repr(method.delivery) if method.delivery != "at_least_once" else None,
        "timeout": f"{method.timeout:g}" if method.timeout is not None else None,
        "raises": f"[{', '.join(method.raises)}]" if method.raises else None,
        "idempotent": "True" if method.idempotent else None,
        "retry": retry,
    }
    arguments = ", ".join(f"{name}={text}" for name, text in given.items() if text is not None)
    return f"({arguments})" if arguments else ""


def _retry(retry: RetryDocument) -> str:
    usual = Retry()
    statuses = ", ".join(f"typedrpc.Status.{status.value}" for status in retry.on)
    on = None if frozenset(retry.on) == usual.on else f"frozenset({{{statuses}}})" if statuses else "frozenset()"
    numbers = ("attempts", "attempt_timeout", "backoff", "max_backoff")
    given = {name: getattr(retry, name) for name in numbers if getattr(retry, name) != getattr(usual, name)}
    arguments = [f"{name}={value!r}" for name, value in given.items()] + ([f"on={on}"] if on else [])
    return f"typedrpc.Retry({', '.join(arguments)})"


def _outside(annotation: ast.expr, methods: set[str]) -> ast.expr:
    """The types of a class that has a method `list`: there the name means the method."""
    hidden = {name for name in methods if hasattr(builtins, name)}
    return _Builtins(hidden).visit(annotation) if hidden else annotation


class _Builtins(ast.NodeTransformer):
    def __init__(self, hidden: set[str]) -> None:
        self._hidden = hidden

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Attribute(ast.Name("builtins", ast.Load()), node.id, ast.Load()) if node.id in self._hidden else node
