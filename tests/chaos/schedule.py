"""Which faults befall what, and when: all from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can go wrong, each as one would meet it."""

    KILL_CLIENT = "kill-client"
    KILL_SERVER = "kill-server"
    RESTART_SERVER = "restart-server"
    FREEZE_SERVER = "freeze-server"
    BLOCK_SERVER = "block-server"
    BLOCK_CLIENT = "block-client"
    SKEW_SERVER = "skew-server"
    SKEW_CLIENT = "skew-client"
    FETCH_SERVER = "fetch-task-of-server"
    FETCH_CLIENT = "fetch-task-of-client"
    REBALANCES = "rebalances"
    KILL_BROKER = "kill-broker"
    RESTART_BROKER = "restart-broker"
    FREEZE_BROKER = "freeze-broker"
    MOVE_LEADERS = "move-leaders"
    DELETE_REPLIES = "delete-replies"
    ADD_PARTITIONS = "add-partitions"


SECONDS = {
    Kind.FREEZE_SERVER: 15.0,
    Kind.BLOCK_SERVER: 15.0,
    Kind.BLOCK_CLIENT: 15.0,
    Kind.REBALANCES: 8.0,
    Kind.KILL_BROKER: 6.0,
    Kind.FREEZE_BROKER: 8.0,
}
"""How long those last that last; a broker needs some seconds more to catch up."""

ON_BROKERS = {Kind.KILL_BROKER, Kind.RESTART_BROKER, Kind.FREEZE_BROKER, Kind.MOVE_LEADERS}
CATCH_UP = 12.0
"""Seconds between the end of a broker's fault and the next one: with two of three away, nobody promises anything."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`at` is in seconds from the beginning; `which` chooses among what there is, modulo its number."""

    at: float
    kind: Kind
    which: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return SECONDS.get(self.kind, 0.0)


def schedule(seed: int, seconds: float, kinds: Sequence[Kind], *, every: float = 9.0) -> list[Fault]:
    """Faults for so many seconds: each kind in turn, shuffled anew each round, about one in `every` seconds.

    Faults of processes may overlap with others, those of brokers not with each other.
    """
    choose = random.Random(seed)
    faults: list[Fault] = []
    at, brokers_free = 3.0, 0.0
    waiting: list[Kind] = []
    while kinds:
        if not waiting:
            waiting = list(kinds)
            choose.shuffle(waiting)
        kind = next((k for k in waiting if k not in ON_BROKERS or at >= brokers_free), None)
        if kind is None:
            at = brokers_free
            kind = waiting[0]
        if at >= seconds:
            break
        waiting.remove(kind)
        fault = Fault(round(at, 1), kind, choose.randrange(1000))
        faults.append(fault)
        if kind in ON_BROKERS:
            brokers_free = at + fault.seconds + CATCH_UP
        at += choose.uniform(0.5, 1.5) * every
    return faults
