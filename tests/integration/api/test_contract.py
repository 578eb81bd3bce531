"""The running API keeps the OpenAPI document, whatever it is sent, and in whatever order."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from demo.evolution.seed import seed_instance
from tests import contract
from tests.system import ADMIN_KEY, System, running

# A name or an id can fit the document and still be nobody's: that is a 400, as Evolution's own documentation has it.
NOT_OURS = [positive_data_acceptance]
KEY = {"apikey": ADMIN_KEY}
quick = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A running system of its own: what is ordered here is nobody else's."""
    with running(make_system(wait_seconds=2), "web", "worker") as started:
        yield started


@pytest.fixture(scope="module")
def described(system: System) -> Any:
    """The document as the running API shows it."""
    return schemathesis.openapi.from_url(f"{system.url}/openapi.json")


@pytest.mark.parametrize(
    "operation", contract.operations(), ids=lambda operation: f"{operation.method} {operation.path}"
)
def test_every_answer_is_as_documented(described: Any, operation: contract.Operation) -> None:
    """Status, headers, media type and body, for right and wrong requests at every boundary, and for random ones."""
    called = described[operation.path][operation.method]

    @given(case=called.as_strategy(generation_mode=GenerationMode.POSITIVE))
    @settings(quick, max_examples=10)
    def send(case: Case) -> None:
        case.call_and_validate(headers=KEY, excluded_checks=NOT_OURS)

    send()
    for case in described.iter_coverage_cases(
        called, generation_modes=list(GenerationMode), generation_config=described.config.generation
    ):
        case.call_and_validate(headers=KEY, excluded_checks=NOT_OURS)


def test_what_can_be_done_with_an_order_keeps_the_document(system: System, described: Any) -> None:
    """Instances that exist are ordered to be deleted, and the document's links are followed from there."""
    # schemathesis begins with an order only where nothing else promises to lead anywhere.
    others = ["listDeletions", "listLines", "cancelDeletion", "retryDeletion"]

    seen = follow_links(system, described.exclude(operation_id=others))

    assert {("orderDeletion", 202), ("showDeletion", 200)} <= seen
    assert {status for _, status in seen if status >= 500} == set()


def test_what_can_be_done_with_a_list_keeps_the_document(system: System, described: Any) -> None:
    """What it names is looked at, resumed, cancelled, proved."""
    for number in range(3):
        seed_instance(system.deployment, f"listed {number}", messages=3)
        system.wait_for(system.delete(f"listed {number}", Prefer="respond-async").body["response"]["deletionId"])

    seen = follow_links(system, described)

    assert {("listDeletions", 200), ("showDeletion", 200)} <= seen
    assert {status for _, status in seen if status >= 500} == set()


def follow_links(system: System, described: Any) -> set[tuple[str, int]]:
    """Send what schemathesis thinks up; which operation was answered with which status."""
    numbers, seen, wrong = count(1), set[tuple[str, int]](), list[str]()

    class Caller(described.as_state_machine()):  # type: ignore[misc]
        """Every name that a right order carries is borne by somebody."""

        def before_call(self, case: Case) -> None:
            if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
                return
            if case.method == "POST" and case.path == "/deletions":
                case.body = {"instanceName": seed(), "dryRun": case.body.get("dryRun", False)}
            if case.path.startswith("/instance/"):
                case.path_parameters["instanceName"] = seed()

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": KEY}

        def after_call(self, response: Any, case: Case) -> None:
            super().after_call(response, case)
            seen.add((case.operation.definition.raw["operationId"], response.status_code))

        def validate_response(self, response: Any, case: Case, **options: Any) -> None:
            try:
                case.validate_response(response, excluded_checks=NOT_OURS)
            except Exception as error:
                wrong.append(str(error))
                raise

    def seed() -> str:
        return seed_instance(system.deployment, f"thought up {id(seen)} {next(numbers)}", messages=3).name

    for _ in range(4):
        # What can be done next depends on how far the worker has come. Hypothesis ends a run in which that differs from
        # an earlier one: what was sent until then counts, and another run goes on.
        with suppress(FlakyStrategyDefinition):
            Caller.run(settings=settings(quick, max_examples=12, stateful_step_count=8))
            break
    assert wrong == []
    return seen
