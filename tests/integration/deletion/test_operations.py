"""What an operator does to a deletion: cancel, retry, give a gateway up, watch."""

import re
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from demo.evolution.census import fingerprint
from demo.evolution.receiver import Receiver
from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from shared.webhooks.delivery import signing_key
from tests.integration.inline import accept, run_all, run_steps
from tests.system import ADMIN_KEY, System
from worker import webhook_retries


@pytest.fixture
def idle(make_system: Callable[..., System]) -> Iterator[System]:
    """An API without a worker: deletions stay queued."""
    system = make_system(gateways=2)
    system.start("web")
    yield system
    system.close()


def test_a_queued_deletion_can_be_cancelled(idle: System) -> None:
    """Nothing was touched, its lock is free, its messages change nothing, and it can be ordered anew."""
    instance = seed_instance(idle.deployment, "spared")
    before = fingerprint(idle.deployment)
    first = idle.delete("spared", Prefer="respond-async").body["response"]["deletionId"]

    cancelled = idle.call("POST", f"/deletions/{first}/cancel")
    idle.start("worker", "beat")
    second = idle.delete("spared", Prefer="respond-async")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert second.status == 202
    idle.wait_for(second.body["response"]["deletionId"])
    assert idle.show(first)["status"] == "cancelled"
    assert [step["attempts"] for step in idle.show(first)["steps"]] == [0] * 7
    assert instance.id not in str([entry for entry in fingerprint(idle.deployment) if entry in before])


def test_it_is_too_late_to_cancel_after_logout_has_begun(idle: System) -> None:
    """409, naming what has been done; and a finished one stays finished."""
    seed_instance(idle.deployment, "late")
    deletion_id = idle.delete("late", Prefer="respond-async").body["response"]["deletionId"]
    idle.start("worker")
    idle.wait_for(deletion_id)

    answer = idle.call("POST", f"/deletions/{deletion_id}/cancel")

    assert answer.status_code == 409
    assert "logout" in answer.json()["message"]
    assert idle.show(deletion_id)["status"] == "succeeded"


def test_a_failed_deletion_is_resumed_by_the_same_call(idle: System) -> None:
    """Also by retry; and also when the Instance row is gone already, by name."""
    seed_instance(idle.deployment, "resumed")
    deletion_id = idle.delete("resumed", Prefer="respond-async").body["response"]["deletionId"]
    services = idle.make_services(files_root=idle.folder / "nowhere")
    from shared.services import create

    broken = create(type(idle.settings)(**{**_values(idle), "files_root": idle.folder / "nowhere"}))
    run_all(broken, UUID(deletion_id))
    failed = idle.show(deletion_id)
    idle.start("worker")

    answer = idle.delete("resumed")

    assert (failed["status"], failed["failedStep"]) == ("failed", "logout")
    assert "files root" in failed["reason"]
    assert answer.status == 200
    assert idle.show(deletion_id)["status"] == "succeeded"
    assert idle.show(deletion_id)["attempt"] == 2
    assert idle.call("POST", f"/deletions/{deletion_id}/retry", json={}).status_code == 409
    services.close()
    broken.close()


def _values(system: System) -> dict[str, object]:
    return {name: getattr(system.settings, name) for name in type(system.settings).model_fields}


def test_a_gateway_that_is_gone_for_good_can_be_given_up(idle: System) -> None:
    """By an admin alone; it is recorded, and the deletion no longer waits for it."""
    instance = seed_instance(idle.deployment, "orphan")
    gone = idle.gateways[1]
    gone.stop()
    idle.start("worker", "beat")
    deletion_id = idle.delete("orphan", Prefer="respond-async").body["response"]["deletionId"]
    idle.wait_for(deletion_id, "waiting")
    body = {"withoutGateway": [gone.url]}

    by_token = idle.call("POST", f"/deletions/{deletion_id}/retry", key=instance.token, json=body)
    unknown = idle.call("POST", f"/deletions/{deletion_id}/retry", json={"withoutGateway": ["http://x"]})
    wait_until(
        lambda: idle.call("POST", f"/deletions/{deletion_id}/retry", json=body).status_code == 202, 20, "a retry"
    )
    shown = idle.wait_for(deletion_id)

    assert (by_token.status_code, unknown.status_code) == (401, 400)
    assert shown["withoutGateways"] == [gone.url]
    assert shown["steps"][3]["notes"]["gateways"][gone.url] == "given up, not_dropped: restart needed"


def test_an_undelivered_webhook_is_tried_again_with_the_same_id(make_system: Callable[..., System]) -> None:
    """After the deletion has ended; signed, and nothing personal of it stays in the own database."""
    port = server_port()
    system = make_system()
    system.start("web", "worker", "beat")
    seed_instance(system.deployment, "heard later", webhook_url=f"http://127.0.0.1:{port}/secret-path")
    answer = system.delete("heard later")
    services = system.make_services()
    with services.own.begin() as connection:
        (kept,) = connection.exec_driver_sql("SELECT id, sealed, status FROM webhook_events").all()
        connection.exec_driver_sql("UPDATE webhook_events SET next_try_at = now()")
    receiver = Receiver(port)
    receiver.start()
    wait_until(lambda: bool(receiver.received), 20, "the webhook")

    (received,) = receiver.received
    assert answer.status == 200
    assert (kept.status, b"secret-path" in kept.sealed) == ("pending", False)
    assert received.headers["webhook-id"] == kept.id
    Webhook(signing_key(system.settings)).verify(_exact(received.body), received.headers)

    def delivered() -> bool:
        with services.own.connect() as connection:
            row = connection.exec_driver_sql("SELECT status, sealed FROM webhook_events").one()
            return tuple(row) == ("delivered", None)

    wait_until(delivered, 10, "the end of the event")
    receiver.stop()
    services.close()
    system.close()


def _exact(body: dict[str, object]) -> str:
    import json

    return json.dumps(body)


def test_metrics_say_what_is_unfinished(idle: System) -> None:
    """By status and step, with the age of the oldest, and when the reconciler last ran."""
    seed_instance(idle.deployment, "measured")
    deletion_id = idle.delete("measured", Prefer="respond-async").body["response"]["deletionId"]
    queued = idle.send("GET", "/metrics", key=None).text
    idle.start("worker", "beat")
    idle.wait_for(deletion_id)
    wait_until(
        lambda: not idle.send("GET", "/metrics").text.endswith("last_run_timestamp_seconds 0.0\n"), 20, "the reconciler"
    )
    ended = idle.send("GET", "/metrics", key=None).text

    assert 'lethe_deletions_unfinished{status="queued",step="logout"} 1.0' in queued
    assert float(re.search(r"^lethe_oldest_deletion_seconds (\S+)$", queued, re.M)[1]) > 0  # type: ignore[index]
    assert 'lethe_deletions_ended{status="succeeded"} 1.0' in ended
    assert 'lethe_step_attempts_total{step="delete_files"} 1.0' in ended
    assert 'lethe_step_failures_total{step="confirm"} 0.0' in ended
    assert ADMIN_KEY not in ended


def test_what_the_broker_did_not_take_is_published_by_the_reconciler(make_system: Callable[..., System]) -> None:
    """The API's broker is away: the answer is 202 all the same, and the deletion is carried out."""
    system = make_system()
    seed_instance(system.deployment, "unpublished")
    system.start("worker", "beat")
    system.start("web", env={"LETHE_BROKER_URL": f"redis://127.0.0.1:{server_port()}/0"})

    answer = system.delete("unpublished", Prefer="respond-async")

    assert answer.status == 202
    system.wait_for(answer.body["response"]["deletionId"])
    system.close()


def test_a_deletion_whose_row_is_gone_already_is_resumed_by_its_name(idle: System) -> None:
    """It failed after the Instance row went: the same call goes on, by the name it once had."""
    instance = seed_instance(idle.deployment, "rowless")
    deletion_id = UUID(
        idle.delete("rowless", key=instance.token, Prefer="respond-async").body["response"]["deletionId"]
    )
    services = idle.make_services()
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister", "delete_records")
    with services.own.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE deletions SET status = 'failed', failed_step = 'delete_files', reason = 'x', owner = NULL"
        )
    gone = services.tenant.find(instance_id=instance.id)
    idle.start("worker")

    stranger = idle.delete("rowless", key="another token")
    answer = idle.delete("rowless", key=instance.token)

    assert gone is None
    assert stranger.status == 401
    assert answer.status == 200
    assert idle.show(str(deletion_id))["attempt"] == 2
    services.close()


def test_a_webhook_that_cannot_be_delivered_is_forgotten_after_its_time(make_system: Callable[..., System]) -> None:
    """Its address and headers with it."""
    system = make_system()
    services = system.make_services()
    instance = seed_instance(system.deployment, "unheard of", webhook_url="http://127.0.0.1:1/x")
    run_all(services, accept(services, instance.id, "unheard of"))
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE webhook_events SET created_at = now() - interval '25 hours'")

    delivered = webhook_retries.redeliver(services)

    with services.own.connect() as connection:
        left = connection.exec_driver_sql("SELECT status, sealed FROM webhook_events").all()
    assert delivered == 0
    assert [tuple(row) for row in left] == [("expired", None)]
    services.close()
