"""The checker finds each thing that can be wrong, in journals that are wrong in that one way; and the schedule is steady."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from chaos.checker import Verdict, check, last_failure
from chaos.journal import Call, Client, Journal, Run, read_client, read_runs
from chaos.schedule import CATCH_UP, ON_BROKERS, Kind, schedule


def client(*calls: Call, ended: bool = True, stalls: list[tuple[float, float]] | None = None) -> Client:
    return Client({call.id: call for call in calls}, stalls or [], ended)


def call(id: str = "a.1", method: str = "echo", *ends: tuple[float, str], timeout: float = 10.0) -> Call:
    """Begun at 100 s."""
    return Call(id, method, 100.0, timeout, list(ends))


def found(verdict: Verdict) -> set[str]:
    return set(verdict.violations)


GOOD = call("a.1", "echo", (100.5, "OK"))
RUN = Run("a.1", "echo", 100.2)


def test_a_call_that_ran_and_was_answered_is_good() -> None:
    verdict = check({"a": client(GOOD)}, [], [RUN])
    assert verdict.good
    assert (verdict.calls, verdict.outcomes["OK"], verdict.repeated) == (1, 1, 0)


@pytest.mark.parametrize("status", ["DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED"])
def test_a_typed_error_is_good_whether_it_ran_or_not(status: str) -> None:
    failed = call("a.1", "echo", (101.0, status))
    assert check({"a": client(failed)}, [], [RUN]).good
    assert check({"a": client(failed)}, [], []).good


def test_an_at_least_once_request_may_run_twice() -> None:
    verdict = check({"a": client(GOOD)}, [], [RUN, RUN])
    assert verdict.good
    assert verdict.repeated == 1


def test_a_call_without_an_end_is_lost_unless_its_client_was_killed() -> None:
    assert found(check({"a": client(call())}, [], [RUN])) == {"lost"}
    assert check({"a": client(call(), ended=False)}, ["a"], [RUN]).good


def test_a_client_that_ended_otherwise_than_told_crashed() -> None:
    assert found(check({"a": client(GOOD, ended=False)}, [], [RUN])) == {"crashed"}


def test_a_call_with_two_ends_is_duplicated() -> None:
    twice = call("a.1", "echo", (100.5, "OK"), (100.6, "OK"))
    assert found(check({"a": client(twice)}, [], [RUN])) == {"duplicated"}


def test_another_calls_reply_is_misrouted() -> None:
    assert found(check({"a": client(call("a.1", "echo", (100.5, "WRONG")))}, [], [RUN])) == {"misrouted"}


def test_an_error_that_is_no_status_is_untyped() -> None:
    wrong = call("a.1", "echo", (100.5, "KeyError('x')"))
    assert found(check({"a": client(wrong)}, [], [RUN])) == {"untyped"}
    assert found(check({"a": client(call("a.1", "echo", (100.5, "INTERNAL")))}, [], [RUN])) == {"untyped"}
    assert check({"a": client(call("a.1", "nested", (100.5, "INTERNAL")))}, [], [RUN]).good


def test_a_call_that_ends_over_a_second_after_its_deadline_is_late() -> None:
    assert check({"a": client(call("a.1", "echo", (110.9, "DEADLINE_EXCEEDED")))}, [], []).good
    late = call("a.1", "echo", (111.1, "DEADLINE_EXCEEDED"))
    assert found(check({"a": client(late)}, [], [])) == {"late"}


def test_the_time_in_which_the_clients_own_loop_stood_still_does_not_count() -> None:
    late = call("a.1", "echo", (120.0, "DEADLINE_EXCEEDED"))
    assert check({"a": client(late, stalls=[(104.0, 119.5)])}, [], []).good
    assert found(check({"a": client(late, stalls=[(80.0, 99.0), (104.0, 112.0)])}, [], [])) == {"late"}


def test_an_at_most_once_request_that_runs_twice_is_found() -> None:
    once, run = call("a.1", "once", (100.5, "OK")), Run("a.1", "once", 100.2)
    assert check({"a": client(once)}, [], [run]).good
    assert found(check({"a": client(once)}, [], [run, run])) == {"at most once, run twice"}


def test_a_oneway_that_was_accepted_must_run() -> None:
    told = call("a.1", "tell", (100.1, "OK"))
    assert found(check({"a": client(told)}, [], [])) == {"accepted and never run"}
    assert check({"a": client(call("a.1", "tell", (101.0, "UNAVAILABLE")))}, [], []).good


def test_an_answer_without_a_run_and_a_run_without_a_call_are_found() -> None:
    assert found(check({"a": client(GOOD)}, [], [])) == {"answered and never run"}
    assert found(check({"a": client(GOOD)}, [], [RUN, Run("z.9", "echo", 1.0)])) == {"run without a call"}


def test_the_last_call_that_failed_tells_how_long_a_fault_was_felt() -> None:
    calls = [Call(f"a.{n}", "echo", 100.0 + n, 10, [(101.0 + n, "UNAVAILABLE" if n < 3 else "OK")]) for n in range(6)]
    assert last_failure([client(*calls)], 99.0, 200.0) == 3.0
    assert last_failure([client(*calls)], 102.5, 200.0) is None


def test_journals_are_read_as_they_were_written_but_for_a_line_that_was_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "client.tsv")
    journal.begin("a.1", "echo", 10)
    journal.end("a.1", "OK")
    journal.begin("a.2", "cut", 0.25)
    journal.stall(1.5)
    with (tmp_path / "client.tsv").open("a") as file:
        file.write("123.4\tend\ta.2\tOK")
    read = read_client(tmp_path / "client.tsv")
    assert [(c.id, c.method, c.timeout, [how for _, how in c.ends]) for c in read.calls.values()] == [
        ("a.1", "echo", 10.0, ["OK"]),
        ("a.2", "cut", 0.25, []),
    ]
    assert not read.ended
    ((begin, end),) = read.stalls
    assert round(end - begin, 3) == 1.5
    journal = Journal(tmp_path / "server.tsv")
    journal.start("a.1", "echo")
    journal.write("stall", "0.5")
    assert [(run.call, run.method) for run in read_runs(tmp_path / "server.tsv")] == [("a.1", "echo")]


def test_a_seed_makes_the_same_faults_each_time_and_another_seed_others() -> None:
    kinds = list(Kind)
    assert schedule(1, 300, kinds) == schedule(1, 300, kinds)
    assert schedule(1, 300, kinds) != schedule(2, 300, kinds)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_in_its_turn_and_one_broker_at_a_time_is_in_trouble(seed: int) -> None:
    faults = schedule(seed, 400, list(Kind))
    assert {fault.kind for fault in faults} == set(Kind)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    brokers = [fault for fault in faults if fault.kind in ON_BROKERS]
    for one, next in itertools.pairwise(brokers):
        assert next.at >= one.at + one.seconds + CATCH_UP - 0.1


def test_without_kinds_nothing_befalls() -> None:
    assert schedule(1, 300, []) == []
