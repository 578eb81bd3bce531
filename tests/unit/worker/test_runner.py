"""What a worker does with one message: its decisions, on a state machine that only writes them down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.database.models import DeletionStatus
from shared.deletions import claims, lock, step_counts, waiting
from shared.deletions.claims import Claim
from shared.errors import LetheError, LostClaim, NotYet, Refused, RightsLost, TransientError, Unreachable
from shared.evolution.gateway import Stuck
from shared.settings import Settings
from tasks import pipeline
from tasks.context import Context, Progress
from tasks.gateways import channels
from tasks.pipeline import PipelineStep
from tests.unit.conftest import Clock
from worker.runner import Outcome, Runner

DELETION, ATTEMPT, INSTANCE = UUID(int=7), 3, "0b1c"


@dataclass
class Books:
    """In place of the own database and the lock: what was written, in order."""

    claimable: bool = True
    planned: dict[str, int] | None = field(default_factory=dict)
    status: DeletionStatus = DeletionStatus.WAITING
    failures: dict[str, Exception] = field(default_factory=dict)
    written: list[tuple[Any, ...]] = field(default_factory=list)
    first_pauses: list[float] = field(default_factory=list)

    def write(self, what: str, *facts: Any) -> None:
        """Write down, or fail."""
        if what in self.failures:
            raise self.failures[what]
        self.written.append((what, *facts))

    def claim(self, own: object, deletion_id: UUID, attempt: int, step: str, *, stale_seconds: float) -> Claim | None:
        self.write("claim", deletion_id, attempt, step)
        if not self.claimable:
            return None
        facts: dict[str, Any] = dict.fromkeys(Claim.__dataclass_fields__)
        facts |= {"deletion_id": deletion_id, "attempt": attempt, "step": step, "position": 0, "owner": UUID(int=1)}
        facts |= {
            "instance_id": INSTANCE,
            "instance_name": "a",
            "planned": self.planned,
            "notes": {"kept": 1},
            "removed": {},
        }
        return Claim(**facts | {"without_gateways": ()})

    def finish_step(self, own: object, claim: Claim, *, conclude: object = None, **_: Any) -> None:
        self.write("finish", conclude is not None)

    def end_slice(self, own: object, claim: Claim, *, republish_seconds: float) -> None:
        self.write("end_slice")

    def postpone(self, own: object, claim: Claim, reason: str, *, is_failure: bool, **_: Any) -> DeletionStatus:
        self.write("postpone", reason, is_failure)
        self.first_pauses.append(_["first_pause_seconds"])
        return self.status

    def fail(self, own: object, claim: Claim, reason: str, *, notify: object) -> None:
        self.write("fail", reason)

    def cancel(self, own: object, claim: Claim, reason: str) -> None:
        self.write("cancel", reason)

    def store_plan(self, own: object, claim: Claim, planned: Any) -> None:
        self.write("plan", planned)

    def ended(self) -> list[tuple[Any, ...]]:
        """All but the claim, the plan and the hold of the lock."""
        return [entry for entry in self.written if entry[0] not in ("claim", "plan", "hold")]


@dataclass
class Step:
    """A step that does what a test tells it."""

    acts: list[Progress | Exception]
    contexts: list[Context] = field(default_factory=list)
    blocked_by: Exception | None = None

    def preview(self, target: object) -> dict[str, int]:
        if self.blocked_by:
            raise self.blocked_by
        return {"things": 5}

    def run(self, ctx: Context) -> Progress:
        self.contexts.append(ctx)
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, Exception):
            raise act
        return act


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    """An unfinished deletion whose step may be claimed."""
    made = Books()
    for name in ("claim", "finish_step", "end_slice", "postpone", "fail", "cancel"):
        monkeypatch.setattr(claims, name, getattr(made, name))
    monkeypatch.setattr(step_counts, "store_plan", made.store_plan)
    monkeypatch.setattr(lock, "take", lambda redis, instance, deletion, seconds: made.write("hold", instance, deletion))
    monkeypatch.setattr(lock, "release", lambda redis, instance, deletion: made.write("release", instance, deletion))
    monkeypatch.setattr(waiting, "notify", lambda redis, deletion: made.write("wake", deletion))
    monkeypatch.setattr(channels, "restore", lambda services: made.write("put back"))
    return made


Run = Callable[..., tuple[Outcome, Step]]


@pytest.fixture
def run(make_settings: Callable[..., Settings], books: Books, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Run:
    """Run a step that acts so: run(Progress.DONE), run(Refused("x"), last=True)."""

    def run(
        *acts: Progress | Exception,
        last: bool = False,
        blocked_by: Exception | None = None,
        stopping: Callable[[], bool] = lambda: False,
        others_wait: Callable[[], bool] = lambda: False,
        on_pause: Callable[[], None] = lambda: None,
        **changes: Any,
    ) -> tuple[Outcome, Step]:
        fake = Step(list(acts), blocked_by=blocked_by)
        step = PipelineStep("logout", lambda target: None, fake.preview, fake.run)
        other = PipelineStep("other", lambda target: None, lambda target: {}, fake.run)
        monkeypatch.setattr(pipeline, "PIPELINE", (other, step) if last else (step, other))
        monkeypatch.setitem(pipeline.BY_NAME, "logout", step)
        tenant = SimpleNamespace(table=str, ask=lambda *_: [])
        services: Any = SimpleNamespace(
            settings=make_settings(**changes), own=None, redis=None, gateways=(), tenant=tenant
        )
        return Runner(services, stopping, others_wait, on_pause).run("logout", DELETION, ATTEMPT), fake

    return run


RELEASED = [("release", INSTANCE, DELETION), ("wake", DELETION)]
STOPPED = [*RELEASED, ("put back",)]  # the instance lives on, and its channels are switched on again


def test_a_message_that_may_not_claim_does_nothing(run: Run, books: Books) -> None:
    """Its chain ends there; the lock is not its own to hold."""
    books.claimable = False

    outcome, step = run(Progress.DONE)

    assert outcome is Outcome.STOP
    assert books.written == [("claim", DELETION, ATTEMPT, "logout")]
    assert step.contexts == []


def test_a_step_that_is_done_lets_the_next_one_follow(run: Run, books: Books) -> None:
    """The lock stays with the deletion."""
    outcome, _ = run(Progress.DONE)

    assert outcome is Outcome.CONTINUE
    assert books.ended() == [("finish", False)]
    assert ("hold", INSTANCE, DELETION) in books.written


def test_the_last_step_ends_the_deletion(run: Run, books: Books) -> None:
    """After it is committed, the lock is released and waiting requests are woken."""
    outcome, _ = run(Progress.DONE, last=True)

    assert outcome is Outcome.STOP
    assert books.ended() == [("finish", True), *RELEASED]


def test_a_step_with_more_to_do_is_published_again(run: Run, books: Books) -> None:
    """The last one too; the lock stays."""
    first, _ = run(Progress.MORE)
    second, _ = run(Progress.MORE, last=True)

    assert (first, second) == (Outcome.REPUBLISH, Outcome.REPUBLISH)
    assert books.ended() == [("end_slice",), ("end_slice",)]


def test_a_dependency_that_cannot_be_reached_is_waited_for(run: Run, books: Books) -> None:
    """Without counting: an outage uses no tries up."""
    outcome, _ = run(Unreachable("the cache", "Timeout"))

    assert outcome is Outcome.STOP
    assert books.ended() == [("postpone", "the cache cannot be reached: Timeout", False)]


@pytest.mark.parametrize("failure", [TransientError("half an answer"), Stuck("half an answer")])
def test_a_transient_error_is_postponed_and_counted(run: Run, books: Books, failure: Exception) -> None:
    """After it was tried again on the spot."""
    outcome, step = run(failure)

    assert outcome is Outcome.STOP
    assert books.ended() == [("postpone", "half an answer", True)]
    assert len(step.contexts) > 1


def test_a_transient_error_that_passes_is_no_error(run: Run, books: Books) -> None:
    """Seconds are tenacity's."""
    outcome, _ = run(TransientError("once"), Unreachable("twice"), Progress.DONE)

    assert outcome is Outcome.CONTINUE
    assert books.ended() == [("finish", False)]


@pytest.mark.parametrize(("asked", "usual"), [(0.1, 0.1), (30, 30), (None, 5)])
def test_a_step_says_when_to_look_again(run: Run, books: Books, asked: float | None, usual: float) -> None:
    """Else the settings do; jitter keeps a tenth of a second one."""
    outcome, _ = run(NotYet("still held", asked), pause_seconds=5, retry_seconds=0.1)

    assert outcome is Outcome.STOP
    assert books.ended() == [("postpone", "still held", False)]
    assert 0.8 * usual <= books.first_pauses[0] <= 1.2 * usual


def test_a_step_that_says_when_to_look_again_gives_its_worker_free(run: Run) -> None:
    """It is not tried on the spot."""
    _, step = run(NotYet("still held", 0.1))

    assert len(step.contexts) == 1


def test_the_pause_timer_is_woken_for_a_pause(run: Run, books: Books) -> None:
    """After it was written down, and of nothing else."""
    told = list[int]()

    for act in (Unreachable("x"), Progress.DONE, Progress.MORE, Refused("x"), RightsLost("x")):
        run(act, on_pause=lambda: told.append(len(books.ended())))

    assert told == [1]


def test_lost_rights_cancel_the_deletion(run: Run, books: Books) -> None:
    """With the reason; the lock is free, and waiting requests are woken."""
    outcome, _ = run(RightsLost("no longer"))

    assert outcome is Outcome.STOP
    assert books.ended() == [("cancel", "no longer"), *STOPPED]


@pytest.mark.parametrize("failure", [Refused("not safe"), LetheError("not safe")])
def test_an_error_for_good_fails_the_deletion_at_once(run: Run, books: Books, failure: Exception) -> None:
    """And gives the lock back, so that a resume finds it free."""
    outcome, step = run(failure)

    assert outcome is Outcome.STOP
    assert books.ended() == [("fail", "not safe"), *STOPPED]
    assert len(step.contexts) == 1


@pytest.mark.parametrize("failure", [ValueError("hunter2"), KeyError("hunter2"), OSError("hunter2")])
def test_an_unexpected_error_is_postponed_and_counted(run: Run, books: Books, failure: Exception) -> None:
    """Its text is not shown to callers, its kind is."""
    outcome, step = run(failure)

    assert outcome is Outcome.STOP
    assert books.ended() == [("postpone", f"unexpected {type(failure).__name__}", True)]
    assert len(step.contexts) == 1


def test_a_step_that_does_not_stop_is_postponed_and_counted(run: Run, books: Books) -> None:
    """At the soft time limit."""
    outcome, step = run(SoftTimeLimitExceeded())

    assert outcome is Outcome.STOP
    assert [(entry[0], entry[2]) for entry in books.ended()] == [("postpone", True)]
    assert "soft time limit" in books.ended()[0][1]
    assert len(step.contexts) == 1


@pytest.mark.parametrize("failure", [Unreachable("x"), TransientError("x"), ValueError("x")])
def test_a_deletion_that_fails_while_it_is_postponed_releases_its_lock(
    run: Run, books: Books, failure: Exception
) -> None:
    """At the cap, or after the deadline."""
    books.status = DeletionStatus.FAILED

    outcome, _ = run(failure)

    assert outcome is Outcome.STOP
    assert books.ended()[1:] == STOPPED


def test_a_worker_that_lost_the_claim_writes_nothing(run: Run, books: Books) -> None:
    """And leaves the lock to the one who has it now."""
    outcome, step = run(LostClaim())

    assert outcome is Outcome.STOP
    assert books.ended() == []
    assert len(step.contexts) == 1


ENDS = {
    "finish": Progress.DONE,
    "end_slice": Progress.MORE,
    "postpone": Unreachable("x"),
    "fail": Refused("x"),
    "cancel": RightsLost("x"),
}


@pytest.mark.parametrize("call", ENDS)
def test_a_worker_that_loses_the_claim_at_the_end_writes_nothing(run: Run, books: Books, call: str) -> None:
    """The lock belongs to the one who has the deletion now."""
    books.failures[call] = LostClaim()

    outcome, _ = run(ENDS[call], last=True)

    assert outcome is Outcome.STOP
    assert books.ended() == []


@pytest.mark.parametrize("call", ["postpone", "fail"])
@pytest.mark.parametrize("failure", [Unreachable("the own database"), TransientError("deadlock")])
def test_an_end_that_cannot_be_written_down_is_left_to_the_reconciler(
    run: Run, books: Books, call: str, failure: Exception
) -> None:
    """Nothing follows, nothing is released, nobody is told."""
    books.failures[call] = failure

    outcome, _ = run(ENDS[call], last=True)

    assert outcome is Outcome.STOP
    assert books.ended() == []


@pytest.mark.parametrize("call", ["finish", "end_slice"])
def test_an_end_that_cannot_be_written_down_is_postponed(run: Run, books: Books, call: str) -> None:
    """The step runs again, which is harmless; the chain does not go on without it."""
    books.failures[call] = Unreachable("the own database")

    outcome, _ = run(ENDS[call], last=True)

    assert outcome is Outcome.STOP
    assert books.ended() == [("postpone", "the own database cannot be reached", False)]


def test_an_own_database_that_is_away_at_the_claim_ends_the_chain(run: Run, books: Books) -> None:
    """As it does at the end: the reconciler publishes again."""
    books.failures["claim"] = Unreachable("the own database")

    outcome, _ = run(Progress.DONE)

    assert outcome is Outcome.STOP


def test_the_plan_is_stored_before_the_first_step(run: Run, books: Books) -> None:
    """While everything is still there."""
    books.planned = None

    outcome, _ = run(Progress.DONE)

    assert outcome is Outcome.CONTINUE
    assert ("plan", {"logout": {"things": 5}, "other": {}}) in books.written


def test_a_plan_is_made_once(run: Run, books: Books) -> None:
    """Later it would count what is left."""
    run(Progress.DONE)

    assert "plan" not in [entry[0] for entry in books.written]


@pytest.mark.parametrize(
    ("failure", "end"),
    [(Refused("no"), [("fail", "no"), *STOPPED]), (Unreachable("it"), [("postpone", "it cannot be reached", False)])],
)
def test_what_is_not_safe_is_refused_before_anything_is_done(
    run: Run, books: Books, failure: Exception, end: list[tuple[Any, ...]]
) -> None:
    """The preview of a later step stops the first one."""
    books.planned = None

    outcome, step = run(Progress.DONE, blocked_by=failure)

    assert outcome is Outcome.STOP
    assert step.contexts == []
    assert books.ended() == end


@pytest.mark.parametrize("call", ["release", "wake", "hold"])
def test_a_redis_that_is_away_changes_no_end(
    run: Run, books: Books, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The lock runs out by itself, and waiters poll."""
    books.failures[call] = RedisConnectionError("away")

    outcome, _ = run(Progress.DONE, last=True)

    assert outcome is Outcome.STOP
    assert ("finish", True) in books.written


def test_a_step_is_handed_what_it_needs(run: Run) -> None:
    """The instance, what was noted before, and a slice that is not over."""
    _, step = run(Progress.DONE)

    ctx = step.contexts[0]
    assert (ctx.instance_id, ctx.instance_name, ctx.deletion_id, ctx.notes) == (INSTANCE, "a", DELETION, {"kept": 1})
    assert not ctx.slice_is_over()


def test_a_slice_ends_when_the_worker_is_to_stop(run: Run) -> None:
    """A deploy waits for the next batch only."""
    _, step = run(Progress.DONE, stopping=lambda: True)

    assert step.contexts[0].slice_is_over()


def test_a_slice_ends_sooner_while_others_wait(run: Run) -> None:
    """A giant lets small ones in between, but not before it has worked for a while."""
    _, patient = run(Progress.DONE, others_wait=lambda: True, yield_seconds=2)
    _, polite = run(Progress.DONE, others_wait=lambda: True, yield_seconds=1e-9)
    _, alone = run(Progress.DONE, yield_seconds=1e-9)

    assert not patient.contexts[0].slice_is_over()
    assert polite.contexts[0].slice_is_over()
    assert not alone.contexts[0].slice_is_over()


def test_a_transient_error_at_the_end_of_a_slice_is_not_tried_again(run: Run, books: Books) -> None:
    """The retries would eat into the time limit."""
    _, step = run(TransientError("x"), stopping=lambda: True)

    assert len(step.contexts) == 1
    assert books.ended() == [("postpone", "x", True)]
