"""Reads one declared method: its types, what may not be in a contract, and what its contract already said."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import PydanticUserError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo

from typedrpc.arrival import masked, parsed
from typedrpc.codec import MethodCodec, value_adapter
from typedrpc.error_codec import ErrorCodec
from typedrpc.errors import ContractError, RpcError
from typedrpc.method import Declaration, Method, MethodSpec
from typedrpc.options import Call


def define_method(declaration: Declaration, cls: type[Any], contract: MethodSpec | None) -> MethodSpec:
    """The method as the class has it; raises ContractError. `contract` is the method that it implements."""
    fn = declaration.fn
    where = f"{cls.__qualname__}.{fn.__name__}"
    scope = {**declaration.scope, **_nested_types(cls)}
    hints = _hints(fn, scope, where)
    wants_call, signature = _client_signature(fn, hints, where)
    own_reply = signature.return_annotation
    if contract is None:
        _check_types(signature, cls, where)
    else:
        _check_same_parameters(signature, contract, where)
        signature = contract.signature
    spec = MethodSpec(
        fn=fn,
        signature=signature,
        codec=contract.codec if contract else None,
        errors=contract.errors if contract else None,
        wants_call=wants_call,
        **_settings(declaration, contract, where),
    )
    if spec.oneway and own_reply not in (None, type(None)):
        raise ContractError(f"{where}: a oneway method has no reply: let it return None")
    if contract is None:
        spec = replace(spec, errors=_error_codec(spec.raises, scope, where))
    if spec.codec is None and not _open_types(signature):
        spec = replace(spec, codec=method_codec(spec.name, signature, where))
    return spec


def method_codec(name: str, signature: inspect.Signature, where: str) -> MethodCodec:
    """Raises ContractError where Pydantic cannot handle a type."""
    try:
        return MethodCodec(name, signature)
    except PydanticUndefinedAnnotation as error:
        raise ContractError(f"{where}: {error.name!r} is not defined yet: define it before the service") from None
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise ContractError(f"{where}: Pydantic cannot handle {_culprit(signature)}: {first}") from error


def check_implements(spec: MethodSpec, contract: MethodSpec, where: str) -> None:
    """Raises ContractError where a method that another class brings is not what this contract declares."""
    if spec is contract:
        return
    _check_same_parameters(spec.signature, contract, where)
    for name in ("name", "oneway"):
        if getattr(spec, name) != getattr(contract, name):
            raise ContractError(
                f"{where}: {name}={getattr(spec, name)!r} contradicts {contract.fn.__qualname__}'s "
                f"{getattr(contract, name)!r}: rename one of the two methods"
            )


def close_types(signature: inspect.Signature, cls: type[Any], contract: Any) -> inspect.Signature:
    """The signature with a generic contract's type variables replaced by what `contract` or the class says they are."""
    found: dict[Any, Any] = {}
    for base in [contract, *(b for k in cls.__mro__ for b in getattr(k, "__orig_bases__", ()))]:
        names = getattr(get_origin(base), "__parameters__", ())
        for name, value in zip(names, get_args(base), strict=False):
            if name not in found and name is not value:
                found[name] = found.get(value, value)

    def closed(annotation: Any) -> Any:
        if isinstance(annotation, TypeVar):
            return found.get(annotation, annotation)
        names = getattr(annotation, "__parameters__", ())
        return annotation[tuple(found.get(n, n) for n in names)] if names else annotation

    parameters = [p.replace(annotation=closed(p.annotation)) for p in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=closed(signature.return_annotation))


def _culprit(signature: inspect.Signature) -> str:
    named = [(repr(p.name), p.annotation) for p in signature.parameters.values()]
    for name, annotation in [*named, ("the reply", signature.return_annotation)]:
        try:
            value_adapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
            return f"{name}'s type"
    return "one of its types"


def _nested_types(cls: type[Any]) -> dict[str, Any]:
    """Classes made in the class body; its methods may have names of types, as in `def list(self) -> list[int]`."""
    return {n: v for n, v in vars(cls).items() if isinstance(v, type) and not isinstance(v, Method)}


def _hints(fn: Any, scope: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(fn, localns=dict(scope), include_extras=True)
    except NameError as error:
        raise ContractError(
            f"{where}: {error.name!r} is not known when the service is made: define it first, and import it outside "
            "`if TYPE_CHECKING:` (ruff's lint.flake8-type-checking.runtime-evaluated-decorators keeps it there)"
        ) from None
    except (TypeError, AttributeError, SyntaxError) as error:
        raise ContractError(
            f"{where}: an annotation is no type that is known when the service is made: {error}"
        ) from None


def _client_signature(fn: Any, hints: Mapping[str, Any], where: str) -> tuple[bool, inspect.Signature]:
    """Whether the first parameter is the `Call`, and the signature without it and without `self`."""
    parameters = list(inspect.signature(fn).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise ContractError(f"{where}: a service's method takes `self` first")
    parameters = parameters[1:]
    wants_call = (
        bool(parameters)
        and hints.get(parameters[0].name) is Call
        and parameters[0].kind is not parameters[0].KEYWORD_ONLY
    )
    shown = [_checked(p.replace(annotation=hints.get(p.name, p.empty)), where) for p in parameters[wants_call:]]
    returns = hints.get("return", inspect.Signature.empty)
    if returns is inspect.Signature.empty:
        raise ContractError(f"{where}: say what it returns; `-> None` where that is nothing")
    return wants_call, inspect.Signature(shown, return_annotation=returns)


def _checked(parameter: inspect.Parameter, where: str) -> inspect.Parameter:
    name, annotation, default = parameter.name, parameter.annotation, parameter.default
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise ContractError(f"{where}: {stars}{name} has no name on the wire: take a list or a dict instead")
    if _mentions_call(annotation):
        raise ContractError(f"{where}: {name!r}: Call is the first parameter after self, or `current_call()`")
    if annotation is parameter.empty:
        raise ContractError(f"{where}: {name!r} needs an annotation: it is what validates the parameter")
    extras: Sequence[Any] = getattr(annotation, "__metadata__", ())
    for field in [default, *extras]:
        if isinstance(field, FieldInfo) and any((field.alias, field.validation_alias, field.serialization_alias)):
            raise ContractError(f"{where}: {name!r}: a parameter travels by its own name, without an alias: rename it")
    for field in extras:
        if isinstance(field, FieldInfo) and (not field.is_required() or field.exclude):
            raise ContractError(f"{where}: {name!r}: Field(default=) and exclude= mean nothing here: write `= default`")
    if isinstance(default, FieldInfo):
        raise ContractError(f"{where}: {name!r}: write `Annotated[..., Field(...)]` and a plain default")
    if isinstance(default, list | dict | set | bytearray):
        raise ContractError(f"{where}: {name!r}: a default that can change is shared by all calls: use None or a tuple")
    return parameter


def _check_types(signature: inspect.Signature, cls: type[Any], where: str) -> None:
    """Raises ContractError for types that validate nothing, or that do not travel."""
    of_class = set(getattr(cls, "__parameters__", ()))
    named = [(repr(p.name), p.annotation) for p in signature.parameters.values()]
    for name, annotation in [*named, ("the reply", signature.return_annotation)]:
        if _mentions_call(annotation):
            raise ContractError(f"{where}: {name}: a Call does not travel: reply with what the caller needs of it")
        if _validates_nothing(annotation):
            raise ContractError(f"{where}: {name}: Any and object validate nothing: name the type (JsonValue for JSON)")
        if secret := masked(annotation):
            raise ContractError(
                f"{where}: {name}: Pydantic writes asterisks for {secret}, which is what would arrive: take a plain "
                "type, or say that it is to travel: Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value)]"
            )
        if text := parsed(annotation):
            raise ContractError(
                f"{where}: {name}: Pydantic reads {text} from a text and writes what was in it, which is refused where "
                "it arrives: take the type inside, as int for Json[int], or a str"
            )
        for variable in _type_variables(annotation):
            if variable not in of_class:
                raise ContractError(f"{where}: {name}: a method can't be generic ({variable}): name the type")
            if variable.__bound__ is None and not variable.__constraints__:
                raise ContractError(f"{where}: {name}: give {variable} a bound: unbound it validates nothing")


def _validates_nothing(annotation: Any) -> bool:
    """Any and object, also as `Any | None` and `Annotated[Any, ...]`, where they still let everything through."""
    if get_origin(annotation) is Annotated:
        own_schema = any(hasattr(extra, "__get_pydantic_core_schema__") for extra in annotation.__metadata__)
        return not own_schema and _validates_nothing(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return any(_validates_nothing(a) for a in get_args(annotation))
    return annotation in (Any, object)


def _mentions_call(annotation: Any) -> bool:
    return annotation is Call or any(_mentions_call(a) for a in get_args(annotation))


def _type_variables(annotation: Any) -> list[Any]:
    found = [annotation] if isinstance(annotation, TypeVar | ParamSpec) else []
    return found + list(getattr(annotation, "__parameters__", ()) if get_origin(annotation) is not None else ())


def _open_types(signature: inspect.Signature) -> bool:
    annotations = [*(p.annotation for p in signature.parameters.values()), signature.return_annotation]
    return any(_type_variables(a) for a in annotations)


def _check_same_parameters(signature: inspect.Signature, contract: MethodSpec, where: str) -> None:
    def shape(of: inspect.Signature) -> list[tuple[Any, ...]]:
        return [(p.name, p.kind, p.default) for p in of.parameters.values()]

    if shape(signature) != shape(contract.signature):
        raise ContractError(
            f"{where}{signature} differs from its contract, {contract.fn.__qualname__}{contract.signature}: "
            "give it the same parameters in the same order, with the same defaults"
        )


def _settings(declaration: Declaration, contract: MethodSpec | None, where: str) -> dict[str, Any]:
    """What the decorator said, completed by the contract; raises ContractError where they contradict each other."""
    defaults: dict[str, Any] = {"name": declaration.fn.__name__, "oneway": False, "raises": (), "idempotent": False}
    settings: dict[str, Any] = {}
    for name in ("name", "oneway", "timeout", "topic", "dialect", "delivery", "raises", "idempotent", "retry"):
        given = getattr(declaration, name)
        if contract is None:
            settings[name] = defaults.get(name) if given is None else given
            continue
        promised = getattr(contract, name)
        if given is not None and given != promised and not (name == "raises" and set(given) <= set(promised)):
            raise ContractError(f"{where}: {name}={given!r} contradicts its contract's {promised!r}: leave it out")
        settings[name] = promised
    if settings["oneway"] and (settings["raises"] or settings["idempotent"] or settings["retry"]):
        raise ContractError(f"{where}: a oneway method has no reply: leave raises=, idempotent= and retry= out")
    if settings["retry"] is not None and not settings["idempotent"]:
        raise ContractError(f"{where}: retry= needs idempotent=True: a request that is sent again may run twice")
    return settings


def _error_codec(raises: Sequence[Any], scope: Mapping[str, Any], where: str) -> ErrorCodec:
    names: dict[str, Any] = {}
    for error in raises:
        if not (isinstance(error, type) and issubclass(error, RpcError)):
            raise ContractError(f"{where}: raises={error!r} is no RpcError: derive its class from RpcError")
        if names.setdefault(error.__name__, error) is not error:
            raise ContractError(
                f"{where}: raises= names two errors {error.__name__!r}, which travel by name: rename one"
            )
    try:
        return ErrorCodec(raises, scope)
    except NameError as error:
        raise ContractError(f"{where}: {error.name!r}, a type of a field of an error, is not known here") from None
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError, AttributeError, SyntaxError) as error:
        first = str(error).splitlines()[0]
        raise ContractError(f"{where}: Pydantic cannot handle a field of an error: {first}") from error
