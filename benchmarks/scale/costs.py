"""What a process costs: its start, its pending calls, its idling."""

from __future__ import annotations

import time

from benchmarks.scale.children import Process, ask_all, fresh, processes
from benchmarks.scale.report import Table, micros, spread

_PENDING = 100_000


def start(rounds: int = 5) -> list[Table]:
    """Seconds from `Rpc.start()`; those of the interpreter and of imports stand apart."""
    columns: dict[str, list[dict[str, float]]] = {}

    def note(what: str, child: Process) -> None:
        columns.setdefault(what, []).append({**child.started, "spawned": child.spawned})

    services, topics = [fresh("start")], {"replies": fresh("replies")}
    with processes("server", services, topics=topics), processes("client", services, topics=topics):
        for _ in range(rounds):
            own = {"replies": fresh("replies")}
            with processes("client", services, topics=own) as (one,):
                note("client, fresh topic of replies", one)
            with processes("client", services, topics=own) as (one,):
                note("client, existing topics", one)
            alone, cancels = [fresh("start")], {"cancels": fresh("cancels")}
            with processes("server", alone, topics=cancels) as (one,):
                note("server, fresh topics", one)
            with processes("server", alone, topics=cancels) as (one,):
                note("server, existing topics", one)
    rows = [
        [
            what,
            *(spread([f[name] for f in found]) if name in found[0] else "-" for name in ("ready", "first")),
            spread([f["spawned"] for f in found]),
        ]
        for what, found in columns.items()
    ]
    heads = ["", "ready, s", "first reply, s", "from the process' start, s"]
    return [Table(name="start", title="Start, median (least-most)", heads=heads, rows=rows)]


def memory() -> list[Table]:
    """A server whose handlers wait, and a client with so many calls to them, three times."""
    services = [fresh("memory")]
    limits = {"max_in_flight": 2 * _PENDING, "max_concurrency": 2 * _PENDING}
    rows: list[list[str]] = []
    with (
        processes("server", services, limits=limits) as servers,
        processes("client", services, limits=limits) as found,
        processes("client", services) as bare,
    ):
        (server,), (client,) = servers, found
        for wave in ("first", "second", "third"):
            before = [child.ask("tidy")["rss"] for child in (client, server, bare[0])]
            made = client.ask("pend", calls=_PENDING)
            bare[0].ask("tasks", calls=_PENDING)
            server.ask("hold", calls=_PENDING)  # until the last request has become a handler
            held = [child.ask("look")["rss"] for child in (client, server, bare[0])]
            server.ask("release", calls=_PENDING)
            ended, _ = client.ask("gather"), bare[0].ask("gather")
            after = [child.ask("tidy")["rss"] for child in (client, server, bare[0])]
            for who, *values in zip(("client", "server", "bare tasks"), before, held, after, strict=True):
                rows.append([wave, who, *(f"{v / 2**20:,.0f}" for v in values)])
                rows[-1].append(f"{(values[1] - values[0]) / _PENDING:,.0f}")
                seconds = f"{made['seconds']:.1f} + {ended['seconds']:.1f}" if who == "client" else ""
                cpu = micros(made["cpu"] + ended["cpu"], _PENDING) if who == "client" else ""
                rows[-1] += [seconds, cpu]
    heads = ["wave", "", "RSS before, MiB", "held, MiB", "after, MiB", "bytes each", "s to make + end", "CPU µs a call"]
    return [Table(name="memory", title=f"{_PENDING:,} calls pending", heads=heads, rows=rows)]


def idle(seconds: float = 20.0) -> list[Table]:
    """Percent of one core of processes that are connected and have nothing to do."""
    one, ten = [fresh("idle")], [fresh("idle") for _ in range(10)]
    with (
        processes("server", one) as servers,
        processes("server", ten) as larger,
        processes("client", one) as found,
    ):
        all_of_them = [*found, *servers, *larger]
        time.sleep(5)
        before = ask_all(all_of_them, "look")
        time.sleep(seconds)
        after = ask_all(all_of_them, "look")
    names = ["client", "server of one service", "server of ten services"]
    rows = [
        [name, f"{(a['cpu'] - b['cpu']) / seconds * 100:.2f}", f"{a['rss'] / 2**20:.0f}"]
        for name, a, b in zip(names, after, before, strict=True)
    ]
    return [Table(name="idle", title=f"Idle for {seconds:.0f} s", heads=["", "% of a core", "RSS, MiB"], rows=rows)]
