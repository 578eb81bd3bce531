"""The requester's rights are looked at again, before logout and before the point of no return, and never after."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from demo.evolution.census import fingerprint
from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from shared.access.api_keys import NewKey
from shared.audit import chain
from shared.audit import search as audit_search
from shared.audit.search import Filters
from shared.database.enums import Role
from shared.deletions.lifecycle import Requester
from shared.services import Services, create
from shared.webhooks import outbox
from tests.integration.inline import accept, run_all, run_steps, run_to_end
from tests.integration.keyring import change, make_key, revoke, rotate
from tests.system import System
from worker.runner import Outcome

BEFORE_THE_FENCE = ("logout", "purge_cache", "send_webhook")
LOSSES = {
    "revoked": ("revoked_at = now()", "revoked or has expired"),
    "expired": ("expires_at = now()", "revoked or has expired"),
    "another role": ("role = 'viewer'", "role of the key"),
    "limited away": ("""instances = '["another"]'""", "limited to other instances"),
}


def order(system: System, name: str, key: str) -> UUID:
    """Have a deletion accepted for this key."""
    answer = system.delete(name, key=key, Prefer="respond-async")
    assert answer.status == 202, answer.text
    return UUID(answer.body["response"]["deletionId"])


def exists(system: System, name: str) -> bool:
    """Whether an instance has this name."""
    with system.deployment.connect() as connection:
        return connection.execute('SELECT 1 FROM "Instance" WHERE name = %s', (name,)).fetchone() is not None


@pytest.mark.parametrize("loss", LOSSES)
def test_a_key_that_may_not_any_more_gets_nothing_deleted(system: System, services: Services, loss: str) -> None:
    """Before logout: nothing was touched, the lock is free, and the audit tells it."""
    assignment, why = LOSSES[loss]
    instance = seed_instance(system.deployment, f"lost {loss}")
    key = make_key(services, Role.ADMIN, instances=[f"lost {loss}"])
    before = fingerprint(system.deployment)
    deletion_id = order(system, f"lost {loss}", key.key)
    change(services, key, assignment)

    outcomes = run_steps(services, deletion_id, "logout", "purge_cache")

    shown = system.show(str(deletion_id))
    line = audit_search.search(services.own, Filters(deletion_id=deletion_id, limit=1)).lines[0]
    assert outcomes == [Outcome.STOP, Outcome.STOP]
    assert (shown["status"], shown["irrevocableAt"]) == ("cancelled", None)
    assert why in shown["reason"]
    assert services.redis.get(f"lethe:lock:{instance.id}") is None
    assert fingerprint(system.deployment) == before
    assert (line.decision, line.reason) == ("cancelled", "at logout")


@pytest.mark.parametrize("loss", LOSSES)
def test_the_point_of_no_return_is_not_passed_without_rights(system: System, services: Services, loss: str) -> None:
    """The row keeps its name and its token, and the instance can be ordered anew."""
    name = f"late {loss}"
    instance = seed_instance(system.deployment, name)
    key = make_key(services, Role.ADMIN)
    deletion_id = order(system, name, key.key)
    run_steps(services, deletion_id, *BEFORE_THE_FENCE)
    change(services, key, LOSSES[loss][0])

    run_steps(services, deletion_id, "deregister", "delete_records")

    shown = system.show(str(deletion_id))
    found = services.tenant.find(name=name)
    assert (shown["status"], shown["failedStep"], shown["irrevocableAt"]) == ("cancelled", "deregister", None)
    assert found
    assert found.token == instance.token
    again = system.delete(name, Prefer="respond-async").body["response"]["deletionId"]
    run_all(services, UUID(again))
    assert system.show(again)["status"] == "succeeded"


def test_a_webhook_that_was_not_delivered_is_withdrawn(system: System, services: Services) -> None:
    """The deletion it reports is cancelled; nothing of it is kept, and the audit has a line."""
    url = f"http://127.0.0.1:{server_port()}/nobody"
    seed_instance(system.deployment, "withdrawn", webhook_url=url)
    key = make_key(services, Role.ADMIN)
    deletion_id = order(system, "withdrawn", key.key)
    run_steps(services, deletion_id, *BEFORE_THE_FENCE)
    pending = outbox.pending_ids(services.own, deletion_id)
    revoke(services, key)

    run_steps(services, deletion_id, "deregister")

    with services.own.connect() as connection:
        (kept,) = connection.exec_driver_sql(
            "SELECT status, sealed FROM webhook_events WHERE deletion_id = %s", (deletion_id,)
        ).all()
    lines = audit_search.search(services.own, Filters(deletion_id=deletion_id, limit=2)).lines
    assert len(pending) == 1
    assert tuple(kept) == ("expired", None)
    assert [(line.action, line.decision) for line in lines] == [("delete", "cancelled"), ("webhook", "cancelled")]
    assert chain.verify(services.own).broken is None


def test_after_the_point_of_no_return_the_permission_is_not_checked_again(system: System, services: Services) -> None:
    """Half a deletion would be worse than a whole one; deregister itself may be run again as well."""
    seed_instance(system.deployment, "past")
    key = make_key(services, Role.ADMIN)
    deletion_id = order(system, "past", key.key)
    run_steps(services, deletion_id, *BEFORE_THE_FENCE, "deregister")
    revoke(services, key)
    with services.own.begin() as connection:  # as if the worker had died after the fence
        connection.exec_driver_sql("UPDATE deletions SET position = 3 WHERE id = %s", (deletion_id,))

    run_to_end(services, deletion_id)

    assert system.show(str(deletion_id))["status"] == "succeeded"
    assert not exists(system, "past")


def test_a_waiting_call_is_told_the_reason(system: System, services: Services) -> None:
    """400 in the documented shape, and it does not wait any longer."""
    seed_instance(system.deployment, "waited for")
    key = make_key(services, Role.ADMIN)
    query = "SELECT id FROM deletions WHERE instance_name = 'waited for'"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(system.delete, "waited for", key=key.key, Prefer="wait=20")
        with services.own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            wait_until(lambda: connection.exec_driver_sql(query).first() is not None, 10, "the promise")
            deletion_id = connection.exec_driver_sql(query).scalar_one()
        revoke(services, key)
        run_steps(services, deletion_id, "logout")
        answer = waiting.result()

    assert answer.status == 400
    assert answer.body == {
        "error": True,
        "message": "No longer permitted: the key that ordered it was revoked or has expired",
        "deletionId": str(deletion_id),
    }
    assert exists(system, "waited for")


def test_a_token_that_is_not_the_instances_any_more_gets_nothing_deleted(system: System, services: Services) -> None:
    """It was changed while the deletion was queued."""
    instance = seed_instance(system.deployment, "token changed")
    deletion_id = order(system, "token changed", instance.token)
    with system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET token = %s WHERE id = %s', ("another-token", instance.id))

    run_steps(services, deletion_id, "logout")

    shown = system.show(str(deletion_id))
    assert shown["status"] == "cancelled"
    assert "not the instance's any more" in shown["reason"]


def test_an_instance_that_may_not_delete_itself_any_more_is_not_deleted(system: System, services: Services) -> None:
    """The worker's settings say so; with the ones before, the same order goes through."""
    first, second = (seed_instance(system.deployment, f"token {number}") for number in (1, 2))
    spared, gone = order(system, "token 1", first.token), order(system, "token 2", second.token)
    forbidding = system.make_services(instance_tokens_may_delete=False)

    run_steps(forbidding, spared, "logout")
    run_all(services, gone)
    forbidding.close()

    assert system.show(str(spared))["status"] == "cancelled"
    assert system.show(str(gone))["status"] == "succeeded"


def test_a_rotated_key_keeps_what_it_has_ordered(system: System, services: Services) -> None:
    """It is the same key, with another secret."""
    seed_instance(system.deployment, "rotated")
    key = make_key(services, Role.ADMIN)
    deletion_id = order(system, "rotated", key.key)
    rotate(services, key)

    run_all(services, deletion_id)

    assert system.show(str(deletion_id))["status"] == "succeeded"


@pytest.mark.parametrize("requester", [Requester("server", "os:root"), Requester("admin", "bootstrap")])
def test_the_server_and_the_settings_own_key_are_not_asked_again(
    system: System, services: Services, requester: Requester
) -> None:
    """There is no row that could have changed; a key that nobody knows would be refused."""
    names = [f"{requester.role} {key}" for key in ("known", "unknown")]
    known, unknown = (
        accept(services, seed_instance(system.deployment, name).id, name, by)
        for name, by in zip(names, (requester, Requester("admin", "nobody")), strict=True)
    )

    run_all(services, known)
    run_all(services, unknown)

    assert system.show(str(known))["status"] == "succeeded"
    assert system.show(str(unknown))["status"] == "cancelled"


@pytest.fixture
def failed(system: System, services: Services) -> tuple[str, NewKey, UUID]:
    """The token of an instance, and a key, whose deletion of it has failed; the key is revoked since."""
    instance = seed_instance(system.deployment, "taken over")
    key = make_key(services, Role.ADMIN)
    deletion_id = order(system, "taken over", key.key)
    values = {name: getattr(system.settings, name) for name in type(system.settings).model_fields}
    broken = create(type(system.settings)(**{**values, "files_root": system.folder / "nowhere"}))
    run_steps(broken, deletion_id, "logout")
    broken.close()
    revoke(services, key)
    assert system.show(str(deletion_id))["status"] == "failed"
    return instance.token, key, deletion_id


def test_who_resumes_a_deletion_answers_for_it(
    system: System, services: Services, failed: tuple[str, NewKey, UUID]
) -> None:
    """The key that ordered it was revoked: with another one, the same call goes through, and the receipt says whose."""
    _, old, deletion_id = failed
    other = make_key(services, Role.ADMIN)

    refused = system.delete("taken over", key=old.key)
    taken = system.delete("taken over", key=other.key, Prefer="respond-async")
    for name in ("logout", "purge_cache", "send_webhook", "deregister", "delete_records", "delete_files", "confirm"):
        run_steps(services, deletion_id, name, attempt=2)
    receipt = system.send("GET", f"/deletions/{deletion_id}/receipt").body["receipt"]

    assert (refused.status, taken.status) == (401, 202)
    assert receipt["requestedBy"] == {"role": "admin", "keyId": other.id}


def test_an_instance_can_follow_its_deletion_that_an_admin_resumed(system: System, services: Services) -> None:
    """To its end and its receipt, when its token is long dead; but not take it back."""
    instance = seed_instance(system.deployment, "followed")
    deletion_id = order(system, "followed", instance.token)
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed' WHERE id = %s", (deletion_id,))
    resumed = system.call("POST", f"/deletions/{deletion_id}/retry", json={})
    cancel = system.call("POST", f"/deletions/{deletion_id}/cancel", key=instance.token)
    for name in ("logout", "purge_cache", "send_webhook", "deregister", "delete_records", "delete_files", "confirm"):
        run_steps(services, deletion_id, name, attempt=2)

    shown = system.send("GET", f"/deletions/{deletion_id}", key=instance.token)
    receipt = system.send("GET", f"/deletions/{deletion_id}/receipt", key=instance.token)

    assert (resumed.status_code, cancel.status_code) == (202, 401)
    assert shown.body["status"] == "succeeded"
    assert receipt.status == 200
