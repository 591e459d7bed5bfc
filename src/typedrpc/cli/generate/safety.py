"""Whether a generated module only declares. Pure.

Whoever may write to Kafka may answer for a server, and a generator may take a text of a document for code: what is not
known to be harmless to import is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Final

from typedrpc.cli.generate.schema import RESERVED
from typedrpc.errors import RpcError, UsageError

_MODULES: Final = {
    *("__future__", "dataclasses", "datetime", "decimal", "enum", "ipaddress", "pathlib", "typing", "uuid"),
    *("pydantic", "pydantic.experimental.missing_sentinel", "typedrpc", "client", "contract", "errors", "models"),
}
_BUILT_IN: Final = {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"}
_OF_MODULES: Final = {
    *("Protocol", "Retry", "RpcError", "Service", "Status", "client", "field", "service"),
    *(cls.__name__ for cls in RpcError.__subclasses__()),
}
_CALLED: Final = {"Retry", "client", "field", "fromisoformat", "method", "model_validate_json", "validate_python"}
_NODES: Final = (
    *(ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.ClassDef, ast.AsyncFunctionDef, ast.arguments, ast.arg),
    *(ast.Assign, ast.AnnAssign, ast.Expr, ast.Pass, ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Call),
    *(ast.keyword, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.BinOp, ast.BitOr, ast.UnaryOp, ast.USub, ast.Lambda),
    *(ast.Load, ast.Store),
)


def checked(text: str) -> str:
    """The module's text; raises UsageError where it does more than declare, and SyntaxError where it is no Python."""
    module = ast.parse(text)
    known = _names(module)
    for node in ast.walk(module):
        if not isinstance(node, _NODES) or not _is_harmless(node, known):
            raise UsageError(
                f"the contract document makes Python that does more than declare: {ast.unparse(node)[:100]!r}"
            )
    return text


def _names(module: ast.Module) -> Collection[str]:
    """Those that the module may use: what it imports and defines, and types that are built in."""
    found = {*RESERVED, *_BUILT_IN}
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {each.asname or each.name for each in node.names}
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
    return found


def _is_harmless(node: ast.AST, known: Collection[str]) -> bool:
    match node:
        case ast.Import(names=names):
            return {each.name for each in names} <= _MODULES
        case ast.ImportFrom(module=module):
            return module in _MODULES
        case ast.Name(id=name, ctx=ast.Load()):
            return name in known
        case ast.Attribute(attr="__name__", ctx=ast.Store()):
            return True
        case ast.Attribute(value=ast.Name(id="dataclasses" | "typedrpc" | "typing"), attr=name):
            return name in _OF_MODULES
        case ast.Attribute(attr=name):
            return not name.startswith("_")
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _CALLED
        case ast.Call(func=function):
            return isinstance(function, ast.Name)
        case ast.Subscript(value=kind, slice=inner) if not ast.unparse(kind).startswith("Literal"):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return all(_is_type(each, known) for each in parts)
        case ast.AnnAssign(annotation=ast.Constant(value=str())) | ast.arg(annotation=ast.Constant(value=str())):
            return False
        case _:
            return True


def _is_type(node: ast.expr, known: Collection[str]) -> bool:
    """A text in a type is evaluated."""
    return not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or node.value in known
