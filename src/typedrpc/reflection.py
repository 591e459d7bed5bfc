"""What servers say of themselves to who asks on `rpc.reflection`: which services they serve, and their contracts.

Every server process reads the whole topic. All answer `instance`; `contract` those that serve the service, the others
keep silent, so that an ordinary call gets the first answer.
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, Field

from typedrpc.contract import Service, service
from typedrpc.document import VERSION, ContractDocument
from typedrpc.errors import ResourceExhausted, RpcError
from typedrpc.served import Served
from typedrpc.transport import Record, Transport
from typedrpc.wire import Address, Malformed, Request, parse_request

_log = logging.getLogger("typedrpc")


_CENTURIES = 1e10  # seconds; a server does not write more
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class ServedService(BaseModel, frozen=True, extra="ignore"):
    """A service that a process serves: the hash of its contract, how many handlers run in it, and what it refused."""

    name: str
    contract_hash: str
    topics: list[str]
    in_flight: _Count
    malformed: _Count = 0
    expired: _Count = 0
    repeated: _Count = 0
    cancelled: _Count = 0
    unsent: _Count = 0


class Instance(BaseModel, frozen=True, extra="ignore"):
    """A server process. `uptime` is in seconds."""

    id: str
    host: str
    pid: _Count
    typedrpc: str
    python: str
    uptime: Annotated[float, Field(ge=0, le=_CENTURIES)]
    services: list[ServedService]


class Reflection(Service, Protocol, service="rpc.reflection"):
    """What servers say of themselves."""

    @service.method(idempotent=True)
    async def instance(self) -> Instance:
        """The process that answers; every server process does, so a call gets any."""
        ...

    @service.method(idempotent=True)
    async def contract(self, service: str) -> ContractDocument:
        """The contract of a service; only who serves it answers."""
        ...


class _NotHere(Exception):
    """Another process' to answer."""


class ReflectionServer(Reflection):
    """Describes one process. `in_flight` tells how many handlers of a service run."""

    def __init__(self, in_flight: Callable[[str], int]) -> None:
        self._in_flight = in_flight
        self._id = secrets.token_hex(8)
        self._started = time.monotonic()
        self._served: dict[str, Served] = {}
        self._documents: dict[str, ContractDocument] = {}

    def add(self, served: Served) -> None:
        """Describes it too."""
        self._served[served.name] = served

    @service.method
    async def instance(self) -> Instance:
        """As `Reflection.instance`."""
        return Instance(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            typedrpc=VERSION,
            python=platform.python_version(),
            uptime=round(time.monotonic() - self._started, 3),
            services=[self._status(served) for served in self._served.values()],
        )

    @service.method
    async def contract(self, service: str) -> ContractDocument:
        """As `Reflection.contract`; silent where it is not served here."""
        if service not in self._served:
            raise _NotHere
        return self._document(service)

    def _document(self, name: str) -> ContractDocument:
        found = self._documents.get(name)
        if found is None:
            found = self._documents[name] = self._served[name].document()
        return found

    def _status(self, served: Served) -> ServedService:
        return ServedService(
            name=served.name,
            contract_hash=self._document(served.name).hash,
            topics=sorted(served.topics),
            in_flight=self._in_flight(served.name),
            malformed=served.malformed,
            expired=served.expired,
            repeated=served.repeated,
            cancelled=served.cancelled,
            unsent=served.unsent,
        )


class Responder:
    """Answers reflection requests, where `may_answer` lets it. Without a group, admission or offsets: the handlers
    never wait, and a request that is missed is asked again by its caller.
    """

    def __init__(
        self, server: ReflectionServer, transport: Transport, may_answer: Callable[[Address], bool], max_body: int
    ) -> None:
        self._served = Served(Reflection, server)
        self._transport = transport
        self._may_answer = may_answer
        self._max_body = max_body

    def take(self, records: Sequence[Record]) -> None:
        """Answers each that is a request."""
        for record in records:
            try:
                request = parse_request(record.headers)
                if request.reply is not None and not request.foreign and self._may_answer(request.reply):
                    self._answer(record, request, request.reply)
            except (Malformed, _NotHere):
                pass  # anybody may write here, and every server would complain

    def _answer(self, record: Record, request: Request, reply: Address) -> None:
        method = self._served.find(request, record.topic)
        if method is None or len(record.value or b"") > self._max_body:
            return
        try:
            args, kwargs = method.load(request, record.value)
            headers, body = method.reply(request, _complete(method.fn, self._served.instance, args, kwargs), 0, 0, ())
            if body and len(body) > self._max_body:
                raise ResourceExhausted(f"{method.name}: an answer of {len(body)} bytes; at most {self._max_body}")
        except RpcError as error:
            answer = method.error_reply(request, error, 0, 0)
            if answer is None:
                return
            headers, body = answer
        self._transport.send(reply.topic, reply.partition, None, body, headers, _sent, None)


def _complete(fn: Callable[..., Any], instance: object, args: list[Any], named: dict[str, Any]) -> Any:
    """What a handler without an `await` returns."""
    try:
        fn(instance, *args, **named).send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("reflection never waits")


def _sent(_token: object, error: BaseException | None) -> None:
    if error is not None:
        _log.info("an answer about services was not written: %s", error)
