"""How the cost of a call grows with server processes, partitions and client processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.scale.children import Process, ask_all, fresh, processes
from benchmarks.scale.report import Table, micros

_SECONDS = 4.0
_ROUNDS = 3
_AT_ONCE = 1000
_NAPPING = 50
"""Handlers of 50 ms that one server runs at once: a thousand calls a second for each, with little CPU."""


@dataclass(frozen=True)
class Sample:
    """Of one round: calls a second, and CPU microseconds a call of the client and of all servers."""

    speed: float
    client: float
    servers: float


def sample(client: Process, servers: Sequence[Process], **order: object) -> Sample:
    before = sum(found["cpu"] for found in ask_all(servers, "look"))
    done = client.ask("together", **order)
    after = sum(found["cpu"] for found in ask_all(servers, "look"))
    calls = done["calls"]
    return Sample(calls / done["seconds"], done["cpu"] / calls * 1e6, (after - before) / calls * 1e6)


def measure(servers: int, partitions: int, *, nap: bool = False) -> Sample:
    """The median of each figure over the rounds."""
    services, topics = [fresh("growth")], {"request_partitions": partitions}
    limits = {"max_concurrency": _NAPPING} if nap else {}
    at_once = 2 * _NAPPING * servers if nap else _AT_ONCE
    with (
        processes("server", services, servers, topics=topics, limits=limits) as serving,
        processes("client", services, topics=topics) as (client,),
    ):
        client.ask("together", at_once=at_once, seconds=4, nap=nap)  # warm, and over every rebalance
        found = [sample(client, serving, at_once=at_once, seconds=_SECONDS, nap=nap) for _ in range(_ROUNDS)]
    return Sample(*(median(getattr(one, name) for one in found) for name in ("speed", "client", "servers")))


def growth() -> list[Table]:
    heads = ["calls/s", "CPU µs a call, client", "CPU µs a call, servers"]
    tables: list[Table] = []
    for name, what, points in (
        ("servers", "server processes", [(n, measure(n, 12)) for n in (1, 2, 4)]),
        ("waiting", "server processes", [(n, measure(n, 12, nap=True)) for n in (1, 2, 4)]),
        ("partitions", "partitions", [(n, measure(1, n)) for n in (1, 3, 12, 48)]),
    ):
        kind = f"handlers of 50 ms, {_NAPPING} at once a server" if name == "waiting" else f"echo, {_AT_ONCE:,} at once"
        tables.append(
            Table(
                name=name,
                title=f"Calls by {what} ({kind})",
                heads=[what, *heads],
                rows=[[str(n), f"{s.speed:,.0f}", f"{s.client:.0f}", f"{s.servers:.0f}"] for n, s in points],
                axes=(what, "calls/s" if name == "waiting" else "CPU µs a call"),
                curves={"calls/s": [(n, s.speed) for n, s in points]}
                if name == "waiting"
                else {"client": [(n, s.client) for n, s in points], "servers": [(n, s.servers) for n, s in points]},
            )
        )
    return tables


def clients(rate: float = 200.0, seconds: float = 8.0) -> list[Table]:
    """A constant rate by more and more processes, on a shared topic of replies of so many partitions."""
    rows: list[list[str]] = []
    curves: dict[str, list[tuple[float, float]]] = {}
    for partitions in (48, 1, 200):
        for number in (1, 10, 50):
            services = [fresh("clients")]
            topics = {"replies": fresh("replies"), "reply_partitions": partitions}
            with (
                processes("server", services, topics=topics) as servers,
                processes("client", services, number, topics=topics) as found,
            ):
                ask_all(found, "rate", rate=rate / number, seconds=2)  # warm
                before, serving = ask_all(found, "look"), ask_all(servers, "look")
                done = ask_all(found, "rate", rate=rate / number, seconds=seconds)
                after, served = ask_all(found, "look"), ask_all(servers, "look")
            calls = sum(d["calls"] for d in done)
            cpu = sum(d["cpu"] for d in done)
            foreign = sum(a["foreign"] - b["foreign"] for a, b in zip(after, before, strict=True))
            traffic = sum(a["received"] - b["received"] for a, b in zip(after, before, strict=True))
            rows.append(
                [
                    str(partitions),
                    str(number),
                    micros(cpu, calls),
                    micros(served[0]["cpu"] - serving[0]["cpu"], calls),
                    f"{(calls + foreign) / calls:.2f}",
                    f"{(calls + foreign) / number / seconds:,.0f}",
                    f"{traffic / number / seconds / 1000:,.1f}",
                    f"{median(latency for d in done for latency in d['latencies']):.1f}",
                ]
            )
            curves.setdefault(f"{partitions} partitions", []).append((number, cpu / calls * 1e6))
    heads = ["reply partitions", "clients", "CPU µs a call, clients", "CPU µs a call, server"]
    heads += ["replies read for each call", "replies/s read by each client", "kB/s received by each", "p50 ms"]
    axes, title = ("client processes", "CPU µs a call, clients"), f"{rate:,.0f} calls/s by more and more clients"
    return [Table(name="clients", title=title, heads=heads, rows=rows, axes=axes, curves=curves)]
