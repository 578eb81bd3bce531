"""An order of many whose process dies, whose connection is lost, or that meets another one of the same instances."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine

from api import app
from cli import account
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.database.connections import own_transaction
from shared.deletions import display, lifecycle
from shared.deletions.lifecycle import NewDeletion
from shared.deletions.republishing import StepMessage
from shared.errors import Unreachable
from shared.services import Services
from shared.settings import ConfirmationMode
from tasks import pipeline
from tasks.orders import bulk, bulk_list
from tests.integration.inline import ADMIN, accept, run_all, run_steps
from tests.system import ADMIN_KEY, System

pytestmark = pytest.mark.system()


def make_client(system: System, confirmation: ConfirmationMode) -> FlaskClient:
    """The API in the test's own process."""
    return app.create(system.make_services(confirmation=confirmation)).test_client()


def order(client: FlaskClient, names: Sequence[str], token: str = "", **more: Any) -> Any:
    """Order the deletions of these names."""
    headers = {"apikey": ADMIN_KEY, **({"X-Confirmation-Token": token} if token else {})}
    return client.post("/deletions", json={"instanceNames": names, **more}, headers=headers)


def outcomes(answer: Any) -> list[str]:
    """The results, in the order of the list."""
    return [each["result"] for each in answer.json["results"]]


def test_a_process_that_dies_in_the_middle_leaves_the_rest_to_a_new_preview(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The confirmation is used up; what was accepted goes on, and is accepted once."""
    names = ["died 1", "died 2"]
    for name in names:
        seed_instance(system.deployment, name, messages=1)
    client, accept_all = make_client(system, ConfirmationMode.TOKEN), lifecycle.accept_all
    token = order(client, names, dryRun=True).json["confirmationToken"]

    def die_at_the_second(connection: Connection, new: Sequence[NewDeletion], **more: Any) -> list[StepMessage]:
        if new[0].instance_name == "died 2":
            raise SystemExit
        return accept_all(connection, new, **more)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_AT_ONCE", 1)
        patch.setattr(lifecycle, "accept_all", die_at_the_second)
        with pytest.raises(SystemExit):
            order(client, names, token)
    again, fresh = order(client, names, token), order(client, names, dryRun=True)
    rest = order(client, names, fresh.json["confirmationToken"])

    assert (again.status_code, "already used" in again.json["message"]) == (428, True)
    assert outcomes(fresh) == ["alreadyBeingDeleted", "found"]
    assert outcomes(rest) == ["alreadyBeingDeleted", "accepted"]
    with services.own.connect() as connection:
        query = "SELECT count(*) FROM deletions WHERE instance_name LIKE 'died%%'"
        assert connection.exec_driver_sql(query).scalar_one() == 2


def test_what_was_committed_is_accepted_also_when_the_answer_was_lost(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost in the commit: `refused` would be said of an instance that is erased."""
    seed_instance(system.deployment, "lost", messages=1)
    client, transactions = make_client(system, ConfirmationMode.OFF), count(1)

    @contextmanager
    def lose_the_second(engine: Engine) -> Iterator[Connection]:
        with own_transaction(engine) as connection:
            yield connection
        if next(transactions) == 2:  # the first one is of the order itself
            raise Unreachable("the own database")

    monkeypatch.setattr(bulk, "own_transaction", lose_the_second)
    answer = order(client, ["lost"])

    (result,) = answer.json["results"]
    assert (result["result"], answer.json["accepted"]) == ("accepted", 1)
    deletion = display.load(services.own, UUID(result["deletionId"]))
    assert deletion
    assert str(deletion.bulk_id) == answer.json["bulkId"]


def test_two_lists_of_the_same_instances_wait_for_each_other(services: Services) -> None:
    """In whatever order they have them: neither ends in a deadlock, whose names would be refused."""

    def insert(connection: Connection, *ids: str) -> list[StepMessage]:
        new = [NewDeletion(uuid4(), each, each) for each in ids]
        options: dict[str, Any] = {"steps": pipeline.NAMES, "republish_seconds": 60, "not_before": None}
        return lifecycle.accept_all(connection, new, requester=ADMIN, **options)

    def insert_the_other_way_round() -> list[StepMessage]:
        with own_transaction(services.own) as connection:
            return insert(connection, "crossing 2", "crossing 1")

    def waits() -> bool:
        query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with services.own.connect() as connection:
            return connection.exec_driver_sql(query).first() is not None

    with ThreadPoolExecutor(1) as pool:
        with own_transaction(services.own) as connection:
            first = insert(connection, "crossing 1")
            other = pool.submit(insert_the_other_way_round)
            wait_until(waits, 10, "the other order to wait")
            second = insert(connection, "crossing 2")

        assert (len(first), len(second), other.result()) == (1, 1, [])


def test_what_another_call_erases_meanwhile_is_not_ordered_again(system: System, services: Services) -> None:
    """Its deletion begins and ends after the list was looked at: one deletion, one receipt, one webhook."""
    names = ("crossed", "nearly crossed", "not crossed")
    erased, nearly, other = (seed_instance(system.deployment, name, messages=1) for name in names)
    system.gateways[0].load()
    caller = account.caller()
    meant = bulk_list.look(services, caller, names=names)
    first, second = accept(services, erased.id, "crossed"), accept(services, nearly.id, "nearly crossed")
    run_all(services, first)
    run_steps(services, second, *pipeline.NAMES[:-1])

    ordered = bulk.submit(services, caller, meant)

    assert [each.outcome.value for each in ordered.results] == ["unknown", "alreadyBeingDeleted", "accepted"]
    with services.own.connect() as connection:
        query = "SELECT id FROM deletions WHERE instance_id IN (%s, %s, %s) ORDER BY accepted_at"
        found = list(connection.exec_driver_sql(query, (erased.id, nearly.id, other.id)).scalars())
    assert found == [first, second, ordered.results[2].deletion_id]
