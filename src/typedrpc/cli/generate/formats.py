"""The Python types of formats, and of the constraints for which JSON Schema has no keyword. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from pydantic import (
    AnyHttpUrl,
    AnyUrl,
    AnyWebsocketUrl,
    FileUrl,
    FtpUrl,
    HttpUrl,
    JsonValue,
    TypeAdapter,
    ValidationError,
    WebsocketUrl,
)

from typedrpc.errors import UsageError
from typedrpc.schemas import JsonSchema, Schemas

FORMATS: Final[Mapping[str, type]] = {
    "date": date,
    "date-time": datetime,
    "time": time,
    "duration": timedelta,
    **dict.fromkeys(("uuid", "uuid1", "uuid3", "uuid4", "uuid5"), UUID),
    "decimal": Decimal,
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
    "ipv4network": IPv4Network,
    "ipv6network": IPv6Network,
    "path": Path,
    "uri": AnyUrl,
}
"""The classes of formats; what has another one is a text, as the generator may know a class that writes it differently,
or one that is not installed."""


URLS: Final[Mapping[str, type]] = {
    kind.__name__: kind for kind in (HttpUrl, AnyHttpUrl, WebsocketUrl, AnyWebsocketUrl, FtpUrl, FileUrl)
}
_schemas = Schemas()
_CONSTRAINED: Final[Mapping[str, JsonSchema]] = {
    "AwareDatetime": {"type": "string", "format": "date-time", "x-tz-constraint": "aware"},
    "NaiveDatetime": {"type": "string", "format": "date-time", "x-tz-constraint": "naive"},
    "PastDatetime": {"type": "string", "format": "date-time", "x-now-op": "past"},
    "FutureDatetime": {"type": "string", "format": "date-time", "x-now-op": "future"},
    "PastDate": {"type": "string", "format": "date", "x-now-op": "past"},
    "FutureDate": {"type": "string", "format": "date", "x-now-op": "future"},
    **_schemas.fill({name: _schemas.of(kind) for name, kind in URLS.items()})[0],
}
PYDANTIC: Final = ("Base64UrlBytes", "JsonValue", *_CONSTRAINED)
"""Names of types that a generated module may take from Pydantic."""
MODULES: Final[Mapping[str, str]] = {
    **dict.fromkeys(PYDANTIC, "pydantic"),
    **{kind.__name__: kind.__module__.partition(".")[0] for kind in FORMATS.values()},  # pathlib._local in Python 3.13
}
"""Where types come from that a schema may refer to."""

_NUMBERS: Final = {"x-max-digits": int, "x-decimal-places": int, "x-allow-inf-nan": bool}
_TIMES: Final = ("x-ge", "x-gt", "x-le", "x-lt", "x-multiple-of")
_ARGUMENTS: Final = {*_NUMBERS, *_TIMES}


def named_type(schema: JsonValue) -> str:
    """Pydantic's name for exactly this type, or nothing."""
    return next((name for name, constrained in _CONSTRAINED.items() if schema == constrained), "")


def class_of(schema: JsonSchema) -> type | None:
    """The class of the values that the schema describes as texts of a format; None where it has none."""
    alone = {key: value for key, value in schema.items() if key not in ("default", "description")}
    return URLS.get(named_type(alone)) or FORMATS.get(str(schema.get("format")))


def constraints(schema: Mapping[str, JsonValue]) -> dict[str, str]:
    """Those that `Field` takes, as its arguments in Python; raises UsageError for a bound that is none of its type."""
    given = {key: value for key, value in schema.items() if key in _ARGUMENTS}
    return {key.removeprefix("x-").replace("-", "_"): _argument(key, value, schema) for key, value in given.items()}


def unconstrained(schema: JsonSchema) -> JsonSchema:
    """The same without them."""
    return {key: value for key, value in schema.items() if key not in _ARGUMENTS}


def _argument(key: str, value: JsonValue, schema: Mapping[str, JsonValue]) -> str:
    kind: Any = _NUMBERS.get(key) or FORMATS.get(str(schema.get("format")))
    try:
        bound: Any = TypeAdapter(kind).validate_python(value, strict=key in _NUMBERS)
    except (ValidationError, TypeError):
        bound = None
    match bound:
        case bool() | int():
            return repr(bound)
        case timedelta():
            return repr(bound).removeprefix("datetime.")
        case datetime() | date() | time():
            return f"{kind.__name__}.fromisoformat({bound.isoformat()!r})"
        case _:
            raise UsageError(f"the contract document has {key}: {str(value)[:200]!r}, which is no bound of its type")
