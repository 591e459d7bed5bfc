"""What may be committed, against a model that keeps every offset it saw."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from typedrpc.offsets import Offsets


class Model:
    """Every offset ever seen and finished, and the slow but plain answer."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.seen: set[int] = set()
        self.finished: set[int] = set()

    @property
    def next(self) -> int:
        return max(self.seen, default=self.first - 1) + 1

    @property
    def open(self) -> set[int]:
        return self.seen - self.finished

    @property
    def committable(self) -> int:
        return min(self.open, default=self.next)


def test_offsets_finished_in_order_are_committable_at_once() -> None:
    offsets = Offsets(5)
    assert offsets.committable == 5
    for offset in (5, 6, 7):
        assert offsets.see(offset)
        offsets.finish(offset)
        assert offsets.committable == offset + 1


def test_an_unfinished_offset_holds_the_later_ones_back() -> None:
    offsets = Offsets(0)
    assert all(offsets.see(offset) for offset in range(3))
    offsets.finish(2)
    offsets.finish(1)
    assert offsets.committable == 0
    offsets.finish(0)
    assert offsets.committable == 3


def test_gaps_count_as_finished_once_a_later_record_was_seen() -> None:
    offsets = Offsets(0)
    offsets.see(0)
    offsets.finish(0)
    assert offsets.committable == 1
    offsets.see(10)
    assert offsets.committable == 10
    offsets.see(20)
    offsets.finish(20)
    assert offsets.committable == 10
    offsets.finish(10)
    assert offsets.committable == 21


def test_a_gap_before_the_first_record_counts_as_finished() -> None:
    offsets = Offsets(100)
    offsets.see(103)
    assert offsets.committable == 103


def test_a_record_seen_again_is_known() -> None:
    offsets = Offsets(0)
    assert offsets.see(3)
    assert not offsets.see(3)
    assert not offsets.see(1)
    assert offsets.committable == 3


def test_a_late_finish_of_something_committed_changes_nothing() -> None:
    offsets = Offsets(0)
    offsets.see(0)
    offsets.finish(0)
    offsets.finish(0)
    assert offsets.committable == 1
    offsets.see(1)
    assert offsets.committable == 1


def test_nothing_is_remembered_of_what_is_committable() -> None:
    offsets = Offsets(0)
    for offset in range(0, 20_000, 2):
        offsets.see(offset)
        offsets.see(offset + 1)
        offsets.finish(offset + 1)
        offsets.finish(offset)
    assert offsets.committable == 20_000
    assert not any(getattr(offsets, name) for name in ("_ahead", "_jumps"))


@settings(deadline=None, max_examples=150)
@given(data=st.data(), first=st.integers(0, 2**40))
def test_committable_is_always_what_the_model_says(data: st.DataObject, first: int) -> None:
    offsets, model = Offsets(first), Model(first)
    for _ in range(data.draw(st.integers(0, 60), label="steps")):
        before = offsets.committable
        unfinished = sorted(model.open)
        finish: bool = data.draw(st.booleans(), label="finish")
        if unfinished and finish:
            offset: int = data.draw(st.sampled_from(unfinished), label="finished")
            model.finished.add(offset)
            offsets.finish(offset)
        else:
            jump = data.draw(st.sampled_from([0, 0, 0, 0, 1, 7, -1, -3]), label="jump")
            offset = max(first, model.next + jump)
            assert offsets.see(offset) is (offset >= model.next)
            if offset >= model.next:
                model.seen.add(offset)
        assert offsets.committable == model.committable
        assert offsets.committable >= before
        assert all(offset >= offsets.committable for offset in model.open)
