"""Classes and types in Python, made by datamodel-code-generator, and mended where a type checker would object."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datamodel_code_generator import InputFileType, LiteralType, PythonVersion, generate
from datamodel_code_generator.enums import DataModelType, DefaultValueType, TargetPydanticVersion
from datamodel_code_generator.format import DatetimeClassType

from typedrpc.cli.generate.classes import fields_of, is_enum, is_root_model
from typedrpc.cli.generate.defaults import decoded
from typedrpc.cli.generate.schema import Mark, Models
from typedrpc.cli.generate.soundness import Soundness
from typedrpc.cli.generate.unions import told_apart
from typedrpc.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedModels:
    """Source code: the imports, the classes, and by the parts of `Models` the types of each method and error. `sound`
    knows what the classes take.
    """

    imports: str
    classes: str
    class_names: Sequence[str]
    types: Mapping[str, Sequence[ast.expr]]
    sound: Soundness


def generated(models: Models) -> GeneratedModels:
    """Raises UsageError where the generator cannot read the schemas."""
    module = ast.parse(_generate(json.dumps(models.schema())))
    module = told_apart(_without_root_models(module, models))
    imports = [each for each in module.body if isinstance(each, ast.Import | ast.ImportFrom)]
    classes = {each.name: each for each in module.body if isinstance(each, ast.ClassDef)}
    own = [cls for name, cls in classes.items() if name not in models.parts.values()]
    own.sort(key=is_enum, reverse=True)  # the generator does not see that the keys of a dict need their enum before
    for cls in own:
        _write_bytes_in_base64(cls)
        _mend_defaults(cls)
        _name_aliased_fields(cls)
        _free_members(cls)
        _free_field(cls)
        if not is_enum(cls):
            _add_settings(cls, models)
    types = {part: _plain_types(classes[name]) if name in classes else [] for part, name in models.parts.items()}
    sound = Soundness(own)
    sound.check(types)
    return GeneratedModels(
        imports="\n".join(map(ast.unparse, imports)),
        classes="\n\n\n".join(ast.unparse(cls) + _title(cls, models.titles) for cls in own),
        class_names=[cls.name for cls in own],
        types=types,
        sound=sound,
    )


def _generate(schema: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constraints that the chosen types imply
        try:
            made = generate(
                schema,
                input_file_type=InputFileType.JsonSchema,
                output_model_type=DataModelType.PydanticV2BaseModel,
                target_python_version=PythonVersion.PY_311,
                target_pydantic_version=TargetPydanticVersion.V2_14,
                output_datetime_class=DatetimeClassType.Datetime,
                enum_field_as_literal=LiteralType.Off,
                deserialize_default_values=list(DefaultValueType),
                strict_nullable=True,
                strict_refs=True,
                allow_remote_refs=False,
                skip_root_model=True,
                treat_dot_as_module=False,
                use_annotated=True,
                field_constraints=True,
                use_missing_sentinel=True,  # what may be left out and has no default is not null
                use_schema_description=True,
                use_single_line_docstring=True,
                use_specialized_enum=True,
                use_tuple_for_fixed_items=True,
                use_unique_items_as_set=True,
                formatters=[],
            )
        except Exception as error:  # it documents no common one
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            said = "".join(each if each.isprintable() else "?" for each in first[:300])
            raise UsageError(f"no models can be made of the contract document: {said}") from error
    if not isinstance(made, str):
        raise UsageError("the contract document has models in several modules: none has a dot in its name")
    return made


def _annotations(cls: ast.ClassDef) -> list[ast.expr]:
    """Those of the fields, in order."""
    return [each.annotation for each in fields_of(cls)]


def _without_root_models(module: ast.Module, models: Models) -> ast.Module:
    """The type itself in place of a `RootModel`, which callers would have to wrap and unwrap. It stays where it refers
    to itself, and where it holds bytes, which models write in another way.
    """
    roots: dict[str, ast.expr] = {}
    for each in module.body:
        if isinstance(each, ast.ClassDef) and is_root_model(each):
            (root,) = _annotations(each)
            if each.name not in models.names.values() or "bytes" not in _names_in(root):
                roots[each.name] = _marked(root, models.marks.get(each.name))
    within = {name: _names_in(root) & roots.keys() for name, root in roots.items()}
    for _ in roots:
        within = {name: found.union(*(within[each] for each in found)) for name, found in within.items()}
    roots = {name: root for name, root in roots.items() if name not in within[name]}
    if sum(_sizes(roots).values()) > _MOST_NODES:
        raise UsageError("the contract document has types that hold each other so often that they can't be written out")
    inlined = _Inlined(roots)
    for _ in roots:  # one may be of others
        roots.update({name: inlined.visit(root) for name, root in roots.items()})
    module.body = [each for each in module.body if not (isinstance(each, ast.ClassDef) and each.name in roots)]
    made = inlined.visit(module)
    assert isinstance(made, ast.Module)
    return made


def _marked(kind: ast.expr, mark: Mark | None) -> ast.expr:
    """The type, with what is said of it beside its schema."""
    if not mark:
        return kind
    given = {"discriminator": mark.discriminator, "json_schema_extra": dict(mark.said)}
    written = {**{name: repr(value) for name, value in given.items() if value}, **mark.constraints}
    arguments = ", ".join(f"{name}={value}" for name, value in written.items())
    return ast.parse(f"Annotated[{ast.unparse(kind)}, Field({arguments})]", mode="eval").body


_MOST_NODES = 100_000
_PROTECTED = ("model_dump", "model_validate")  # Pydantic warns of fields that begin so


def _sizes(roots: Mapping[str, ast.expr]) -> Mapping[str, int]:
    """How many nodes each has once the others are in place in it; none refers to itself."""
    sizes: dict[str, int] = {}

    def size(name: str) -> int:
        if name not in sizes:
            names = [each.id for each in ast.walk(roots[name]) if isinstance(each, ast.Name)]
            sizes[name] = len(names) + sum(size(each) for each in names if each in roots)
        return sizes[name]

    return {name: size(name) for name in roots}


def _plain_types(cls: ast.ClassDef) -> list[ast.expr]:
    """Outside of models, typedrpc itself writes `bytes` in base64, and takes no `Any`, which validates nothing."""
    return [_PLAIN_TYPES.visit(each) for each in _annotations(cls)]


class _Inlined(ast.NodeTransformer):
    """Puts types in place of names, and leaves out constraints that say nothing."""

    def __init__(self, types: Mapping[str, ast.expr]) -> None:
        self._types = types

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._types.get(node.id, node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match self.generic_visit(node):
            case ast.Subscript(
                value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, ast.Call(keywords=keywords)])
            ) if {each.arg for each in keywords} <= _implied(kind):
                return kind
            case visited:
                return visited


def _implied(kind: ast.expr) -> set[str | None]:
    lengths = {"min_length", "max_length"} if ast.unparse(kind).startswith("tuple[") else set[str]()
    return {"validate_default", *lengths}


_BASE64 = "Base64UrlBytes"
_PLAIN_BYTES = _Inlined({_BASE64: ast.Name("bytes", ast.Load())})
_PLAIN_TYPES = _Inlined({_BASE64: ast.Name("bytes", ast.Load()), "Any": ast.Name("JsonValue", ast.Load())})


def _names_in(node: ast.AST) -> set[str]:
    """Also those in quotes, which the generator writes for what comes later."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def _write_bytes_in_base64(cls: ast.ClassDef) -> None:
    """`bytes` in place of `Base64UrlBytes`, which is made of text that is base64 already. A class that has both kinds
    of bytes, or a default of many, keeps it.
    """
    fields = fields_of(cls)
    own = [each for each in fields if _BASE64 in _names_in(each.annotation)]
    many = any(each.value is not None and _holds_text(each.value) for each in own)
    if not own or many or any("bytes" in _names_in(each.annotation) for each in fields):
        return
    for each in own:
        if isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            each.value = ast.Constant(decoded(each.value.value))
    cls.bases = [_PLAIN_BYTES.visit(base) for base in cls.bases]
    cls.body = [_PLAIN_BYTES.visit(each) for each in cls.body]
    _configure(cls, "ser_json_bytes='base64', val_json_bytes='base64'")


def _holds_text(value: ast.expr) -> bool:
    return not isinstance(value, ast.Constant) and any(isinstance(each, ast.Constant) for each in ast.walk(value))


def _mend_defaults(cls: ast.ClassDef) -> None:
    """A default that JSON writes in another type, as a date in text, is one for a validator only."""
    field = "_Field" if "Field" in _field_names(cls) else "Field"
    for each in fields_of(cls):
        if each.value is not None and not _is_of_type(each.value, each.annotation):
            validated = f"{field}({ast.unparse(each.value)}, validate_default=True)"
            each.value = ast.parse(validated, mode="eval").body


def _is_of_type(value: ast.expr, annotation: ast.expr) -> bool:
    names = _names_in(annotation)
    match value:
        case ast.Constant(value=str()):
            return bool(names & {"str", "Literal", "JsonValue"}) and not names & {"Decimal", "Base64UrlBytes"}
        case ast.List(elts=[]) | ast.Dict(keys=[]):
            return True
        case ast.List() | ast.Dict() | ast.Tuple() | ast.Set():
            return False
        case _:
            return True


def _name_aliased_fields(cls: ast.ClassDef) -> None:
    """A field whose name on the wire is none in Python is given by its own name, `from_` for `from`."""
    fields = fields_of(cls)
    if any(isinstance(part, ast.keyword) and part.arg == "alias" for each in fields for part in ast.walk(each)):
        _configure(cls, "validate_by_name=True")


def _field_names(cls: ast.ClassDef) -> set[str]:
    return {ast.unparse(each.target) for each in fields_of(cls)}


def _add_settings(cls: ast.ClassDef, models: Models) -> None:
    """What is said of a model itself, and that its fields may have names like `model_dump_all`."""
    if said := models.marks.get(cls.name, Mark()).said:
        _configure(cls, f"json_schema_extra={said!r}")
    if cls.name in models.titles:
        _configure(cls, f"title={models.titles[cls.name]!r}")
    if any(name.startswith(_PROTECTED) for name in _field_names(cls)):
        _configure(cls, "protected_namespaces=()")


def _configure(cls: ast.ClassDef, settings: str) -> None:
    """Adds to the model's configuration."""
    config = ast.parse(f"model_config = ConfigDict({settings})").body[0]
    assert isinstance(config, ast.Assign)
    assert isinstance(config.value, ast.Call)
    for each in cls.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call):  # there is one
            each.value.keywords += config.value.keywords
            return
    cls.body = [each for each in cls.body if not isinstance(each, ast.Pass)]
    cls.body.insert(1 if ast.get_docstring(cls) is not None else 0, config)


def _title(cls: ast.ClassDef, titles: Mapping[str, str]) -> str:
    """What gives an enum its title, before a model has it: JSON Schema takes the name that it has for itself."""
    return "" if not is_enum(cls) or cls.name not in titles else f"\n\n{cls.name}.__name__ = {titles[cls.name]!r}"


def _free_field(cls: ast.ClassDef) -> None:
    """In a class that has a field `Field`, the function goes by its other name."""
    if "Field" in _field_names(cls):
        other = _Inlined({"Field": ast.Name("_Field", ast.Load())})
        for each in fields_of(cls):
            each.annotation = other.visit(each.annotation)


def _free_members(cls: ast.ClassDef) -> None:
    """An enum with a member `title` is no StrEnum: a text has a method of that name."""
    for base, kind in (("StrEnum", str), ("IntEnum", int)):
        members = {target for each in cls.body if isinstance(each, ast.Assign) for target in _names_in(each.targets[0])}
        if [ast.unparse(each) for each in cls.bases] == [base] and any(hasattr(kind, each) for each in members):
            cls.bases = [ast.Name("Enum", ast.Load())]
