"""The pause timer publishes a postponed step when its pause is over, also while beat is dead."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import text

from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.deletions import claims, republishing
from shared.deletions.claims import Claim
from shared.deletions.republishing import StepMessage
from shared.services import Services
from tasks import publishing
from tests.integration.inline import accept
from tests.system import System
from worker import pause_timer
from worker.pause_timer import PauseTimer

T = TypeVar("T")
ROUND_SECONDS = 30  # the reconciler's default
take_postponed = partial(republishing.take_postponed, republish_seconds=60, max_pause_seconds=600)
take_due = partial(republishing.take_due, republish_seconds=60, max_pause_seconds=600)
NOTE_WHAT_IS_SENT = """
    CREATE TABLE sent (late float);
    CREATE FUNCTION note_what_is_sent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO sent VALUES (extract(epoch FROM now() - OLD.next_attempt_at)); RETURN NULL; END $$;
    CREATE TRIGGER note_what_is_sent AFTER UPDATE OF next_attempt_at ON deletions FOR EACH ROW
        WHEN (OLD.status = 'waiting' AND OLD.owner IS NULL AND NEW.owner IS NULL) EXECUTE FUNCTION note_what_is_sent()
"""

pytestmark = pytest.mark.system(reconcile_seconds=ROUND_SECONDS, nudge_seconds=60, retry_seconds=0.3, pause_seconds=1)


@pytest.fixture
def system(fresh_system: System) -> System:
    """A deployment whose reconciler looks as seldom as in production; nothing runs yet."""
    return fresh_system


@pytest.fixture
def services(fresh_services: Services) -> Services:
    """Services on that system."""
    return fresh_services


def postponed_deletion(services: Services, *, seconds: float) -> UUID:
    """A deletion whose first step is postponed for so many seconds."""
    deletion_id = accept(services, f"id-{seconds}", "a")
    claim = claims.claim(services.own, deletion_id, 1, "logout", stale_seconds=30)
    assert claim
    wait(services, claim, seconds)
    return deletion_id


def wait(services: Services, claim: Claim, seconds: float) -> None:
    """Postpone the claimed step."""
    claims.postpone(
        services.own,
        claim,
        "away",
        is_failure=False,
        first_pause_seconds=seconds,
        max_pause_seconds=600,
        deadline_seconds=600,
        max_failures=5,
    )


def rounds(services: Services) -> int:
    """How many rounds of the reconciler have run, 0 or 1 and more."""
    with services.own.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM clocks WHERE name = 'reconciler'")).scalar_one())


def noting(act: Callable[..., T], answers: list[T]) -> Callable[..., T]:
    """The same, with every answer noted."""

    def noted(*arguments: Any, **options: Any) -> T:
        answers.append(act(*arguments, **options))
        return answers[-1]

    return noted


@pytest.mark.parametrize("beat", [(), ("beat",)], ids=["without beat", "with beat"])
def test_a_deletion_that_was_postponed_goes_on_when_it_is_due(
    system: System, services: Services, beat: tuple[str, ...]
) -> None:
    """The gateway was away for a moment; the deletion ends before the reconciler has had a round."""
    seed_instance(system.deployment, "patient", messages=3)
    system.start("web", "worker", *beat)
    system.gateways[0].stop()
    deletion_id = system.delete("patient", Prefer="respond-async").body["response"]["deletionId"]
    system.wait_for(deletion_id, "waiting")
    system.gateways[0].start()

    ended = system.wait_for(deletion_id, seconds=ROUND_SECONDS - 5)

    assert ended["status"] == "succeeded"
    assert rounds(services) == 0


def test_the_next_try_comes_when_the_api_says(system: System, services: Services) -> None:
    """Not before, and not long after; the timer alone sends it, for no reconciler runs."""
    seed_instance(system.deployment, "told", messages=3)
    with services.own.begin() as connection:
        connection.execute(text(NOTE_WHAT_IS_SENT))
    system.start("web", "worker")
    system.gateways[0].stop()
    deletion_id = system.delete("told", Prefer="respond-async").body["response"]["deletionId"]

    wait_until(lambda: system.show(deletion_id)["steps"][0]["attempts"] >= 4, ROUND_SECONDS - 5, "four tries")

    with services.own.connect() as connection:
        late = [float(seconds) for seconds in connection.scalars(text("SELECT late FROM sent"))]
    assert len(late) >= 3
    assert 0 <= min(late) < 1.5  # a busy machine may delay one of them, a slow timer delays all
    assert rounds(services) == 0


def test_a_pause_is_published_once(services: Services) -> None:
    """However many pause timers look at the moment when it is over."""
    over = {postponed_deletion(services, seconds=seconds) for seconds in (0.001, 0.002, 0.003)}
    postponed_deletion(services, seconds=600)

    with ThreadPoolExecutor(4) as pool:
        taken = [message for found in pool.map(lambda _: take_postponed(services.own), range(8)) for message in found]

    assert sorted(message.deletion_id for message in taken) == sorted(over)
    assert {(message.attempt, message.position) for message in taken} == {(1, 0)}


def test_a_message_that_is_lost_after_the_pause_is_left_to_the_reconciler(services: Services) -> None:
    """It publishes it when a deletion's time is over, as any other; the pause timers publish nothing twice."""
    deletion_id = postponed_deletion(services, seconds=0.001)
    first = take_postponed(services.own)
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET next_attempt_at = next_attempt_at - interval '61 seconds'"))

    again, reconciled = take_postponed(services.own), take_due(services.own)

    assert first == reconciled == [StepMessage(deletion_id, 1, 0)]
    assert again == []


def test_what_nobody_has_claimed_yet_is_left_to_the_reconciler(services: Services) -> None:
    """A long queue would be published again and again."""
    accept(services, "queued", "queued")
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET next_attempt_at = now() - interval '1 hour'"))

    assert republishing.next_due_in_seconds(services.own, within_seconds=1) is None
    assert take_postponed(services.own) == []
    assert len(take_due(services.own)) == 1


def test_a_short_pause_is_not_made_longer(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that postpones a step wakes its pause timer, whose next look may be far away."""
    looks, published = list[float | None](), list[UUID]()
    monkeypatch.setattr(pause_timer, "LOOK_SECONDS", 600.0)
    monkeypatch.setattr(republishing, "next_due_in_seconds", noting(republishing.next_due_in_seconds, looks))
    monkeypatch.setattr(publishing, "publish", lambda services, message: published.append(message.deletion_id) or True)
    timer = PauseTimer(services)
    timer.start()
    wait_until(lambda: looks == [None], 5, "the first look")
    deletion_id = postponed_deletion(services, seconds=0.1)

    timer.wake()

    wait_until(lambda: published == [deletion_id], 5, "the message")
    timer.stop()


def test_a_pause_timer_that_is_stopped_publishes_nothing_more(services: Services) -> None:
    """The process ends, and its connections with it."""
    timer = PauseTimer(services)
    timer.start()
    timer.stop()

    postponed_deletion(services, seconds=0.001)

    assert republishing.next_due_in_seconds(services.own, within_seconds=1) is not None
