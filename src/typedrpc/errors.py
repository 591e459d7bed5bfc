"""The errors of a call, by gRPC's status names, and the errors of using this library wrongly."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from pydantic.fields import FieldInfo
from typing_extensions import TypedDict, dataclass_transform


class UsageError(RuntimeError):
    """The library is used wrongly in this process; nothing was sent."""


class ContractError(TypeError):
    """A class cannot be a service. Raised while the class is made; says the method, the parameter and the remedy."""


class Status(StrEnum):
    """How a call ended: gRPC's seventeen names, which also travel as text in the header `rpc-status`.

    Source: https://grpc.io/docs/guides/status-codes/
    """

    OK = "OK"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
class _Declared(Exception):
    """Makes a dataclass of each subclass. On `RpcError` itself, its own `message` would not count as a field."""

    def __init_subclass__(cls, *, code: Status | None = None) -> None:
        super().__init_subclass__()
        if code is not None:
            setattr(cls, "code", code)  # noqa: B010  # a ClassVar of RpcError, which this class does not know
        taken = Exception if cls.__bases__ == (_Declared,) else RpcError
        for name in inspect.get_annotations(cls):
            where = f"{cls.__qualname__}.{name}"
            if hasattr(taken, name):
                raise ContractError(f"{where}: every error has an attribute of this name; rename the field")
            if isinstance(cls.__dict__.get(name), FieldInfo):
                raise ContractError(f"{where}: write `Annotated[..., Field(...)]` or `dataclasses.field(...)`")
        dataclass(kw_only=True, eq=False)(cls)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own calls cls(*args), which lacks the keyword-only fields: neither pickle nor copy would work.
        return Exception.__new__, (type(self), *self.args), self.__dict__


class RpcError(_Declared):
    """A call was answered with an error, or could not be answered at all.

    Subclass it to declare an error of a service: `class NotFound(RpcError, code=Status.NOT_FOUND): id: int`. Its
    annotated fields are keyword-only, travel with the reply and arrive with their types. A method names what it may
    raise in `raises=[...]`; the built-in subclasses in this module need no naming.
    """

    code: ClassVar[Status] = Status.UNKNOWN
    message: str = field(default="", kw_only=False)

    def __str__(self) -> str:
        return f"{self.code.value}: {self.message}" if self.message else self.code.value


class Cancelled(RpcError, code=Status.CANCELLED):
    """The call was cancelled before it was answered."""


class UnknownError(RpcError, code=Status.UNKNOWN):
    """The server answered with a status that says nothing more."""


class ErrorDetail(TypedDict):
    """One of Pydantic's validation errors, without the input."""

    type: str
    loc: tuple[int | str, ...]
    msg: str


class InvalidArgument(RpcError, code=Status.INVALID_ARGUMENT):
    """A parameter is not what the method takes; `errors` holds at most twenty of Pydantic's findings."""

    errors: list[ErrorDetail] = field(default_factory=list[ErrorDetail])


class DeadlineExceeded(RpcError, code=Status.DEADLINE_EXCEEDED):
    """No reply within the call's time. The handler may or may not have run."""


class NotFound(RpcError, code=Status.NOT_FOUND):
    """What was asked for does not exist."""


class AlreadyExists(RpcError, code=Status.ALREADY_EXISTS):
    """What was to be made exists."""


class PermissionDenied(RpcError, code=Status.PERMISSION_DENIED):
    """The caller is known and may not do this; also where Kafka's ACLs do not let it write the request."""


class ResourceExhausted(RpcError, code=Status.RESOURCE_EXHAUSTED):
    """A limit or a quota was hit: a body too large, too many calls in flight."""


class FailedPrecondition(RpcError, code=Status.FAILED_PRECONDITION):
    """The system is not in the state that the call needs; a retry would not help."""


class Aborted(RpcError, code=Status.ABORTED):
    """A conflict ended the call; the caller may try the whole again."""


class OutOfRange(RpcError, code=Status.OUT_OF_RANGE):
    """Past the end of what there is."""


class Unimplemented(RpcError, code=Status.UNIMPLEMENTED):
    """The server does not know the service or the method."""


class InternalError(RpcError, code=Status.INTERNAL):
    """The handler failed with an exception that it did not declare. The server logged it under `error_id`."""

    error_id: str = ""


class Unavailable(RpcError, code=Status.UNAVAILABLE):
    """Kafka or the server could not take the call, or went away; a later try may succeed."""


class DataLoss(RpcError, code=Status.DATA_LOSS):
    """Data is lost or corrupt: also a reply that is not what its contract says."""


class Unauthenticated(RpcError, code=Status.UNAUTHENTICATED):
    """The caller did not say, or could not prove, who it is."""


BUILT_IN: dict[Status, type[RpcError]] = {e.code: e for e in RpcError.__subclasses__()}
"""The class of each status but OK; what an error of an unknown type arrives as."""


def mark_received(error: RpcError) -> RpcError:
    """Notes that the error is how a call that this process made ended; answers with the error."""
    error.__dict__["_received"] = True
    return error


def was_received(error: RpcError) -> bool:
    """Whether the error is how a call ended that this process made, and not a handler's own verdict."""
    return "_received" in error.__dict__
