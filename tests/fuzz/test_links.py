"""The API keeps the OpenAPI document in whatever order it is called: the document's links are followed."""

from collections.abc import Callable
from itertools import count
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from demo.evolution.seed import seed_instance
from shared.services import Services
from tests.integration.inline import accept, run_all
from tests.system import ADMIN_KEY, System

# A name or an id can fit the document and still be nobody's: that is a 400, as Evolution's own documentation has it.
NOT_OURS = [positive_data_acceptance]
KEY = {"apikey": ADMIN_KEY}
# Hypothesis ends a run in which the same calls are answered otherwise than before: without a worker they are not.
pytestmark = pytest.mark.system("web", wait_seconds=0.1)


@pytest.fixture(scope="module")
def described(system: System) -> Any:
    """The document as the running API shows it."""
    return schemathesis.openapi.from_url(f"{system.url}/openapi.json")


def test_what_can_be_done_with_an_order_keeps_the_document(system: System, described: Any) -> None:
    """Instances that exist are ordered to be deleted, and the document's links are followed from there."""
    # schemathesis begins with an order only where nothing else promises to lead anywhere.
    others = ["listDeletions", "listLines", "cancelDeletion", "retryDeletion", "runDeletionNow"]

    seen = follow_links(system, described.exclude(operation_id=others), lambda: None)

    assert {("orderDeletion", 202), ("showDeletion", 200)} <= seen
    assert {status for _, status in seen if status >= 500} == set()


def test_what_can_be_done_with_a_list_keeps_the_document(system: System, services: Services, described: Any) -> None:
    """Deletions that succeeded, failed and are queued: what it names is looked at, resumed, cancelled, proved."""

    def put_deletions() -> None:
        ids = [
            accept(services, seed_instance(system.deployment, name, messages=3).id, name)
            for name in ("succeeded", "failed", "queued")
        ]
        run_all(services, ids[0])
        with services.own.begin() as connection:
            failed = "UPDATE deletions SET status = 'failed', reason = 'x', next_attempt_at = NULL WHERE id = %s"
            connection.exec_driver_sql(failed, (ids[1],))

    seen = follow_links(system, described, put_deletions)

    assert {("listDeletions", 200), ("showDeletion", 200)} <= seen
    assert {status for _, status in seen if status >= 500} == set()


def follow_links(system: System, described: Any, begin: Callable[[], None]) -> set[tuple[str, int]]:
    """Send what schemathesis thinks up, in runs that begin alike; which operation was answered with which status."""
    seen, wrong = set[tuple[str, int]](), list[str]()

    class Caller(described.as_state_machine()):  # type: ignore[misc]
        """Every name in a request that is to be accepted is an instance's."""

        def setup(self) -> None:
            empty(system)
            begin()
            self.numbers = count(1)

        def before_call(self, case: Case) -> None:
            if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
                return
            if case.method == "POST" and case.path == "/deletions":
                case.body = {"instanceName": self.seed(), "dryRun": case.body.get("dryRun", False)}
            if case.path.startswith("/instance/"):
                case.path_parameters["instanceName"] = self.seed()

        def seed(self) -> str:
            return seed_instance(system.deployment, f"thought up {next(self.numbers)}", messages=3).name

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

    Caller.run(
        settings=settings(
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
            max_examples=24,  # with fewer, some of the links are not followed
            stateful_step_count=8,
        )
    )
    assert wrong == []
    return seen


def empty(system: System) -> None:
    """No instance, no deletion, no line of the audit, no lock and no key of Redis, as at the beginning."""
    with psycopg.connect(system.settings.database_url.get_secret_value()) as own:
        own.execute("SET session_replication_role = replica")  # else the audit refuses
        own.execute("TRUNCATE attestations, audit, deletions, receipts, stamps, steps, webhook_events")
        own.execute("UPDATE audit_head SET seq = 0, hash = repeat('0', 64)")
    with system.deployment.connect() as connection:
        connection.execute('DELETE FROM "Instance"')
    with system.make_services().redis as redis:
        redis.flushdb()
