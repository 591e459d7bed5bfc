"""What `typedrpc check` makes of the facts that it gathered. Pure."""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from typedrpc.cli.connection import BY_FLAGS
from typedrpc.config import Topics
from typedrpc.document import VERSION
from typedrpc.reflection import Instance, ServedService
from typedrpc.transport import TopicSpec
from typedrpc.transport.kafka.connection import Connection
from typedrpc.transport.kafka.refusal import NETWORK, Reason, Refusal

Check = Literal["config", "connectivity", "topics", "acls", "clock", "servers"]
Sign = Literal["ok", "warning", "failed", "skipped"]
Address = tuple[str, int]

CHECKS: tuple[Check, ...] = get_args(Check)


class Finding(NamedTuple):
    """One line, and what to do about it where it is not right."""

    check: Check
    sign: Sign
    title: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose calls are to work: those of `target`, a MODULE:RPC, or of the command line itself, a client.

    `services` are the hashes of the contracts that it serves, by name; `creates`: it makes topics that are missing.
    """

    connection: Connection
    topics: Topics
    required: tuple[TopicSpec, ...]
    services: Mapping[str, str] = field(default_factory=dict[str, str])
    creates: bool = True
    target: str = ""

    @property
    def request_topics(self) -> list[str]:
        """Those of its services."""
        own = {self.topics.replies, self.topics.cancels, self.topics.reflection}
        return [topic.name for topic in self.required if topic.name not in own]

    @property
    def user(self) -> str:
        """Who it is to Kafka; "" where only Kafka knows."""
        shared = self.connection.shared
        sasl = str(shared.get("security_protocol")).startswith("SASL_")
        return str(shared.get("sasl_plain_username") or "") if sasl else ""

    @property
    def tool(self) -> str:
        """What all of Kafka's own scripts need first."""
        return f"--bootstrap-server {self.connection.address.replace(' ', '')}"


def skipped(after: Check, why: str) -> Iterator[Finding]:
    """All checks after that one, whose ground is missing."""
    for check in CHECKS[CHECKS.index(after) + 1 :]:
        yield Finding(check, "skipped", why)


# How to say it of an Rpc's broker object; to the command line itself it is said by its flags
_PYTHON: dict[Reason, str] = {
    "certificate": "give the ssl_context its authority (cafile=), and name the broker as its certificate does",
    "credentials": "look at the user and password of the broker's security; does Kafka have them for this mechanism?",
    "mechanism": "take another class of faststream.security",
    "takes no user": "leave the broker's security out, or take the address of the listener for users",
}
_ANY: dict[Reason, str] = {
    "name": "look for a misspelling; inside containers only names of the same network are known",
    "refused": "is Kafka up, and is this the port of one of its listeners?",
    "unreachable": "does a firewall, a VPN or another network lie between?",
    "silent": "is this a port of Kafka's, and not of a proxy or of something else? A broker that hangs does this too",
    "closed": "is this a port of Kafka's? One that wants a client's certificate and gets none does this too",
}


def config_findings(subject: Subject, at: Sequence[Address], now: float) -> Iterator[Finding]:
    """Where and as whom; `now` is in seconds since 1970."""
    shared = subject.connection.shared
    protocol = shared.get("security_protocol") or "PLAINTEXT"
    tls, mechanism = protocol.endswith("SSL"), shared.get("sasl_mechanism") if protocol.startswith("SASL") else None
    who = f"{f'as {subject.user} ' if subject.user else ''}by {mechanism}" if mechanism else "without a user"
    yield Finding("config", "ok", f"{subject.connection.address}, {who}, {'over TLS' if tls else 'without TLS'}")
    if mechanism in ("PLAIN", "OAUTHBEARER") and not tls and not all(_loopback(host) for host, _ in at):
        title = f"{mechanism} without TLS sends the {'password' if mechanism == 'PLAIN' else 'token'} in the clear"
        remedy = "use_ssl=True and an ssl_context" if subject.target else "--tls, and a listener that has it"
        yield Finding("config", "warning", title, remedy)
    context: ssl.SSLContext | None = shared.get("ssl_context") if tls else None
    if context is not None and context.verify_mode is ssl.CERT_NONE:
        title = "the brokers' certificates are not checked: anybody on the way can be Kafka"
        yield Finding("config", "warning", title, "leave the ssl_context's verify_mode at CERT_REQUIRED")
    ends = [ssl.cert_time_to_seconds(str(ca["notAfter"])) for ca in context.get_ca_certs()] if context else []
    if ends and max(ends) < now:
        remedy = "get their successors" if subject.target else "name a file with their successors by --tls-ca"
        yield Finding("config", "failed", "all certificates of authorities to trust have expired", remedy)


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def bootstrap_findings(subject: Subject, reached: Mapping[Address, Refusal | None]) -> Iterator[Finding]:
    """One bootstrap server that answers is enough."""
    some = not all(reached.values())
    for (host, port), refusal in reached.items():
        if refusal is None:
            yield Finding("connectivity", "ok", f"{host}:{port} answers")
        else:
            sign: Sign = "warning" if some else "failed"
            yield Finding("connectivity", sign, f"{host}:{port}: {refusal.text}", _remedy(subject, refusal))


def _remedy(subject: Subject, refusal: Refusal) -> str:
    if refusal.reason in _ANY:
        return _ANY[refusal.reason]
    own = _PYTHON if subject.target else BY_FLAGS
    return own.get(refusal.reason) or refusal.remedy or "the broker's log says more"


def broker_findings(
    subject: Subject, brokers: Mapping[int, Address], reached: Mapping[Address, Refusal | None]
) -> Iterator[Finding]:
    """Whether clients reach the brokers at the addresses that these advertise, where each call goes."""
    fine = [f"broker {number} at {host}:{port}" for number, (host, port) in brokers.items() if not reached[host, port]]
    if fine:
        yield Finding("connectivity", "ok", f"reached where it advertises itself: {', '.join(fine)}")
    for number, (host, port) in brokers.items():
        if refusal := reached[host, port]:
            title = f"broker {number} advertises {host}:{port}: {refusal.text}"
            remedy = (
                f"clients are sent there after the bootstrap: let advertised.listeners of broker {number} name "
                "an address that is reached from here, for the listener that was asked"
            )
            if refusal.reason not in NETWORK:
                remedy = _remedy(subject, refusal)
            yield Finding("connectivity", "failed", title, remedy)


def clock_findings(ahead: float | None, trip: float) -> Iterator[Finding]:
    """`ahead` is by how many milliseconds the broker's clock is before this machine's, `trip` those of the question."""
    if ahead is None:
        title = "the broker did not tell its time, as on a topic with message.timestamp.type=CreateTime"
        yield Finding("clock", "skipped", title)
        return
    title = f"this machine's clock is {abs(ahead):.0f} ms {'behind' if ahead > 0 else 'ahead of'} the broker's"
    title += f" (± {trip / 2:.0f} ms)"
    if abs(ahead) - trip / 2 <= 1000:
        yield Finding("clock", "ok", title)
        return
    remedy = (
        "set both by NTP, see `timedatectl`. Deadlines are right all the same, they go by the broker's clock alone; "
        "but times in logs do not fit, and certificates may count as expired"
    )
    yield Finding("clock", "warning", title, remedy)


def server_findings(subject: Subject, processes: Sequence[Instance], seconds: float) -> Iterator[Finding]:
    """Who serves, and whether they agree with each other and with the code of the subject."""
    serving: defaultdict[str, list[tuple[Instance, ServedService]]] = defaultdict(list)
    for process in processes:
        for served in process.services:
            serving[served.name].append((process, served))
    if not subject.target and not serving:
        remedy = "start one: `typedrpc run MODULE:RPC`; those with Rpc(reflection=False) are not seen"
        yield Finding("servers", "warning", f"no server answered within {seconds:g} s", remedy)
    for name in subject.services or sorted(serving):
        yield from _service(subject, name, serving[name], seconds)
    versions = sorted({process.typedrpc for process in processes} | {VERSION})
    if len(versions) > 1:
        title = f"servers and this command have different versions of typedrpc: {', '.join(versions)}"
        yield Finding("servers", "warning", title, "fine while one is rolled out; `typedrpc list` names the hosts")


def _service(
    subject: Subject, name: str, here: Sequence[tuple[Instance, ServedService]], seconds: float
) -> Iterator[Finding]:
    if not here:
        remedy = f"start one: `typedrpc run {subject.target}`; those with Rpc(reflection=False) are not seen"
        yield Finding("servers", "warning", f"{name}: no server answered within {seconds:g} s", remedy)
        return
    hashes = sorted({served.contract_hash for _, served in here})
    own, count = subject.services.get(name), f"{len(here)} server{'s' if len(here) > 1 else ''}"
    others = [process.host for process, served in here if served.contract_hash != own]
    if own is not None and others:
        title = f"{name}: another contract than this code's is served by {len(others)} of {count}, on {_listed(others)}"
        remedy = f"deploy one of the two; `typedrpc describe {name}` shows what runs"
        yield Finding("servers", "warning", title, remedy)
    elif len(hashes) > 1:
        title = f"{name}: {count} serve {len(hashes)} different contracts"
        remedy = "fine while a new version is rolled out; `typedrpc list` shows who serves which"
        yield Finding("servers", "warning", title, remedy)
    else:
        yield Finding("servers", "ok", f"{name}: {count}, contract {hashes[0][:12]}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(set(names)))
