"""What a generated class says, as it is read from its source. Pure."""

from __future__ import annotations

import ast


def fields_of(cls: ast.ClassDef) -> list[ast.AnnAssign]:
    """Its own, in order; an enum has members instead."""
    return [each for each in cls.body if isinstance(each, ast.AnnAssign)]


def on_wire(field: ast.AnnAssign) -> str:
    """The name of a field in JSON."""
    aliases = [each.value for each in ast.walk(field) if isinstance(each, ast.keyword) and each.arg == "alias"]
    return str(ast.literal_eval(aliases[0])) if aliases else ast.unparse(field.target)


def is_enum(cls: ast.ClassDef) -> bool:
    """Whether it has members; else it is a model."""
    return any(ast.unparse(base).endswith("Enum") for base in cls.bases)


def is_root_model(cls: ast.ClassDef) -> bool:
    """Whether its one field is all that it is in JSON."""
    return any(ast.unparse(base).startswith("RootModel[") for base in cls.bases)
