"""A watched worker that stops at a point which the instance's name tells, and waits there for its death."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shared import deletions, tenant_rows, webhooks
from shared.deletions import Claim
from shared.gateway import Gateway
from tasks import pipeline
from tasks.context import Context, Progress
from tests.faults import watched_worker
from worker.runner import Runner

app = watched_worker.app
MOMENTS = ("before", "middle", "after", "committed", "published")
# What a step has done when it is in the middle: its first removal is made, and not written down.
MIDDLES = {
    "logout": (Gateway, "log_out"),
    "purge_cache": None,
    "send_webhook": (webhooks, "deliver"),
    "deregister": (Gateway, "drop"),
    "delete_records": None,
    "delete_files": None,
    "confirm": (tenant_rows, "remaining"),
}
_running: list[Claim] = []


def ambush(moment: str, claim: Claim) -> None:
    """Stop here for ever if this is the point, and nobody has died at it yet."""
    reached = watched_worker.FOLDER / f"{claim.instance_name}.reached"
    if claim.instance_name == f"{moment}-{claim.step}" and not reached.exists():
        reached.touch()
        threading.Event().wait()


def _ambushed(run: Callable[[Context], Progress]) -> Callable[[Context], Progress]:
    def ambushed(ctx: Context) -> Progress:
        _running[:] = [ctx.claim]
        ambush("before", ctx.claim)
        progress = run(ctx)
        ambush("after", ctx.claim)
        return progress

    return ambushed


def _ambush_middle(step: str, place: Any, name: str, *, before: bool = False) -> None:
    act = getattr(place, name)

    def ambushed(*arguments: Any, **options: Any) -> Any:
        in_the_middle = _running and _running[0].step == step
        if in_the_middle and before:
            ambush("middle", _running[0])
        answer = act(*arguments, **options)
        if in_the_middle:
            ambush("middle", _running[0])
        return answer

    setattr(place, name, ambushed)


def _ambush_commit(finish_step: Callable[..., None]) -> Callable[..., None]:
    def ambushed(engine: Any, claim: Claim, **options: Any) -> None:
        finish_step(engine, claim, **options)
        ambush("committed", claim)

    return ambushed


for _name, _step in pipeline.BY_NAME.items():
    pipeline.BY_NAME[_name] = replace(_step, run=_ambushed(_step.run))
    if _place := MIDDLES[_name]:
        _ambush_middle(_name, *_place)
    else:
        _ambush_middle(_name, Context, "removed", before=True)
deletions.finish_step = _ambush_commit(deletions.finish_step)  # type: ignore[assignment]
