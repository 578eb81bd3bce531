"""Runs one step of one deletion: claims it, runs it, and stores how it ended."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded

from shared import logs, retry
from shared.database.models import DeletionStatus
from shared.deletions import claims, step_counts
from shared.deletions.claims import Claim
from shared.errors import LetheError, LostClaim, NotThere, RightsLost, TransientError, Unreachable
from shared.services import Services
from shared.webhooks import notices
from tasks import pipeline, publishing
from tasks.context import Context, Progress
from tasks.gateways import channels
from tasks.pipeline import PipelineStep
from worker.heartbeat import Heart

log = logs.get(__name__)
T = TypeVar("T")
_LONGEST_OWN_PAUSE_SECONDS = 30.0  # where the step itself sets its first pause: mostly milliseconds are enough


class Outcome(Enum):
    """What happens to the chain after this message."""

    CONTINUE = "continue"  # the step is done: the next one follows
    REPUBLISH = "republish"  # the step has more to do: publish the chain from here
    STOP = "stop"  # nothing follows: not claimed, postponed, failed, or the last step


@dataclass(frozen=True)
class Runner:
    """Runs steps for one worker process."""

    services: Services
    stopping: Callable[[], bool]  # the worker was told to stop
    others_wait: Callable[[], bool]  # deletions wait for a worker
    on_pause: Callable[[], None] = lambda: None  # called when a deletion is postponed

    @cached_property
    def _heart(self) -> Heart:
        return Heart(self.services)

    @cached_property
    def _notify(self) -> notices.Write:
        return notices.writer(self.services.settings, notices.Kind.FAILED)

    def run(self, name: str, deletion_id: UUID, attempt: int) -> Outcome:
        """Run one slice of the step, if this message can claim it; an error of the step never raises here."""
        try:
            claim = claims.claim(
                self.services.own, deletion_id, attempt, name, stale_seconds=self.services.settings.stale_seconds
            )
            if claim is None:
                log.info("not claimed")
                return Outcome.STOP
            with self._heart.beating(claim) as lost:
                return self._work(pipeline.BY_NAME[name], claim, lost.is_set)
        except LostClaim:
            log.warning("taken over by another worker")
            return Outcome.STOP
        except LetheError as error:  # the own database is unreachable: the reconciler takes the claim over later
            log.error("result of the step not stored", reason=error.title)
            return Outcome.STOP

    def _work(self, step: PipelineStep, claim: Claim, lost: Callable[[], bool]) -> Outcome:
        began = time.monotonic()
        try:
            if claim.planned is None:
                claim = self._with_present_name(claim)
            ctx = self._context(claim, began, lost)
            if claim.planned is None:
                self._plan(ctx)
            return self._run_with_retries(step, ctx)
        except LostClaim:
            raise
        except TransientError as error:
            is_failure, first_pause = not isinstance(error, Unreachable), error.first_pause_seconds
            return self._postpone(claim, error.title, is_failure=is_failure, first_pause_seconds=first_pause)
        except RightsLost as error:
            claims.cancel(self.services.own, claim, error.title)
            log.warning("deletion cancelled", reason=error.title)
        except LetheError as error:
            claims.fail(self.services.own, claim, error.title, notify=self._notify)
            log.error("deletion failed", reason=error.title)
        except SoftTimeLimitExceeded:
            return self._postpone(claim, "the step did not come to a stop within the soft time limit", is_failure=True)
        except Exception as error:  # a defect of Lethe: tried max_failures times, with the traceback in the log
            log.exception("step raised")
            return self._postpone(claim, f"unexpected {type(error).__name__}", is_failure=True)
        return self._stopped(claim)

    def _with_present_name(self, claim: Claim) -> Claim:
        """The claim of a scheduled deletion under the name that its instance has at the moment, if it has one."""
        found = self.services.tenant.find(instance_id=claim.instance_id) if claim.was_scheduled else None
        if found is None or found.name == claim.instance_name or found.name.startswith("lethe:"):  # fenced
            return claim
        log.warning("renamed since it was scheduled")
        return claims.rename(self.services.own, claim, found.name)

    def _plan(self, ctx: Context) -> None:
        planned = self._retry_after_migration(lambda: pipeline.preview(ctx))
        step_counts.store_plan(self.services.own, ctx.claim, planned)

    def _retry_after_migration(self, act: Callable[[], T]) -> T:
        """Call act once more if Evolution's tables were migrated meanwhile; has_changed reads the schema again."""
        try:
            return act()
        except NotThere:
            if not self.services.tenant.has_changed():
                raise
            log.warning("tables changed: trying again")
            return act()

    def _context(self, claim: Claim, began: float, lost: Callable[[], bool]) -> Context:
        settings = self.services.settings

        def stop() -> bool:
            if lost():
                raise LostClaim
            worked = time.monotonic() - began
            return self.stopping() or (worked >= settings.yield_seconds and self.others_wait())

        return Context(
            services=self.services,
            instance_id=claim.instance_id,
            instance_name=claim.instance_name,
            without_gateways=claim.without_gateways,
            thorough=False,
            exports=claim.exports,
            claim=claim,
            slice_ends=began + settings.slice_seconds,
            stopping=stop,
            notes=dict(claim.notes),
            totals=Counter(claim.removed),
        )

    def _run_with_retries(self, step: PipelineStep, ctx: Context) -> Outcome:
        seconds = self.services.settings.retry_seconds
        try:
            progress = retry.call(
                lambda: self._retry_after_migration(lambda: step.run(ctx)),
                seconds=seconds,
                give_up=lambda error: ctx.slice_is_over() or error.first_pause_seconds is not None,
            )
        except BaseException:
            ctx.save()
            raise
        return self._end(step, ctx, progress)

    def _end(self, step: PipelineStep, ctx: Context, progress: Progress) -> Outcome:
        own, claim, republish_seconds = self.services.own, ctx.claim, self.services.settings.nudge_seconds
        if progress is Progress.MORE:
            ctx.save()
            claims.end_slice(own, claim, republish_seconds=republish_seconds)
            return Outcome.REPUBLISH
        entry, is_last = ctx.entry(), step is pipeline.PIPELINE[-1]
        claims.finish_step(
            own,
            claim,
            removed=entry.removed,
            notes=entry.notes,
            planned=entry.planned,
            republish_seconds=republish_seconds,
            conclude=pipeline.conclude(self.services, claim, entry.notes) if is_last else None,
        )
        log.info("deletion succeeded" if is_last else "step done")
        if not is_last:
            return Outcome.CONTINUE
        publishing.release_lock_and_notify(self.services, claim.instance_id, claim.deletion_id)
        return Outcome.STOP

    def _postpone(
        self, claim: Claim, reason: str, *, is_failure: bool, first_pause_seconds: float | None = None
    ) -> Outcome:
        settings, most = self.services.settings, self.services.settings.max_pause_seconds
        status = claims.postpone(
            self.services.own,
            claim,
            reason,
            is_failure=is_failure,
            first_pause_seconds=(first_pause_seconds or settings.pause_seconds) * random.uniform(0.8, 1.2),  # noqa: S311 - jitter
            max_pause_seconds=most if first_pause_seconds is None else min(most, _LONGEST_OWN_PAUSE_SECONDS),
            deadline_seconds=settings.deadline_seconds,
            max_failures=settings.max_failures,
            notify=self._notify,
        )
        log.warning("step put off", reason=reason, status=status.value, counts=is_failure)
        self.on_pause()
        return self._stopped(claim) if status is DeletionStatus.FAILED else Outcome.STOP

    def _stopped(self, claim: Claim) -> Outcome:
        """After a failure or a cancellation: the instance may continue to live, so its channels are enabled again."""
        publishing.release_lock_and_notify(self.services, claim.instance_id, claim.deletion_id)
        channels.restore(self.services)
        return Outcome.STOP
