"""Whether a document's methods and errors are ones that a service can have. Pure.

The library itself says so: it makes a service of them, with types that take any JSON, and none of the document's code.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from pydantic import JsonValue

from typedrpc.cli.generate.contract import base_of, own_fields
from typedrpc.cli.generate.schema import class_name, python_name
from typedrpc.contract import Service, service
from typedrpc.document import KINDS, ContractDocument, ErrorDocument, MethodDocument, ParameterDocument, RetryDocument
from typedrpc.errors import BUILT_IN, ContractError, RpcError, UsageError
from typedrpc.options import Retry

_KINDS: Final = {word: kind for kind, word in KINDS.items()}


def check(document: ContractDocument) -> None:
    """Raises UsageError, with the method or the error and what is wrong there."""
    if not document.methods:
        raise UsageError("the contract document has no methods: there is nothing to call")
    _check_once((method.python_name for method in document.methods), "methods")
    errors = {key: _error(key, error) for key, error in document.errors.items()}
    try:
        made = {method.python_name: _method(method, errors) for method in document.methods}
        options = {"service": document.service}
        types.new_class(class_name(document.service), (Service, Protocol), options, lambda body: body.update(made))
    except ContractError as error:
        raise UsageError(f"the contract document says what no service can be: {error}") from None


def _check_once(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"the contract document has two {what} {name[:200]!r}")
        seen.add(name)


def _error(key: str, error: ErrorDocument) -> type[RpcError]:
    _check_once((field.name for field in error.fields), f"fields of the error {key[:200]!r} named")
    fields = {python_name(field.name, "a field"): JsonValue for field in own_fields(error)}
    base = next((cls for cls in BUILT_IN.values() if cls.__name__ == base_of(error)), RpcError)
    try:
        name, options = python_name(error.type, "an error"), {"code": error.code}
        return types.new_class(name, (base,), options, lambda body: body.update(__annotations__=fields))
    except ContractError as refusal:
        raise UsageError(f"the contract document says what no error can be: {refusal}") from None


def _method(method: MethodDocument, errors: Mapping[str, type[RpcError]]) -> Any:
    async def declared() -> None: ...

    made: Any = declared
    made.__name__ = made.__qualname__ = python_name(method.python_name, "a method")
    made.__signature__ = _signature(method)
    made.__annotations__ = {
        **{parameter.name: JsonValue for parameter in method.parameters},
        "return": None if method.reply is None else JsonValue,
    }
    options: dict[str, Any] = {
        "name": method.name,
        "topic": method.topic,
        "dialect": method.dialect,
        "delivery": method.delivery,
        "oneway": method.oneway,
        "idempotent": method.idempotent,
        "timeout": method.timeout,
        "retry": None if method.retry is None else _retry(method, method.retry),
        "raises": [errors[key] for key in method.raises if key in errors],
    }
    declare: Any = service.method
    return declare(**options)(made)


def _signature(method: MethodDocument) -> inspect.Signature:
    _check_once((each.name for each in method.parameters), f"parameters of the method {method.name[:200]!r} named")
    itself = "_self" if any(each.name == "self" for each in method.parameters) else "self"
    kinds = {each.kind for each in method.parameters}
    first = "positional_only" if "positional_only" in kinds else "positional_or_keyword"
    try:
        return inspect.Signature([inspect.Parameter(itself, _KINDS[first]), *map(_parameter, method.parameters)])
    except ValueError as error:
        raise UsageError(f"the contract document's method {method.name[:200]!r}: {error}") from None


def _parameter(parameter: ParameterDocument) -> inspect.Parameter:
    default: Any = None if "default" in parameter.json_schema else inspect.Parameter.empty
    name = python_name(parameter.name, "a parameter")
    return inspect.Parameter(name, _KINDS[parameter.kind], default=default, annotation=JsonValue)


def _retry(method: MethodDocument, retry: RetryDocument) -> Retry:
    where = f"the contract document's method {method.name[:200]!r}"
    if not all(map(math.isfinite, (retry.backoff, retry.max_backoff))):
        raise UsageError(f"{where}: a backoff of its retries is no number of seconds")
    try:
        return Retry(
            attempts=retry.attempts,
            attempt_timeout=retry.attempt_timeout,
            backoff=retry.backoff,
            max_backoff=retry.max_backoff,
            on=frozenset(retry.on),
        )
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
