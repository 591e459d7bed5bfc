"""Typed RPC over Kafka."""

from typedrpc.client import client
from typedrpc.config import Limits, Topics
from typedrpc.contract import Service, service
from typedrpc.document import ContractDocument, contract_schema
from typedrpc.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    ContractError,
    DataLoss,
    DeadlineExceeded,
    ErrorDetail,
    FailedPrecondition,
    InternalError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    RpcError,
    Status,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    UnknownError,
    UsageError,
)
from typedrpc.method import Method, Oneway, Unary
from typedrpc.options import Call, Reply, Retry, current_call, options
from typedrpc.rpc import Rpc
from typedrpc.transport import TransportError

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Call",
    "Cancelled",
    "ContractDocument",
    "ContractError",
    "DataLoss",
    "DeadlineExceeded",
    "ErrorDetail",
    "FailedPrecondition",
    "InternalError",
    "InvalidArgument",
    "Limits",
    "Method",
    "NotFound",
    "Oneway",
    "OutOfRange",
    "PermissionDenied",
    "Reply",
    "ResourceExhausted",
    "Retry",
    "Rpc",
    "RpcError",
    "Service",
    "Status",
    "Topics",
    "TransportError",
    "Unary",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UnknownError",
    "UsageError",
    "client",
    "contract_schema",
    "current_call",
    "options",
    "service",
]
