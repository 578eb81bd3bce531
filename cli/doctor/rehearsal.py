"""Tests everything that the steps of a deletion use, on an instance of this deployment; changes nothing."""

from collections.abc import Iterator
from uuid import uuid4

from cli.doctor.findings import Finding, Verdict
from shared.errors import LetheError
from shared.services import Services
from tasks import pipeline
from tasks.context import Target

_PART = "rehearsal"
_ADVICE = "no deletion is begun until then; docs/requirements.md says what Lethe needs"


def rehearse(services: Services) -> Iterator[Finding]:
    """Rehearse each step; reports what prevents a deletion."""
    instance = services.tenant.find_any()
    target = Target(services, *((instance.id, instance.name) if instance else (str(uuid4()), f"lethe-{uuid4()}")))
    is_well = True
    for step in pipeline.PIPELINE:
        try:
            step.rehearse(target)
        except LetheError as error:
            is_well = False
            yield Finding(_PART, Verdict.BROKEN, error.title, _ADVICE)
    found = pipeline.coverage_of(target)
    for sentence in found.not_rehearsed:
        yield Finding(_PART, Verdict.WARNING, sentence, "see docs/requirements.md#rehearsal")
    for sentence in found.not_covered:
        yield Finding("not covered", Verdict.WARNING, sentence, "remove it by hand: docs/requirements.md#not-covered")
    if is_well:
        of = f"with the instance {instance.name!r}" if instance else "without an instance: there is none"
        yield Finding(_PART, Verdict.OK, f"all that the steps use was tried, {of}")
