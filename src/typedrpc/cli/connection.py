"""Where Kafka is, by flags and environment, and a client of it that knows no contract."""

from __future__ import annotations

import asyncio
import difflib
import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import typer
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from typedrpc.calls import Calls
from typedrpc.cli.gathering import WAIT, instances
from typedrpc.client import make_client
from typedrpc.codec import summary
from typedrpc.config import Limits, Topics
from typedrpc.contract import is_name
from typedrpc.document import ContractDocument
from typedrpc.errors import DeadlineExceeded, UsageError
from typedrpc.options import CallOptions
from typedrpc.reflection import Reflection
from typedrpc.transport import TransportError
from typedrpc.transport.kafka import KafkaTransport, Refused, connection_of
from typedrpc.transport.kafka.refusal import Reason, addresses

_SASL = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}

BY_FLAGS: Final[dict[Reason, str]] = {
    "certificate": "name the file of its authority by --tls-ca, and the broker as its certificate does",
    "credentials": "look at --sasl-username and TYPEDRPC_SASL_PASSWORD; does Kafka have this user for this mechanism?",
    "mechanism": "take another --sasl-mechanism",
    "wants TLS": "connect by TLS: --tls (TYPEDRPC_TLS=1), and --tls-ca FILE for an authority of your own",
    "has no TLS": "leave out --tls (TYPEDRPC_TLS), or take the address of the listener that has TLS",
    "wants a user": "give --sasl-mechanism, --sasl-username and TYPEDRPC_SASL_PASSWORD",
    "takes no user": "leave out --sasl-mechanism and --sasl-username, or take the address of the listener for users",
}
"""What to change on the command line where Kafka lets nobody in."""


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if 0.1 <= found <= 3600:
        return found
    raise typer.BadParameter(f"{text!r}: give seconds, from 0.1 to 3600")


Patience = Annotated[
    float, typer.Option(parser=_seconds, metavar="SECONDS", help="How long an answer may take; 0.1 to 3600.")
]


class Settings(BaseSettings):
    """The connection. The password has no flag: other users of a machine can read those."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TYPEDRPC_", extra="ignore")

    kafka: str = "localhost:9092"
    tls: bool = False
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None

    @classmethod
    def given(cls, **flags: Any) -> Self:
        """The flags over the environment; raises UsageError."""
        try:
            return cls(**flags)
        except ValidationError as error:
            raise UsageError(f"the connection's settings (flags, or TYPEDRPC_...): {summary(error)}") from None

    def broker(self) -> KafkaBroker:
        """Not connected. Raises UsageError for what is no address, settings that do not fit each other, and files that
        cannot be read.
        """
        servers = self.kafka.split(",")
        try:
            addresses({"bootstrap_servers": servers})
        except UsageError as error:
            raise UsageError(f"--kafka (TYPEDRPC_KAFKA): {error}") from None
        return KafkaBroker(servers, security=self._security(), client_id="typedrpc-cli", logger=None)

    def _security(self) -> BaseSecurity | None:
        if not self.tls and (self.tls_ca or self.tls_cert or self.tls_key):
            raise UsageError("files for TLS without --tls (TYPEDRPC_TLS)")
        try:
            context = ssl.create_default_context(cafile=self.tls_ca) if self.tls else None
            if context and self.tls_cert:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as error:
            raise UsageError(f"TYPEDRPC_TLS_CA, TYPEDRPC_TLS_CERT or TYPEDRPC_TLS_KEY: {error}") from None
        if self.sasl_mechanism is None:
            if self.sasl_username is not None:
                raise UsageError("a user name without --sasl-mechanism (TYPEDRPC_SASL_MECHANISM)")
            return BaseSecurity(ssl_context=context, use_ssl=True) if context else None
        if self.sasl_username is None or self.sasl_password is None:
            raise UsageError("SASL needs TYPEDRPC_SASL_USERNAME and TYPEDRPC_SASL_PASSWORD")
        secret = self.sasl_password.get_secret_value()
        return _SASL[self.sasl_mechanism](self.sasl_username, secret, ssl_context=context, use_ssl=self.tls)


@dataclass(frozen=True)
class Connected:
    """A client process: `transport` and `calls` are started."""

    transport: KafkaTransport
    calls: Calls
    topics: Topics
    address: str

    async def contract(self, service: str, seconds: float) -> ContractDocument:
        """The service's document, from a server that runs; raises DeadlineExceeded with what to look at, and UsageError
        for what is no name of a service.
        """
        if not is_name(service):
            raise UsageError(f"{service!r} is no name of a service: write it as `typedrpc list` does")
        reflection = make_client(Reflection, lambda: self.calls, CallOptions(timeout=seconds))
        try:
            return await reflection.contract(service)
        except DeadlineExceeded:
            raise DeadlineExceeded(
                f"no server at {self.address} answered for service {service!r} within {seconds:g} s; "
                f"{await self._running(service)} or was it started with Rpc(reflection=False)?"
            ) from None

    async def services(self, seconds: float = WAIT) -> list[str]:
        """The names of those that run, sorted."""
        found = await instances(self.transport, self.topics, seconds)
        return sorted({served.name for instance in found for served in instance.services})

    async def _running(self, service: str) -> str:
        names = await self.services()
        close = difflib.get_close_matches(service, names, 1)
        if close:
            return f"did you mean {close[0]!r}?"
        if not names:
            return "none runs at all;"
        return f"there are {', '.join(names[:10])}{', ...' if len(names) > 10 else ''};"


@asynccontextmanager
async def connected(settings: Settings, *, timeout: float = 10.0) -> AsyncGenerator[Connected]:
    """Raises TransportError that names the address, and UsageError for wrong settings."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is raised
    connection = connection_of(settings.broker())
    assert connection is not None  # it is no TestKafkaBroker
    limits, topics = Limits(), Topics()
    transport = KafkaTransport(connection, start_timeout=limits.start_timeout, instance_id=None)
    calls = Calls(transport, topics=topics, limits=limits, timeout=timeout, create=True)
    try:
        await _connect(transport, settings)
        await calls.start()
        yield Connected(transport, calls, topics, settings.kafka)
    finally:
        await asyncio.gather(calls.stop(), return_exceptions=True)
        await transport.stop()


async def _connect(transport: KafkaTransport, settings: Settings) -> None:
    try:
        await transport.connect()  # somebody waits for an answer, so a Kafka that is away is not waited for
    except TransportError as error:
        if isinstance(error, Refused) and (remedy := BY_FLAGS.get(error.refusal.reason)):
            raise TransportError(f"{error.where}: {error.refusal.text}; {remedy}") from None
        if "kafka" in settings.model_fields_set:
            raise
        raise TransportError(f"{error}; --kafka or TYPEDRPC_KAFKA says where it is, if not there") from None
