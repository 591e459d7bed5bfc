"""Why Kafka lets nobody in: aiokafka's clients say only that they could not connect, and log the rest."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, UnsupportedSaslMechanismError

_TIMEOUT = 2.0


async def refusal(settings: Mapping[str, Any]) -> str:
    """What is wrong with a client's settings, and the remedy; "" where no server is there or none says."""
    own = {
        name: value for name, value in settings.items() if name not in ("bootstrap_servers", "connections_max_idle_ms")
    }
    try:
        async with asyncio.timeout(_TIMEOUT):
            for host, port, _ in collect_hosts(settings["bootstrap_servers"]):
                if reason := await _reason(host, port, own):
                    return reason
    except TimeoutError:
        pass
    return ""


async def _reason(host: str, port: int, own: Mapping[str, Any]) -> str:
    protocol: str = own.get("security_protocol") or "PLAINTEXT"
    error = await _try(host, port, own)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}; does the ssl_context know its CA?"
    if isinstance(error, KafkaError) and not isinstance(error, KafkaConnectionError):
        text = next((a for a in error.args if isinstance(a, str)), "") or getattr(error, "description", "")
        return f"{type(error).__name__}: {text}"
    if error is not None and protocol.endswith("PLAINTEXT"):
        if await _speaks_tls(host, port):
            return "it speaks TLS and this client does not; give the broker's security use_ssl=True and an ssl_context"
    elif error is not None:
        if await _try(host, port, {"security_protocol": "PLAINTEXT"}) is None:
            return "it does not speak TLS and this client does; leave use_ssl=True out, or take its TLS address"
    elif not protocol.startswith("SASL_"):
        sasl = {"security_protocol": f"SASL_{protocol}", "sasl_mechanism": "none"}
        if isinstance(await _try(host, port, {**own, **sasl}), UnsupportedSaslMechanismError):
            return "it wants a user and a password; give the broker a security object of SASL"
    return ""


async def _try(host: str, port: int, settings: Mapping[str, Any]) -> Exception | None:
    try:
        (await create_conn(host, port, **settings)).close()
    except (KafkaError, OSError) as error:
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
