"""The contract document: a service as JSON, for tools and for those who do not share its code."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any, ClassVar, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, JsonValue

from typedrpc.contract import ServiceSpec, contract_of
from typedrpc.errors import BUILT_IN, RpcError, Status
from typedrpc.method import Delivery, Dialect
from typedrpc.options import Retry
from typedrpc.schemas import JsonSchema, Schemas, makes_empty
from typedrpc.signature import close_types

VERSION: Final = version("typedrpc")

KINDS: Final[dict[Any, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional_only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional_or_keyword",
    inspect.Parameter.KEYWORD_ONLY: "keyword_only",
}
"""How a document says that a parameter is given by its place, by its name, or by either."""


class _Part(BaseModel):
    """What is not known is kept out: a document may come from a newer version."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")


class ParameterDocument(_Part):
    """A parameter of a method, or a field of an error. `json_schema` has its default, where it has one."""

    name: str
    kind: Literal["positional_only", "positional_or_keyword", "keyword_only"] = "positional_or_keyword"
    required: bool = True
    json_schema: JsonSchema


class ErrorDocument(_Part):
    """A declared error: its name on the wire, its status, its fields, and the built-in class that it derives from."""

    type: str
    code: Status
    doc: str = ""
    base: str = "RpcError"
    fields: list[ParameterDocument] = []


class RetryDocument(_Part):
    """As `typedrpc.Retry`, with the statuses in order."""

    attempts: int
    attempt_timeout: float | None
    backoff: float
    max_backoff: float
    on: list[Status]


class MethodDocument(_Part):
    """One method: `name` is the one on the wire. `timeout` is in seconds; `reply` None is that of a oneway; `raises`
    holds keys of the document's `errors`.
    """

    name: str
    python_name: str
    doc: str = ""
    topic: str
    dialect: Dialect = "typedrpc"
    delivery: Delivery = "at_least_once"
    oneway: bool = False
    idempotent: bool = False
    timeout: float | None = None
    retry: RetryDocument | None = None
    parameters: list[ParameterDocument] = []
    reply: JsonSchema | None = None
    raises: list[str] = []


class ContractDocument(_Part):
    """A service as JSON: `model_dump_json()` writes it, `model_validate_json()` reads it.

    The schemas are JSON Schemas of what a receiver takes, with `#/definitions/...` for models. `hash` is of all that
    matters to a caller or a server: not of descriptions, and not of the version `typedrpc` that wrote it.
    """

    service: str
    doc: str = ""
    hash: str
    typedrpc: str
    methods: list[MethodDocument]
    errors: dict[str, ErrorDocument] = {}
    definitions: dict[str, JsonSchema] = {}


def contract_schema(contract: Callable[..., object]) -> ContractDocument:
    """The document of a contract, of a class that serves one, or of `Crud[User]`, a generic one with its types.

    Raises UsageError for what is no service.
    """
    cls, spec = contract_of(contract)
    return document_of(spec, cls, contract)


def document_of(spec: ServiceSpec, cls: type[Any], types: Any) -> ContractDocument:
    """The document of the service of the class `cls`; open types are those of `types`, as `Crud[User]` or a server."""
    schemas = Schemas()
    errors: dict[str, type[RpcError]] = {}
    methods = [_method(cls, spec, name, types, errors, schemas) for name in spec.methods]
    documented = {key: _error(error, spec, schemas) for key, error in sorted(errors.items())}
    document = {
        "service": spec.name,
        "doc": _doc(cls),
        "typedrpc": VERSION,
        "methods": methods,
        "errors": documented,
    }
    filled, definitions = schemas.fill(document)
    filled = {**filled, "definitions": definitions}
    return ContractDocument.model_validate({**filled, "hash": contract_hash(filled)})


def request_schema(method: MethodDocument) -> JsonSchema:
    """The JSON Schema of a request's body: an object of the parameters by name; the bare value in other dialects."""
    if method.dialect != "typedrpc":
        return method.parameters[0].json_schema if method.parameters else {"type": "null"}
    return object_schema(method.parameters)


def object_schema(parameters: Iterable[ParameterDocument]) -> JsonSchema:
    """The JSON Schema of an object that has these."""
    parameters = list(parameters)
    schema: JsonSchema = {"type": "object", "properties": {p.name: p.json_schema for p in parameters}}
    required: list[JsonValue] = [p.name for p in parameters if p.required]
    return {**schema, "required": required} if required else schema


def contract_hash(document: dict[str, Any]) -> str:
    """SHA-256, in hexadecimal, of what matters in a document."""
    matters = essence({k: v for k, v in document.items() if k not in ("typedrpc", "hash")})
    return hashlib.sha256(json.dumps(matters, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_WORDS = {"doc", "description", "title", "examples"}
_NAMED = {"properties", "definitions", "errors", "patternProperties"}
"""Of these, the keys are somebody's names."""
_VALUES = {"default", "const", "enum"}


def declared_errors(document: ContractDocument, method: MethodDocument) -> dict[str, ErrorDocument]:
    """Those that the method raises, by their keys; without any that the document names and does not describe, as one
    from anywhere may.
    """
    return {key: document.errors[key] for key in method.raises if key in document.errors}


def essence(value: Any, *, named: bool = False) -> Any:
    """What matters in a part of a document: all but descriptions. `named`: the keys are somebody's names."""
    if isinstance(value, list):
        return [essence(each) for each in cast("list[Any]", value)]  # type: ignore[redundant-cast]  # pyright sees list[Unknown]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, each in cast("dict[str, Any]", value).items():
        if named or key not in _WORDS:
            found[key] = each if key in _VALUES and not named else essence(each, named=key in _NAMED and not named)
            if key == "required" and isinstance(found[key], list):
                found[key] = sorted(found[key], key=str)  # in a model, the order of fields says nothing
    return found


def _method(
    cls: type[Any],
    service: ServiceSpec,
    python_name: str,
    types: Any,
    errors: dict[str, type[RpcError]],
    schemas: Schemas,
) -> dict[str, Any]:
    spec = service.methods[python_name]
    signature = spec.signature if spec.codec else _closed(spec.signature, cls, types)
    return {
        "name": spec.name,
        "python_name": python_name,
        "doc": inspect.cleandoc(spec.fn.__doc__ or ""),
        "topic": service.topic_of(spec),
        "dialect": service.dialect_of(spec),
        "delivery": service.delivery_of(spec),
        "oneway": spec.oneway,
        "idempotent": spec.idempotent,
        "timeout": spec.timeout,
        "retry": _retry(spec.retry) if spec.retry else None,
        "parameters": [_parameter(p, schemas) for p in signature.parameters.values()],
        "reply": None if spec.oneway else schemas.of(signature.return_annotation),
        "raises": [_key(error, errors) for error in spec.raises],
    }


def _closed(signature: inspect.Signature, cls: type[Any], types: Any) -> inspect.Signature:
    return close_types(signature, types, None) if isinstance(types, type) else close_types(signature, cls, types)


def _key(error: type[RpcError], errors: dict[str, type[RpcError]]) -> str:
    """Its name; methods may each have an error of that name, though."""
    key, number = error.__name__, 1
    while errors.setdefault(key, error) is not error:
        number += 1
        key = f"{error.__name__}_{number}"
    return key


def _retry(retry: Retry) -> dict[str, Any]:
    return {
        "attempts": retry.attempts,
        "attempt_timeout": retry.attempt_timeout,
        "backoff": retry.backoff,
        "max_backoff": retry.max_backoff,
        "on": sorted(retry.on),
    }


def _error(error: type[RpcError], service: ServiceSpec, schemas: Schemas) -> dict[str, Any]:
    method = next(m for m in service.methods.values() if error in m.raises)
    assert method.errors is not None
    doc = inspect.cleandoc(error.__doc__ or "")
    built_in = next((k.__name__ for k in error.__mro__ if k in BUILT_IN.values()), "RpcError")
    return {
        "type": error.__name__,
        "code": error.code,
        "doc": "" if doc.startswith(f"{error.__name__}(") else doc,  # @dataclass has written it
        "base": built_in,
        "fields": [_field(field, schemas) for field in method.errors.fields_of(error)],
    }


def _parameter(parameter: inspect.Parameter, schemas: Schemas) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "kind": KINDS[parameter.kind],
        "required": parameter.default is parameter.empty,
        "json_schema": schemas.of(parameter.annotation, parameter.default),
    }


def _field(field: dataclasses.Field[Any], schemas: Schemas) -> dict[str, Any]:
    default: Any = inspect.Parameter.empty
    factory: Any = field.default_factory
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif makes_empty(factory):
        default = factory()
    return {
        "name": field.name,
        "kind": "keyword_only",
        "required": default is inspect.Parameter.empty and factory is dataclasses.MISSING,
        "json_schema": schemas.of(field.type, default),
    }


def _doc(cls: type[Any]) -> str:
    return inspect.cleandoc(vars(cls).get("__doc__") or "")
