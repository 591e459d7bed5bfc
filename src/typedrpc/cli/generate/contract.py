"""Methods and errors of a contract document as Python writes them. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from typedrpc.cli.generate.defaults import Defaults, unchanging
from typedrpc.cli.generate.schema import free_name, python_name
from typedrpc.cli.showing import parameter_list
from typedrpc.document import ContractDocument, ErrorDocument, MethodDocument, ParameterDocument, RetryDocument
from typedrpc.errors import BUILT_IN, UsageError
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
    document: ContractDocument,
    method: MethodDocument,
    types: Sequence[ast.expr],
    defaults: Defaults,
    errors: Mapping[str, str],
) -> MethodText:
    """`errors` are the classes of the document's errors. Raises UsageError for what Python cannot write."""
    reply = "None" if method.reply is None else ast.unparse(types[-1])
    types_of = dict(zip([p.name for p in method.parameters], types, strict=False))
    parts = parameter_list(method.parameters, lambda p: _parameter(p, types_of[p.name], "a parameter", defaults))
    itself = "_self" if "self" in types_of else "self"
    return MethodText(
        name=python_name(method.python_name, "a method"),
        options=_options(document, method, errors),
        parameters=", ".join([itself, *parts]),
        reply=reply,
        doc=docstring(method.doc),
    )


def error_text(name: str, error: ErrorDocument, types: Iterable[ast.expr], defaults: Defaults) -> ErrorText:
    """Raises UsageError as `method_text` does. A field without a known default is one that must be given."""
    own = own_fields(error)
    fields = [(field, kind) for field, kind in zip(error.fields, types, strict=True) if field in own]
    return ErrorText(
        name=name,
        type=python_name(error.type, "an error"),
        base=base_of(error),
        code=error.code.value,
        doc=docstring(error.doc),
        fields=[_field(field, kind, defaults) for field, kind in fields],
    )


def base_of(error: ErrorDocument) -> str:
    """The built-in class that it derives from."""
    return error.base if error.base in _BASES else "RpcError"


def own_fields(error: ErrorDocument) -> list[ParameterDocument]:
    """Those that its base does not bring."""
    return [field for field in error.fields if field.name not in _BASES.get(base_of(error), frozenset())]


def docstring(text: str) -> str:
    """The text as a literal in three quotes; empty where there is none."""
    if not text:
        return ""
    body = text.rstrip('"')
    for plain, escaped in (("\\", "\\\\"), ('"""', '\\"\\"\\"'), ("\r", "\\r"), ("\0", "\\x00")):
        body = body.replace(plain, escaped)
    end = "\n" if "\n" in text else ""
    quotes = '\\"' * (len(text) - len(text.rstrip('"')))
    return f'"""{body}{quotes}{end}"""'


def _parameter(parameter: ParameterDocument, annotation: ast.expr, what: str, defaults: Defaults) -> str:
    name = python_name(parameter.name, what)
    if "default" not in parameter.json_schema:
        return f"{name}: {ast.unparse(annotation)}"
    value = parameter.json_schema["default"]
    if isinstance(value, list):
        annotation = unchanging(annotation)
    return f"{name}: {ast.unparse(annotation)} = {defaults.text(parameter.json_schema, value)}"


def _field(field: ParameterDocument, annotation: ast.expr, defaults: Defaults) -> str:
    empty = field.json_schema.get("default") in ([], {}) and _collection(annotation)
    if not empty:
        return _parameter(field, annotation, "a field", defaults)
    factory = f"dataclasses.field(default_factory={ast.unparse(empty)})"
    return f"{python_name(field.name, 'a field')}: {ast.unparse(annotation)} = {factory}"


def _collection(annotation: ast.expr) -> ast.expr | None:
    """What makes an empty one of the type, as `list[int]`."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="list" | "dict" | "set")):
            return annotation
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *_])):
            return _collection(kind)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _collection(left) or _collection(right)
        case _:
            return None


def _options(document: ContractDocument, method: MethodDocument, errors: Mapping[str, str]) -> str:
    """The decorator's arguments: what differs from the defaults."""
    retry = None if method.retry is None else _retry(method.retry)
    unknown = next((key for key in method.raises if key not in errors), None)
    if unknown is not None:
        raise UsageError(f"the contract document does not describe {unknown[:200]!r}, an error of a method")
    given = {
        "oneway": "True" if method.oneway else None,
        "name": repr(method.name) if method.name != method.python_name else None,
        "topic": repr(method.topic) if method.topic != document.service else None,
        "dialect": repr(method.dialect) if method.dialect != "typedrpc" else None,
        "delivery": repr(method.delivery) if method.delivery != "at_least_once" else None,
        "timeout": repr(method.timeout) if method.timeout is not None else None,
        "raises": f"[{', '.join(errors[key] for key in method.raises)}]" if method.raises else None,
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


def visible(module: str) -> str:
    """The contract's module, with other names for types and modules that a method's name hides inside of the class: a
    class that has a method `list` writes `_list[int]`.
    """
    tree = ast.parse(module)
    contract = next(each for each in tree.body if isinstance(each, ast.ClassDef))
    methods = {each.name for each in contract.body if isinstance(each, ast.AsyncFunctionDef)}
    used = {each.id for method in contract.body for each in ast.walk(method) if isinstance(each, ast.Name)}
    if not methods & used:
        return module
    others = {name: free_name(f"_{name}", methods | used) for name in sorted(methods & used)}
    for method in contract.body:
        _Renamed(others).visit(method)
    aliases = ast.parse("\n".join(f"{other} = {name}" for name, other in others.items())).body
    tree.body[tree.body.index(contract) : tree.body.index(contract)] = aliases
    return ast.unparse(tree)


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)
