"""What the journals say of the promises. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.journal import Call, Client, Run

ALLOWANCE = 1.0
"""Seconds after its deadline by which a call has ended."""

STATUSES = {"OK", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "RESOURCE_EXHAUSTED"}
"""How a call may end here: no handler fails by itself, but the nested one does where its own call failed."""


@dataclass
class Verdict:
    """`violations` maps what is broken to the calls that show it; empty is good. The rest are figures."""

    violations: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    calls: int = 0
    cut_off: int = 0
    repeated: int = 0
    latest: float = 0.0
    stalled: float = 0.0

    @property
    def good(self) -> bool:
        return not self.violations


def check(clients: Mapping[str, Client], killed: Iterable[str], runs: Iterable[Run]) -> Verdict:
    """`killed` are the clients whose calls may have no end; every other one must have said bye."""
    verdict = Verdict()
    broken: dict[str, list[str]] = defaultdict(list)
    killed = set(killed)
    known: dict[str, Call] = {}
    for name, client in clients.items():
        if not client.ended and name not in killed:
            broken["crashed"].append(name)
        verdict.stalled += sum(end - begin for begin, end in client.stalls)
        for call in client.calls.values():
            known[call.id] = call
            verdict.calls += 1
            if not call.ends:
                verdict.cut_off += 1
                if name not in killed:
                    broken["lost"].append(call.id)
                continue
            if len(call.ends) > 1:
                broken["duplicated"].append(call.id)
            ended, outcome = call.ends[0]
            verdict.outcomes[outcome] += 1
            if outcome == "WRONG":
                broken["misrouted"].append(call.id)
            elif outcome not in STATUSES and (call.method, outcome) != ("nested", "INTERNAL"):
                broken["untyped"].append(f"{call.id} {outcome}")
            late = ended - call.begun - call.timeout - _stalled(client.stalls, call.begun, ended)
            verdict.latest = max(verdict.latest, late)
            if late > ALLOWANCE:
                broken["late"].append(f"{call.id} by {late:.2f} s")
    times = Counter[str]()
    for run in runs:
        times[run.call] += 1
        if run.call not in known:
            broken["run without a call"].append(run.call)
    verdict.repeated = sum(n - 1 for n in times.values())
    for call in known.values():
        if call.method == "once" and times[call.id] > 1:
            broken["at most once, run twice"].append(call.id)
        if call.method == "tell" and call.ends and call.ends[0][1] == "OK" and not times[call.id]:
            broken["accepted and never run"].append(call.id)
        if call.method != "tell" and call.ends and call.ends[0][1] == "OK" and not times[call.id]:
            broken["answered and never run"].append(call.id)
    verdict.violations = dict(broken)
    return verdict


def _stalled(stalls: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """For how long of that time the client's own event loop did not turn."""
    return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in stalls)


def last_failure(clients: Iterable[Client], since: float, until: float) -> float | None:
    """Seconds from `since` to the begin of the last call begun before `until` that failed for want of an answer; None
    where none did. Calls that are meant to be cut short do not count.
    """
    begun = [
        call.begun - since
        for client in clients
        for call in client.calls.values()
        if since <= call.begun < until and call.method not in ("cut", "cancelled") and call.ends
        if call.ends[0][1] in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    ]
    return max(begun, default=None)
