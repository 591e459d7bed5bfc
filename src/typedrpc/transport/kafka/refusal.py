"""Why Kafka lets nobody in: aiokafka's clients say only that they could not connect, and log the rest."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from typedrpc.errors import UsageError

_TIMEOUT = 2.0

Reason = Literal[
    "name",  # does not resolve
    "refused",
    "unreachable",
    "silent",
    "closed",
    "certificate",
    "credentials",
    "mechanism",
    "wants TLS",
    "has no TLS",
    "wants a user",
    "takes no user",
    "settings",
    "other",  # Kafka's own word
]
NETWORK: frozenset[Reason] = frozenset({"name", "refused", "unreachable", "silent", "closed"})
"""Those of which the settings, but for the address, are no cause."""
_REASONS: dict[type[KafkaError], Reason] = {
    IllegalSaslStateError: "takes no user",
    SaslAuthenticationFailed: "credentials",
    UnsupportedSaslMechanismError: "mechanism",
}


class Refusal(NamedTuple):
    """Why an address does not let a client in, and what to change in the broker object; "" where that is not known."""

    reason: Reason
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


async def refusal(settings: Mapping[str, Any]) -> Refusal | None:
    """Why no bootstrap server lets a client with these settings in, the most telling of them; None where one does."""
    try:
        at = addresses(settings)
    except UsageError as error:
        return Refusal("settings", str(error))
    found = [each for each in await asyncio.gather(*(refusal_at(*each, settings, _TIMEOUT) for each in at)) if each]
    if len(found) < len(at):
        return None
    return next((each for each in found if each.reason not in NETWORK), found[0])


async def refusal_at(host: str, port: int, settings: Mapping[str, Any], seconds: float) -> Refusal | None:
    """Why a client with these settings cannot use one address, None where it can: does its name resolve, does anybody
    listen, does Kafka let it in? Each step may take so many seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Refusal("name", f"the name {host!r} did not resolve within {seconds:g} s")
    except (OSError, UnicodeError) as error:
        return Refusal("name", f"the name {host!r} does not resolve: {getattr(error, 'strerror', None) or error}")
    hosts = list(dict.fromkeys(str(each[4][0]) for each in found))
    failures = await asyncio.gather(*(_dialled(each, port, seconds) for each in hosts))
    if all(failures):
        refused = next((f for f in failures if f and f.reason == "refused"), None)
        return refused or failures[0]
    own = connection_settings(settings)
    try:
        async with asyncio.timeout(seconds):
            failure = await _try(host, port, own)
            told = await _explained(failure, host, port, own)
    except TimeoutError:
        return Refusal("silent", f"it takes the connection and did not answer Kafka's protocol within {seconds:g} s")
    if told is None and failure is not None:
        return Refusal("closed", "it ends the connection without an answer in Kafka's protocol")
    return told


def addresses(settings: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The bootstrap servers, in order. Raises UsageError for what is no address."""
    servers = settings["bootstrap_servers"]
    try:
        found = [(host, port) for host, port, _ in collect_hosts(servers, randomize=False)]
    except ValueError:
        found = []
    if any("," in host for host, _ in found):  # aiokafka splits a text, and FastStream makes a list of it first
        raise UsageError(f"{servers!r}: give several bootstrap servers as a list, not as one text with commas")
    if not found or not all(host and 0 < port < 65536 for host, port in found):
        raise UsageError(f"{servers!r}: write each bootstrap server as HOST:PORT")
    return found


def connection_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a client that one of its connections takes."""
    others = ("bootstrap_servers", "connections_max_idle_ms")
    return {name: value for name, value in settings.items() if name not in others}


async def _dialled(host: str, port: int, seconds: float) -> Refusal | None:
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return Refusal("refused", "nothing listens there: the connection is refused")
    except TimeoutError:
        return Refusal("unreachable", f"no connection within {seconds:g} s")
    except OSError as error:
        return Refusal("unreachable", f"no connection: {error.strerror or error}")
    writer.close()
    return None


async def _explained(error: Exception | None, host: str, port: int, own: Mapping[str, Any]) -> Refusal | None:
    """What the outcome of an attempt to connect means; None where that is not known, and of one that went well."""
    protocol: str = own.get("security_protocol") or "PLAINTEXT"
    if protocol.endswith("SSL") and own.get("ssl_context") is None:
        remedy = "give the broker's security one: ssl.create_default_context()"
        return Refusal("settings", "use_ssl=True needs an ssl_context", remedy)
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the certificate is not trusted: {error.verify_message}"
        return Refusal("certificate", text, "does the ssl_context know its CA?")
    if isinstance(error, (AssertionError, ValueError)):
        return Refusal("settings", f"the settings do not fit each other: {error}")
    if isinstance(error, KafkaError) and not isinstance(error, KafkaConnectionError):
        text = next((a for a in error.args if isinstance(a, str)), "") or getattr(error, "description", "")
        return Refusal(_REASONS.get(type(error), "other"), f"{type(error).__name__}: {text}")
    if error is not None and protocol.endswith("PLAINTEXT"):
        if await _speaks_tls(host, port):
            remedy = "give the broker's security use_ssl=True and an ssl_context"
            return Refusal("wants TLS", "it speaks TLS and this client does not", remedy)
    elif error is not None:
        if await _try(host, port, {"security_protocol": "PLAINTEXT"}) is None:
            remedy = "leave use_ssl=True out, or take its TLS address"
            return Refusal("has no TLS", "it does not speak TLS and this client does", remedy)
    elif not protocol.startswith("SASL_"):
        sasl = {"security_protocol": f"SASL_{protocol}", "sasl_mechanism": "none"}
        if isinstance(await _try(host, port, {**own, **sasl}), UnsupportedSaslMechanismError):
            remedy = "give the broker a security object of SASL"
            return Refusal("wants a user", "it wants a user and a password", remedy)
    return None


async def _try(host: str, port: int, settings: Mapping[str, Any]) -> Exception | None:
    try:
        (await create_conn(host, port, **settings)).close()
    except (KafkaError, OSError, AssertionError, ValueError) as error:  # it asserts what a user can get wrong
        return error
    return None


async def _speaks_tls(host: str, port: int) -> bool:
    anyone = ssl.create_default_context()
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE  # nothing is sent or read, only the handshake counts
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=anyone)
    except OSError:
        return False
    writer.close()
    return True
