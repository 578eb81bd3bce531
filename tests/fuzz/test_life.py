"""The life of a deletion as a state machine, on the real own database: whatever order things happen in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from sqlalchemy import Engine, text

from demo.parts import Postgres
from shared.database import connections
from shared.database.connections import own_transaction
from shared.deletions import claims, lifecycle, republishing, step_counts
from shared.deletions.claims import Claim
from shared.deletions.lifecycle import AlreadyRequested, Requester
from shared.deletions.republishing import StepMessage
from shared.deletions.step_counts import StepRecord
from shared.errors import LostClaim
from tasks.pipeline import NAMES
from tests.servers import copy_database

REQUESTER = Requester("admin", "bootstrap")
# Far longer than an example takes: only the rule time_passes makes time pass.
STALE_SECONDS = 300
REPUBLISH_SECONDS = 600
FINAL = ("succeeded", "cancelled")


class Life(RuleBasedStateMachine):
    """Every rule is something that can happen at any moment, to a worker or to a message."""

    engine: Engine
    messages = Bundle("messages")  # any of them may be delivered, late, twice, or never
    claims = Bundle("claims")  # held by a worker, which may have been dead for long

    def __init__(self) -> None:
        super().__init__()
        with self.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))  # receipts are never removed
            connection.execute(text("TRUNCATE deletions CASCADE"))
        self.ended: dict[UUID, str] = {}
        self.positions: dict[UUID, int] = {}

    def _owner(self, claim: Claim) -> bool:
        with self.engine.connect() as connection:
            found = connection.execute(text("SELECT owner FROM deletions WHERE id = :id"), {"id": claim.deletion_id})
            return bool(found.scalar_one() == claim.owner)

    def _if_owner(self, claim: Claim, act: Callable[[], Any]) -> Any:
        """The owner of the step may write; any other worker gets LostClaim."""
        owned = self._owner(claim)
        try:
            result = act()
        except LostClaim:
            assert not owned
            return None
        assert owned
        return result

    @rule(target=messages, instance=st.sampled_from(["a", "b"]), later=st.booleans())
    def accept(self, instance: str, later: bool) -> Any:
        """Order a deletion, at once or for later; its message may come early."""
        deletion_id = uuid4()
        try:
            with own_transaction(self.engine) as session:
                return lifecycle.accept(
                    session,
                    deletion_id=deletion_id,
                    instance_id=instance,
                    instance_name=instance,
                    requester=REQUESTER,
                    steps=NAMES,
                    republish_seconds=REPUBLISH_SECONDS,
                    not_before=datetime.now(UTC) + timedelta(seconds=1000) if later else None,
                )
        except AlreadyRequested:
            return multiple()

    @rule(target=claims, message=messages, skew=st.integers(-1, 1))
    def deliver(self, message: StepMessage, skew: int) -> Any:
        """A message arrives, perhaps again, perhaps for another step than the one that is due."""
        step = NAMES[(message.position + skew) % len(NAMES)]
        claim = claims.claim(self.engine, message.deletion_id, message.attempt, step, stale_seconds=STALE_SECONDS)
        if claim is None:
            return multiple()
        if not claim.planned and claim.position == 0:
            step_counts.store_plan(self.engine, claim, {name: {} for name in NAMES})
        return claim

    @rule(target=claims, message=messages)
    def deliver_without_planning(self, message: StepMessage) -> Any:
        """The worker dies, or waits, before it has planned."""
        claim = claims.claim(
            self.engine, message.deletion_id, message.attempt, NAMES[message.position], stale_seconds=STALE_SECONDS
        )
        return claim or multiple()

    @rule(claim=claims)
    def beat(self, claim: Claim) -> None:
        """The owner shows that it lives."""
        self._if_owner(claim, lambda: claims.send_heartbeat(self.engine, claim))

    @rule(claim=claims, rows=st.integers(0, 3))
    def remove(self, claim: Claim, rows: int) -> None:
        """The owner writes down what it removed."""
        self._if_owner(
            claim, lambda: step_counts.record(self.engine, claim, StepRecord({"rows": rows}, {}, has_progress=rows > 0))
        )

    @rule(target=messages, claim=claims)
    def finish(self, claim: Claim) -> Any:
        """The step is done."""
        last = claim.step == NAMES[-1]
        finish = partial(
            claims.finish_step,
            self.engine,
            claim,
            removed={},
            notes={},
            republish_seconds=REPUBLISH_SECONDS,
            conclude=(lambda connection: None) if last else None,
        )
        if not self._owner(claim):
            self._if_owner(claim, finish)
            return multiple()
        finish()
        return multiple() if last else StepMessage(claim.deletion_id, claim.attempt, claim.position + 1)

    @rule(target=messages, claim=claims)
    def end_slice(self, claim: Claim) -> Any:
        """The slice is over."""
        is_owner = self._owner(claim)
        self._if_owner(claim, lambda: claims.end_slice(self.engine, claim, republish_seconds=REPUBLISH_SECONDS))
        return StepMessage(claim.deletion_id, claim.attempt, claim.position) if is_owner else multiple()

    @rule(claim=claims, is_failure=st.booleans())
    def postpone(self, claim: Claim, is_failure: bool) -> None:
        """A dependency is away, or the step failed by itself."""
        self._if_owner(
            claim,
            lambda: claims.postpone(
                self.engine,
                claim,
                "away",
                is_failure=is_failure,
                first_pause_seconds=10,
                max_pause_seconds=100,
                deadline_seconds=10_000,
                max_failures=3,
            ),
        )

    @rule(claim=claims)
    def fail(self, claim: Claim) -> None:
        """The step failed for good."""
        self._if_owner(claim, lambda: claims.fail(self.engine, claim, "no"))

    @rule(target=messages, message=messages)
    def resume(self, message: StepMessage) -> Any:
        """An operator resumes."""
        with own_transaction(self.engine) as session:
            return (
                lifecycle.resume(session, message.deletion_id, REQUESTER, republish_seconds=REPUBLISH_SECONDS)
                or multiple()
            )

    @rule(message=messages)
    def cancel(self, message: StepMessage) -> None:
        """Cancel it: possible only while nothing was planned."""
        with own_transaction(self.engine) as session:
            cancelled = lifecycle.cancel(session, message.deletion_id)
        if cancelled:
            with self.engine.connect() as connection:
                done = connection.execute(
                    text("SELECT count(coalesce(planned::text, finished_at::text)) FROM steps WHERE deletion_id = :id"),
                    {"id": message.deletion_id},
                )
                assert done.scalar_one() == 0

    @rule(seconds=st.sampled_from([100, 400, 20_000]))
    def time_passes(self, seconds: int) -> None:
        """For all at once."""
        with self.engine.begin() as connection:
            for column in ("heartbeat_at", "next_attempt_at", "waiting_since", "not_before"):
                connection.execute(text(f"UPDATE deletions SET {column} = {column} - interval '{seconds} seconds'"))

    @rule(target=messages)
    def reconcile(self) -> Any:
        """Beat ticks."""
        dead = republishing.take_over_stale(
            self.engine, stale_seconds=STALE_SECONDS, republish_seconds=REPUBLISH_SECONDS
        )
        due = republishing.take_due(self.engine, republish_seconds=REPUBLISH_SECONDS, max_pause_seconds=6000)
        return multiple(*dead, *due)

    @rule(target=messages)
    def look(self) -> Any:
        """A worker's clock looks what is due; it never publishes the same pause twice."""
        due = republishing.take_postponed(self.engine, republish_seconds=REPUBLISH_SECONDS, max_pause_seconds=6000)
        assert (
            republishing.take_postponed(self.engine, republish_seconds=REPUBLISH_SECONDS, max_pause_seconds=6000) == []
        )
        return multiple(*due, *lifecycle.queue_scheduled(self.engine, republish_seconds=REPUBLISH_SECONDS))

    @rule(target=messages, message=messages)
    def run_now(self, message: StepMessage) -> Any:
        """Somebody does not wait for the moment."""
        with own_transaction(self.engine) as session:
            published = lifecycle.run_now(session, message.deletion_id, REQUESTER, republish_seconds=REPUBLISH_SECONDS)
        return published or multiple()

    @invariant()
    def nothing_begins_before_its_moment(self) -> None:
        """Whatever messages come early."""
        with self.engine.connect() as connection:
            early = connection.execute(
                text(
                    "SELECT id FROM deletions"
                    " WHERE started_at < not_before OR (not_before > now() AND owner IS NOT NULL)"
                    " OR (status = 'scheduled' AND (not_before IS NULL OR owner IS NOT NULL OR started_at IS NOT NULL))"
                )
            )
            assert early.all() == []

    @invariant()
    def nothing_is_lost_and_nothing_comes_back(self) -> None:
        """What is unfinished is owned or due some day; what has ended stays so; steps are only ever done once."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT id, instance_id, status, position, owner, next_attempt_at, failed_step FROM deletions")
            ).all()
        for row in rows:
            if row.status in ("queued", "running", "waiting"):
                assert row.owner or row.next_attempt_at
            if row.status == "failed":
                assert row.failed_step
            assert (row.status == "succeeded") == (row.position == len(NAMES))
            assert row.position >= self.positions.get(row.id, 0)
            assert self.ended.get(row.id, row.status) == row.status
            self.positions[row.id] = row.position
            if row.status in FINAL:
                self.ended[row.id] = row.status
        unfinished = [row.instance_id for row in rows if row.status not in FINAL]
        assert len(unfinished) == len(set(unfinished))


@pytest.fixture
def own_engine(postgres_part: Postgres) -> Any:
    """An own database for this test."""
    engine = connections.connect(copy_database(postgres_part, "own_template"), name="test")
    yield engine
    engine.dispose()


def test_the_life_of_a_deletion(own_engine: Engine) -> None:
    """No two owners at once, no way back from an end, no lost deletion."""
    Life.engine = own_engine

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
