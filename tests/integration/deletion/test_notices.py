"""LETHE_NOTIFY_URL is told, once, of a deletion that succeeded, failed, or waits for long."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from demo.evolution.receiver import Received, Receiver
from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from shared.database.connections import own_transaction
from shared.deletions import lifecycle
from shared.deletions.display import load
from shared.receipts import receipt
from shared.services import Services
from shared.settings import NotifyForm
from shared.webhooks import outbox
from shared.webhooks.events import GLOBAL, OPERATOR, Event
from tests.integration.inline import ADMIN, accept, run_all, run_steps
from tests.kafka import KafkaPart
from tests.system import System, running
from worker import reconciler, webhook_retries

KEY = f"whsec_{base64.b64encode(b'k' * 32).decode()}"


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> System:
    """A system without processes."""
    return make_system(webhook_key=SecretStr(KEY))


@pytest.fixture
def operator() -> Iterator[Receiver]:
    """The operator's own receiver."""
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def services(system: System, operator: Receiver) -> Iterator[Services]:
    """Services that tell it."""
    made = system.make_services(notify_url=SecretStr(f"{operator.url}/lethe?token=x"))
    yield made
    made.close()


def ordered(system: System, services: Services, name: str) -> tuple[UUID, str]:
    """The ids of an accepted deletion and its instance."""
    instance = seed_instance(system.deployment, name, messages=2)
    return accept(services, instance.id, name), instance.id


def told(services: Services, operator: Receiver) -> list[Received]:
    """What the operator has received after the task that sends it ran, twice."""
    for _ in range(2):
        webhook_retries.redeliver(services)
    return list(operator.received)


def data_of(received: Received) -> dict[str, Any]:
    """The data, without the times."""
    data: dict[str, Any] = received.body["data"]
    return {name: value for name, value in data.items() if name not in ("acceptedAt", "finishedAt", "waitingSince")}


def test_a_success_is_told_after_it(system: System, services: Services, operator: Receiver) -> None:
    """Signed, once, and with nothing that the receipt does not have; the receipt itself knows nothing of it."""
    deletion_id, instance_id = ordered(system, services, "told of its end")

    run_all(services, deletion_id)
    before = list(operator.received)
    (received,) = told(services, operator)

    assert before == []
    assert received.path == "/lethe?token=x"
    assert received.body["type"] == "deletion.succeeded"
    assert data_of(received) == {
        "deletionId": str(deletion_id),
        "instanceId": instance_id,
        "instanceName": "told of its end",
    }
    assert Webhook(KEY).verify(json.dumps(received.body), dict(received.headers)) == received.body
    assert f"{deletion_id}.succeeded" not in str(receipt.load(services.own, deletion_id))
    assert [(each.target, each.status) for each in load(services.own, deletion_id).webhooks] == [
        ("operator", "delivered")
    ]


def test_a_failure_is_told_with_its_reason_and_so_is_the_next_one(
    system: System, operator: Receiver, tmp_path: Path
) -> None:
    """Once for each attempt."""
    wrong = system.make_services(notify_url=SecretStr(operator.url), files_root=tmp_path)
    deletion_id, instance_id = ordered(system, wrong, "told of failures")

    run_steps(wrong, deletion_id, "logout")
    with own_transaction(wrong.own) as connection:
        lifecycle.resume(connection, deletion_id, ADMIN, republish_seconds=60)
    run_steps(wrong, deletion_id, "logout", attempt=2)
    received = told(wrong, operator)
    wrong.close()

    facts = data_of(received[0])
    assert [each.body["type"] for each in received] == ["deletion.failed"] * 2
    assert len({each.headers["webhook-id"] for each in received}) == 2
    assert "LETHE_FILES_ROOT" in facts.pop("reason")
    assert facts == {
        "deletionId": str(deletion_id),
        "instanceId": instance_id,
        "instanceName": "told of failures",
        "step": "logout",
        "needsOperator": False,
    }


def test_a_wait_is_told_once_when_it_has_lasted_and_once_more_when_it_begins_again(
    system: System, operator: Receiver
) -> None:
    """Then its end at the deadline is told as well."""
    away = SecretStr(f"redis://127.0.0.1:{server_port()}/0")
    services = system.make_services(notify_url=SecretStr(operator.url), cache_url=away)
    deletion_id, _ = ordered(system, services, "told of waiting")

    run_steps(services, deletion_id, "logout")
    early = told(services, operator)
    for minutes in (31, 45):  # as if it had begun then
        waits_since(services, deletion_id, minutes)
        told(services, operator)
    waits_since(services, deletion_id, 60 * 24 + 1)
    reconciler.reconcile(services)
    received = told(services, operator)
    services.close()

    assert early == []
    assert [each.body["type"] for each in received] == ["deletion.waiting"] * 2 + ["deletion.failed"]
    assert "cache cannot be reached" in received[0].body["data"]["reason"]


def waits_since(services: Services, deletion_id: UUID, minutes: int) -> None:
    """Move the beginning of the wait."""
    with own_transaction(services.own) as connection:
        connection.exec_driver_sql(
            "UPDATE deletions SET waiting_since = now() - %s * interval '1 minute' WHERE id = %s",
            (minutes, deletion_id),
        )


def test_a_receiver_that_is_down_is_tried_again(system: System, services: Services, operator: Receiver) -> None:
    """It delays no deletion, and what it is told stays the same."""
    operator.answer_status = 503
    deletion_id, _ = ordered(system, services, "told later")

    run_all(services, deletion_id)
    webhook_retries.redeliver(services)
    operator.answer_status = 200
    with own_transaction(services.own) as connection:
        connection.exec_driver_sql("UPDATE webhook_events SET next_try_at = now() WHERE status = 'pending'")
    received = told(services, operator)

    first, second = received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"{deletion_id}.succeeded"
    assert load(services.own, deletion_id).status == "succeeded"


def test_slack_gets_a_text(system: System, operator: Receiver) -> None:
    """One line for people; what Slack would read as markup is escaped."""
    services = system.make_services(notify_url=SecretStr(operator.url), notify_form=NotifyForm.SLACK)
    deletion_id, _ = ordered(system, services, "a <b> & c")

    run_all(services, deletion_id)
    (received,) = told(services, operator)
    services.close()

    says = f'Lethe: the deletion of "a &lt;b&gt; &amp; c" succeeded. `lethe show {deletion_id}`'
    assert received.body == {"text": says}


def test_a_wait_that_a_workers_death_began_is_told_with_its_step(system: System, operator: Receiver) -> None:
    """No step has reported an error then."""
    services = system.make_services(notify_url=SecretStr(operator.url), notify_form=NotifyForm.SLACK)
    deletion_id, _ = ordered(system, services, "told of a death")

    waits_since(services, deletion_id, 31)
    (received,) = told(services, operator)
    services.close()

    assert "has been waiting for 31 minutes in logout: its worker died" in received.body["text"]


def test_without_the_url_nothing_is_stored(system: System) -> None:
    """As today."""
    services = system.make_services()
    deletion_id, _ = ordered(system, services, "not told")

    run_all(services, deletion_id)
    found = load(services.own, deletion_id).webhooks
    services.close()

    assert found == []


def test_as_many_as_there_are_go_in_one_round_the_oldest_first(
    system: System, services: Services, operator: Receiver
) -> None:
    """Else the end of a thousand deletions would be told for a quarter of an hour."""
    deletion_id, _ = ordered(system, services, "told often")
    with own_transaction(services.own) as connection:
        for number in range(25):
            event = Event(f"{deletion_id}.{number}", GLOBAL, operator.url, {}, {"number": number})
            outbox.insert(connection, services.settings, deletion_id, event, target=OPERATOR, due_seconds=-number)

    webhook_retries.redeliver(services)

    assert [each.body["number"] for each in operator.received] == list(reversed(range(25)))


@pytest.mark.slow
def test_processes_that_fork_remove_topics_and_tell_of_the_end(
    make_system: Callable[..., System], operator: Receiver, tmp_path: Path
) -> None:
    """Kafka's client has threads, which a fork does not take along: it is made after it. Beat sends what is due."""
    broker = KafkaPart.start(tmp_path)
    broker.make("evolution.with_processes.call", "evolution.global.call")
    system = make_system(notify_url=SecretStr(operator.url), kafka_url=SecretStr(broker.url))
    names = [seed_instance(system.deployment, name, messages=2).name for name in ("with_processes", "another")]

    with running(system, "web", "worker", "beat"):
        answers = [system.delete(name) for name in names]
        wait_until(lambda: len(operator.received) >= len(names), 30, "what the operator is told")
    topics = broker.topics()
    broker.stop()

    assert [answer.status for answer in answers] == [200, 200], answers
    # Two processes of a worker may each send one.
    assert sorted(each.body["data"]["instanceName"] for each in operator.received) == sorted(names)
    assert topics == {"evolution.global.call"}
