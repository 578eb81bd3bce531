"""Seconds of patience: for what may work when it is tried again, and for nothing else."""

import pytest

from shared import retry
from shared.errors import LetheError, LostClaim, Refused, TransientError, Unreachable
from shared.evolution.gateway import Stuck
from tests.unit.conftest import Clock


class Flaky:
    """Fails some times, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def test_what_works_is_called_once(clock: Clock) -> None:
    """And without a pause."""
    act, began = Flaky(), clock.now

    assert retry.call(act, seconds=10) == "answer"
    assert (act.calls, clock.now) == (1, began)


@pytest.mark.parametrize("failure", [TransientError("x"), Unreachable("x")])
def test_a_transient_error_is_tried_again(clock: Clock, failure: Exception) -> None:
    """After pauses that grow."""
    act = Flaky(failure, failure)

    assert retry.call(act, seconds=10) == "answer"
    assert act.calls == 3


@pytest.mark.parametrize("failure", [Refused("x"), LostClaim(), LetheError("x"), ValueError("x"), KeyError("x")])
def test_another_error_is_not_tried_again(clock: Clock, failure: Exception) -> None:
    """It would fail alike."""
    act = Flaky(failure)

    with pytest.raises(type(failure)):
        retry.call(act, seconds=10)

    assert act.calls == 1


def test_the_last_error_is_raised_when_the_seconds_are_over(clock: Clock) -> None:
    """Itself, not tenacity's; and little later than it was told."""
    act, began = Flaky(*[TransientError(f"try {number}") for number in range(1_000)]), clock.now

    with pytest.raises(TransientError) as raised:
        retry.call(act, seconds=10)

    assert raised.value.title == f"try {act.calls - 1}"
    assert 3 < act.calls < 20
    assert 10 <= clock.now - began <= 10 + 3 + 0.3


def test_it_gives_up_when_it_is_told_to(clock: Clock) -> None:
    """The slice is over, or the worker is to stop."""
    act, turns = Flaky(*[TransientError("x")] * 10), iter([False, False, True])

    with pytest.raises(TransientError):
        retry.call(act, seconds=1_000, give_up=lambda _: next(turns))

    assert act.calls == 3


def test_a_transient_error_then_a_fatal_one_ends_at_once(clock: Clock) -> None:
    """The kind of the newest error decides."""
    act = Flaky(TransientError("x"), Refused("y"))

    with pytest.raises(Refused):
        retry.call(act, seconds=10)

    assert act.calls == 2


def test_only_the_named_error_is_tried_again(clock: Clock) -> None:
    """A dead socket is worth seconds, a server that is away is not."""
    stuck, away = Flaky(Stuck("x"), Unreachable("y")), Flaky(Unreachable("y"))

    for act in (stuck, away):
        with pytest.raises(Unreachable):
            retry.call(act, seconds=10, only=Stuck)

    assert (stuck.calls, away.calls) == (2, 1)
