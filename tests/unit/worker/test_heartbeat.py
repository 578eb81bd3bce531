"""Heartbeats: one thread for all steps of a process, which ends with them, and a lock that is never taken too late."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from demo.processes import wait_until
from shared.deletions import claims, lock
from shared.deletions.claims import Claim
from shared.errors import LostClaim, Unreachable
from shared.services import Services
from worker.heartbeat import Heart

SECONDS = 0.01


class Beats:
    """Writes down heartbeats and holds of the lock."""

    def __init__(self) -> None:
        self.sent: list[UUID] = []
        self.held: list[UUID] = []
        self.failures: list[Exception] = []

    def send(self, own: object, claim: Claim) -> None:
        self.sent.append(claim.owner)
        if self.failures:
            raise self.failures.pop(0)

    def hold(self, redis: object, instance: str, deletion_id: UUID, seconds: float) -> bool:
        self.held.append(deletion_id)
        return True


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> Beats:
    """What is sent."""
    made = Beats()
    monkeypatch.setattr(claims, "send_heartbeat", made.send)
    monkeypatch.setattr(lock, "take", made.hold)
    return made


def make_heart(seconds: float = SECONDS) -> Heart:
    settings = SimpleNamespace(heartbeat_seconds=seconds, stale_seconds=30)
    return Heart(cast(Services, SimpleNamespace(settings=settings, own=None, redis=None)))


def make_claim(deletion_id: UUID | None = None) -> Claim:
    facts: dict[str, Any] = dict.fromkeys(Claim.__dataclass_fields__)
    return Claim(**facts | {"deletion_id": deletion_id or uuid4(), "owner": uuid4(), "instance_id": "the-id"})


def soon(met: Callable[[], object]) -> None:
    wait_until(lambda: bool(met()), 10, "the heartbeats")


def hearts() -> int:
    return sum(thread.name == "heart" for thread in threading.enumerate())


def test_one_thread_beats_for_all_steps_and_ends_with_them(beats: Beats) -> None:
    """Two steps at once, and then none."""
    heart, claims, before = make_heart(), (make_claim(), make_claim()), hearts()
    with heart.beating(claims[0]) as first, heart.beating(claims[1]) as second:
        soon(lambda: all(beats.sent.count(claim.owner) >= 3 for claim in claims))
        assert hearts() == before + 1
        assert not first.is_set()
        assert not second.is_set()
    soon(lambda: hearts() == before)

    sent = len(beats.sent)
    with heart.beating(make_claim()):
        soon(lambda: len(beats.sent) > sent)
    soon(lambda: hearts() == before)


def test_a_lost_claim_is_told_and_beats_no_more(beats: Beats) -> None:
    """The other step's heartbeats go on."""
    beats.failures = [LostClaim()]
    heart, lost, other = make_heart(), make_claim(), make_claim()
    with heart.beating(lost) as is_lost:
        soon(is_lost.is_set)
        with heart.beating(other) as is_other_lost:
            soon(lambda: beats.sent.count(other.owner) >= 3)
            assert not is_other_lost.is_set()

    assert beats.sent.count(lost.owner) == 1


def test_a_heartbeat_that_fails_is_sent_again(beats: Beats) -> None:
    """Whatever the reason."""
    beats.failures = [Unreachable("the own database"), ValueError("x")]
    with make_heart().beating(make_claim()) as lost:
        soon(lambda: len(beats.sent) >= 4)

        assert not lost.is_set()


def test_the_lock_is_taken_once_for_quick_steps_and_held_by_heartbeats(beats: Beats) -> None:
    """A lease is far longer than the time between two heartbeats."""
    quick, slow, deletion_id = make_heart(seconds=60), make_heart(), uuid4()
    for _ in range(7):
        with quick.beating(make_claim(deletion_id)):
            pass
    assert beats.held == [deletion_id]

    with slow.beating(make_claim(deletion_id)):
        soon(lambda: len(beats.held) >= 4)


def test_after_its_end_a_step_takes_no_lock(beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end waits for a heartbeat that is being sent: the lock is released after it."""
    sending, go_on = threading.Event(), threading.Event()

    def send(own: object, claim: Claim) -> None:
        sending.set()
        go_on.wait(10)

    monkeypatch.setattr(claims, "send_heartbeat", send)
    heart, before = make_heart(seconds=0.2), hearts()  # the thread of an earlier test may be asleep for long
    with heart.beating(make_claim()):
        assert sending.wait(10)
        threading.Timer(0.05, go_on.set).start()

    held = len(beats.held)
    soon(lambda: hearts() == before)
    assert len(beats.held) == held
