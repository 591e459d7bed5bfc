"""Bodies of 800 KiB at full rate, and what becomes of small calls beside them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.scale.children import Process, fresh, processes
from benchmarks.scale.report import Table
from benchmarks.scale.work import LARGE

_AT_ONCE = 200  # over max_in_flight_bytes (81 of 800 KiB): the limits choose how many are under way


@dataclass(frozen=True)
class Beside:
    """Large calls a second, and the sorted latencies, in ms, of 50 small ones a second beside them."""

    large: float
    small: list[float]

    @property
    def p50(self) -> float:
        return self.small[len(self.small) // 2]

    def row(self, name: str) -> list[str]:
        p99 = self.small[len(self.small) * 99 // 100]
        speed = f"{self.large:,.0f}", f"{self.large * LARGE / 2**20:,.0f}"
        return [name, *speed, f"{self.p50:.1f}", f"{p99:.1f}", f"{self.small[-1]:.1f}"]


@contextmanager
def pair() -> Generator[tuple[Process, Process]]:
    """Two clients of one server, the first of which has sent large bodies before."""
    services = [fresh("bodies")]
    with processes("server", services), processes("client", services, 2) as (client, other):
        client.ask("bodies", kinds=["requests"], at_once=20, seconds=1)
        yield client, other


def by_one(client: Process, kinds: list[str], seconds: float) -> Beside:
    """Large and small calls by the same client. `kinds`: which bodies are large, "requests" and "replies"."""
    done = client.ask("bodies", kinds=kinds, at_once=_AT_ONCE, seconds=seconds)
    return Beside(done["large"], done["small"])


def by_two(client: Process, other: Process, kinds: list[str], seconds: float) -> Beside:
    """The small ones by another client of the same server."""
    client.order("bodies", kinds=kinds, at_once=_AT_ONCE, seconds=seconds)
    small = other.ask("rate", rate=50, seconds=seconds)
    return Beside(client.answer()["large"], small["latencies"])


def bodies(seconds: float = 10.0) -> list[Table]:
    with pair() as (client, other):
        rows = [by_one(client, [], seconds).row("none")]
        for name, kinds in (("requests", ["requests"]), ("replies", ["replies"]), ("both", ["requests", "replies"])):
            rows.append(by_one(client, kinds, seconds).row(f"{name}, small calls by the same client"))
            rows.append(by_two(client, other, kinds, seconds).row(f"{name}, by another client"))
    heads = ["large bodies", "large calls/s", "MiB/s", "small p50 ms", "p99 ms", "most ms"]
    return [Table(name="bodies", title="Small calls beside bodies of 800 KiB", heads=heads, rows=rows)]
