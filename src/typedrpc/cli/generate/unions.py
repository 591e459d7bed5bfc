"""Discriminated unions in generated Python: only those stay that Pydantic can make, for a document may say anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from itertools import combinations

from typedrpc.cli.generate.classes import fields_of, on_wire


def told_apart(module: ast.Module) -> ast.Module:
    """Each `Field(discriminator=...)`, which has the name on the wire, gets the field's name in Python. It goes where a
    member of the union has no literals in that field, or the same ones as another member.
    """
    made = _Discriminated({each.name: each for each in module.body if isinstance(each, ast.ClassDef)}).visit(module)
    assert isinstance(made, ast.Module)
    return made


class _Discriminated(ast.NodeTransformer):
    def __init__(self, classes: Mapping[str, ast.ClassDef]) -> None:
        self._classes = classes

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Subscript(
                value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, ast.Call(keywords=keywords) as field])
            ):
                rest = [each for each in keywords if each.arg != "discriminator"]
                name = next((self._name(kind, each.value) for each in keywords if each not in rest), "")
                field.keywords = [ast.keyword("discriminator", ast.Constant(name)), *rest] if name else rest
                return node if field.keywords else kind
            case _:
                return node

    def _name(self, union: ast.expr, wanted: ast.expr) -> str:
        """The field's name in Python; nothing where it does not tell the members apart."""
        found: set[str] = set()
        values: list[set[object]] = []
        for member in _members(union):
            tags = [self._tags(each, wanted) for each in _leaves(member)]
            found |= {name for name, _ in tags}
            values.append({value for _, literals in tags for value in literals})
        apart = all(values) and not any(one & other for one, other in combinations(values, 2))
        return found.pop() if apart and len(found) == 1 and len(values) > 1 else ""

    def _tags(self, member: ast.expr, wanted: ast.expr) -> tuple[str, set[object]]:
        """Of a class, the name of the field, and its literals."""
        cls = self._classes.get(ast.unparse(member))
        for each in fields_of(cls) if cls else ():
            if on_wire(each) == ast.literal_eval(wanted):
                return ast.unparse(each.target), self._literals(_plain(each.annotation))
        return "", set()

    def _literals(self, kind: ast.expr) -> set[object]:
        match kind:
            case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
                parts = values.elts if isinstance(values, ast.Tuple) else [values]
            case ast.Name(id=name) if name in self._classes:
                parts = [each.value for each in self._classes[name].body if isinstance(each, ast.Assign)]
            case _:
                parts = []
        literals: set[object] = {each.value for each in parts if isinstance(each, ast.Constant)}
        return literals if len(literals) == len(parts) and all(type(each) in (str, int) for each in literals) else set()


def _members(union: ast.expr) -> Iterator[ast.expr]:
    if isinstance(union, ast.BinOp):
        yield from _members(union.left)
        yield from _members(union.right)
    else:
        yield union


def _leaves(member: ast.expr) -> Iterator[ast.expr]:
    """The classes of a member, which may be a discriminated union itself."""
    inner = _plain(member)
    if isinstance(inner, ast.BinOp):
        for each in _members(inner):
            yield from _leaves(each)
    else:
        yield inner


def _plain(kind: ast.expr) -> ast.expr:
    match kind:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return _plain(inner)
        case _:
            return kind
