"""A deletion that is scheduled: its instance is untouched until the moment, by the clock of Lethe's own database."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from api import app
from demo.evolution.census import census, fingerprint, fingerprint_of
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.audit import search as audit_search
from shared.audit.search import Filters
from shared.database.enums import Role
from shared.deletions import lifecycle, republishing
from shared.deletions.republishing import StepMessage
from shared.services import Services
from shared.settings import ConfirmationMode
from tasks import publishing
from tasks.gateways import channels
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, run_steps, run_to_end
from tests.integration.keyring import enroll, make_key, revoke
from tests.integration.shell import at_a_terminal, lethe
from tests.system import System
from worker.pause_timer import PauseTimer
from worker.runner import Outcome

pytestmark = pytest.mark.system("web", grace_seconds=86_400)


def in_an_hour() -> str:
    """A moment as a client in Brazil writes it."""
    return (datetime.now(UTC) + timedelta(hours=1)).astimezone().isoformat()


def order(system: System, instance: SeededInstance, **options: Any) -> str:
    """Schedule the deletion of the instance; the deletion's id."""
    answer = system.delete(instance.name, **options)
    assert answer.status == 202, answer.text
    return str(answer.body["response"]["deletionId"])


def move(services: Services, deletion_id: UUID, *, seconds: float) -> None:
    """Let the moment come in so many seconds."""
    with services.own.begin() as connection:
        moved = connection.execute(
            text("UPDATE deletions SET not_before = now() + :after WHERE id = :id AND status = 'scheduled'"),
            {"id": deletion_id, "after": timedelta(seconds=seconds)},
        )
    assert moved.rowcount == 1


def let_its_moment_come(services: Services, deletion_id: str) -> list[StepMessage]:
    """Move the moment, and publish what is due then."""
    move(services, UUID(deletion_id), seconds=0)
    return lifecycle.queue_scheduled(services.own, republish_seconds=60)


def lines(services: Services, deletion_id: str) -> list[tuple[str, str, str | None]]:
    """Action, decision and reason of the deletion's audit lines, oldest first."""
    found = audit_search.search(services.own, Filters(deletion_id=UUID(deletion_id))).lines
    return [(line.action, line.decision, line.reason) for line in reversed(found)]


def oldest_seconds(metrics: str) -> float:
    """The age of the oldest deletion under way, as Prometheus reads it."""
    line = next(line for line in metrics.splitlines() if line.startswith("lethe_oldest_deletion_seconds "))
    return float(line.split()[1])


def exists(system: System, instance: SeededInstance) -> bool:
    """Whether the instance's row is there."""
    with system.deployment.connect() as connection:
        return connection.execute('SELECT 1 FROM "Instance" WHERE id = %s', (instance.id,)).fetchone() is not None


def test_the_instance_is_untouched_until_the_moment(system: System, services: Services) -> None:
    """A message that comes early does nothing; at the moment all of it goes, and nothing of its neighbour."""
    instance, neighbour = (seed_instance(system.deployment, name) for name in ("later", "later's neighbour"))
    before = fingerprint(system.deployment)
    moment = in_an_hour()
    ordered = system.call("POST", "/deletions", json={"instanceName": "later", "notBefore": moment})
    deletion_id = UUID(ordered.json()["id"])

    early = run_steps(services, deletion_id, "logout", "purge_cache", "delete_records")
    taken = lifecycle.queue_scheduled(services.own, republish_seconds=60)
    untouched = fingerprint(system.deployment)
    logged_out = system.call("DELETE", "/instance/logout/later", key=instance.token)
    of_neighbour = fingerprint_of(system.deployment, neighbour.id, neighbour.name)
    scheduled = system.show(str(deletion_id))
    published = let_its_moment_come(services, str(deletion_id))
    run_to_end(services, deletion_id)

    assert (ordered.status_code, ordered.json()["status"]) == (202, "scheduled")
    assert datetime.fromisoformat(scheduled["notBefore"]) == datetime.fromisoformat(moment)
    assert (scheduled["nextAttemptAt"], scheduled["startedAt"]) == (None, None)
    assert (early, taken) == ([Outcome.STOP] * 3, [])
    assert untouched == before
    assert logged_out.status_code == 200
    assert published == [StepMessage(deletion_id, 1, 0)]
    assert system.show(str(deletion_id))["status"] == "succeeded"
    assert not any(
        number for counts in census(system.deployment, instance.id, "later").values() for number in counts.values()
    )
    assert fingerprint_of(system.deployment, neighbour.id, neighbour.name) == of_neighbour


def test_a_message_waits_for_the_moment_whatever_the_status_says(system: System, services: Services) -> None:
    """The claim itself compares the moment with the database's clock."""
    deletion_id = order(system, seed_instance(system.deployment, "claimed early"))
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET status = 'queued' WHERE id = :id"), {"id": deletion_id})

    assert run_steps(services, UUID(deletion_id), "logout") == [Outcome.STOP]
    assert system.show(deletion_id)["steps"][0]["attempts"] == 0


def test_the_pause_timer_begins_it_at_the_moment(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without beat; and a message that is lost then is left to the reconciler."""
    deletion_id = UUID(order(system, seed_instance(system.deployment, "on time", messages=1)))
    published = list[UUID]()
    monkeypatch.setattr(publishing, "publish", lambda services, message: published.append(message.deletion_id) or True)
    timer = PauseTimer(services)
    timer.start()
    move(services, deletion_id, seconds=0.5)

    wait_until(lambda: published == [deletion_id], 10, "the message")
    timer.stop()

    with services.own.begin() as connection:
        found = connection.execute(
            text(
                "UPDATE deletions SET next_attempt_at = now() - interval '1 second' WHERE id = :id"
                " AND status = 'queued' AND next_attempt_at > now() RETURNING not_before <= now()"
            ),
            {"id": deletion_id},
        )
        assert found.scalars().all() == [True]
    again = republishing.take_due(services.own, republish_seconds=60, max_pause_seconds=600)
    assert deletion_id in [message.deletion_id for message in again]


def test_the_documented_call_answers_at_once_and_again_with_the_same_deletion(
    system: System, services: Services
) -> None:
    """202 with the moment, though it would wait for 20 s; the order is audited each time, and confirmed once."""
    instance = seed_instance(system.deployment, "graceful")
    began = datetime.now(UTC)

    first, second = system.delete("graceful"), system.delete("graceful", Prefer="wait=5", key=instance.token)

    took = datetime.now(UTC) - began
    response = first.body["response"]
    deletion_id = response["deletionId"]
    moment = datetime.fromisoformat(response["notBefore"])
    assert (first.status, second.status) == (202, 202)
    assert took < timedelta(seconds=5)
    assert response == {
        "message": "Instance deletion scheduled",
        "deletionId": deletion_id,
        "notBefore": response["notBefore"],
    }
    assert abs(moment - began - timedelta(days=1)) < timedelta(minutes=1)
    assert second.body == first.body
    assert 86_000 < int(first.headers["Retry-After"]) <= 86_400
    assert "Preference-Applied" not in second.headers
    assert lines(services, deletion_id) == [
        ("delete", "accepted", f"scheduled for {moment:%Y-%m-%d %H:%M:%S} UTC"),
        ("delete", "accepted", "scheduled already"),
    ]
    assert deletion_id in [each["id"] for each in system.call("GET", "/deletions?status=scheduled").json()["deletions"]]


def test_another_moment_is_no_repetition(system: System) -> None:
    """409: the moment stays, and the call tells so. The same one is reported again."""
    seed_instance(system.deployment, "fixed")
    body = {"instanceName": "fixed", "notBefore": in_an_hour()}
    first = system.call("POST", "/deletions", json=body).json()

    same = system.call("POST", "/deletions", json=body)
    other = system.call("POST", "/deletions", json={**body, "notBefore": in_an_hour()})

    assert (same.status_code, same.json()["id"]) == (202, first["id"])
    assert (other.status_code, other.json()["deletionId"]) == (409, first["id"])
    assert "its moment is not changed" in other.json()["message"]


def test_a_failed_deletion_is_not_resumed_by_an_order_for_later(system: System, services: Services) -> None:
    """It would begin at once: refused alone and in a list, whose other instances are scheduled."""
    names = ["set a", "set b", "set failed"]
    instances = [seed_instance(system.deployment, name, messages=1) for name in names]
    failed = str(accept(services, instances[2].id, "set failed"))
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET status = 'failed' WHERE id = :id"), {"id": failed})

    alone = system.call("POST", "/deletions", json={"instanceName": "set failed", "notBefore": in_an_hour()})
    many = system.call("POST", "/deletions", json={"instanceNames": names, "notBefore": in_an_hour()})

    results = {each["instanceName"]: each for each in many.json()["results"]}
    assert (alone.status_code, alone.json()["deletionId"]) == (409, failed)
    assert [results[name]["result"] for name in names] == ["accepted", "accepted", "refused"]
    assert "its moment is not changed" in results["set failed"]["reason"]
    shown = [system.show(results[name]["deletionId"])["status"] for name in names]
    assert shown == ["scheduled", "scheduled", "failed"]


def test_a_moment_that_cannot_be_is_refused(system: System, services: Services) -> None:
    """400 in the documented shape, in a preview too, and nothing is stored."""
    instance, now = seed_instance(system.deployment, "never"), datetime.now(UTC)
    moments = [
        (now - timedelta(seconds=1)).isoformat(),
        (now + timedelta(days=90, minutes=1)).isoformat(),
        (now + timedelta(days=1)).replace(tzinfo=None).isoformat(),
        "2999-12-31",
        "9999-12-31T23:59:59.999999-12:00",
        "tomorrow",
        now.timestamp() + 60,
        True,
        [],
    ]

    answers = [
        system.call("POST", "/deletions", json={"instanceName": "never", "notBefore": moment, "dryRun": dry_run})
        for moment in moments
        for dry_run in (False, True)
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert {tuple(answer.json()) for answer in answers} == {("error", "message")}
    assert all(answer.json()["message"].startswith("notBefore: ") for answer in answers)
    with services.own.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM deletions WHERE instance_id = :id"), {"id": instance.id})
        assert found.first() is None


def test_what_would_stop_the_deletion_refuses_the_order(system: System, services: Services) -> None:
    """The preview's refusal comes at once, not at the moment; a gateway that is away for a while refuses nothing."""
    lost = seed_instance(system.deployment, "of no server", client_name="gone")
    seed_instance(system.deployment, "for a while")

    refused = system.delete("of no server")
    by_command = lethe(system, "delete", "of no server", "--yes")
    system.gateways[0].stop()
    accepted = system.delete("for a while")
    system.gateways[0].start()

    assert (refused.status, list(refused.body)) == (400, ["error", "message"])
    assert '"gone"' in refused.body["message"]
    assert by_command.returncode == 1
    assert '"gone"' in by_command.stdout
    assert (accepted.status, accepted.body["response"]["message"]) == (202, "Instance deletion scheduled")
    with services.own.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM deletions WHERE instance_id = :id"), {"id": lost.id})
        assert found.first() is None


def test_the_order_is_confirmed_and_nothing_after_it(system: System, services: Services) -> None:
    """Where deletions need one-time codes: not the same order again, and not running it now."""
    seed_instance(system.deployment, "coded", messages=1)
    made = system.make_services(confirmation=ConfirmationMode.TOTP)
    client, key = app.create(made).test_client(), make_key(services, Role.ADMIN)
    headers = {"apikey": key.key}
    code = {"X-Confirmation-Code": enroll(services, key).at(int(time.time()))}

    bare = client.delete("/instance/delete/coded", headers=headers)
    first, again = (
        client.delete("/instance/delete/coded", headers={**headers, **with_code}) for with_code in (code, {})
    )
    deletion_id = first.get_json()["response"]["deletionId"]
    run = client.post(f"/deletions/{deletion_id}/run-now", headers=headers)

    assert [answer.status_code for answer in (bare, first, again, run)] == [428, 202, 202, 202]
    assert again.get_json() == first.get_json()
    with services.own.connect() as connection:
        found = connection.execute(text("SELECT confirmed_by FROM deletions WHERE id = :id"), {"id": deletion_id})
        assert found.scalar_one() == key.id


def test_many_callers_at_once_get_one_deletion(system: System, services: Services) -> None:
    """Each of them 202 with the same id; run now and cancelled at once, it is one of both."""
    instance = seed_instance(system.deployment, "wanted by many")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: system.delete("wanted by many"), range(6)))
        (deletion_id,) = {answer.body["response"]["deletionId"] for answer in answers}
        calls = [f"/deletions/{deletion_id}/{what}" for what in ("run-now", "cancel")] * 2
        after = list(pool.map(lambda path: system.call("POST", path).status_code, calls))

    assert {answer.status for answer in answers} == {202}
    assert sorted(after)[0] in (200, 202)
    assert after.count(202) <= 1
    assert after.count(200) <= 1
    assert system.show(deletion_id)["status"] in ("queued", "cancelled")
    assert exists(system, instance)


def test_who_may_delete_may_cancel_it_and_order_it_anew(system: System, services: Services) -> None:
    """With the role client as well, over API, console and command line; the lock is free, and nothing was touched."""
    instance = seed_instance(system.deployment, "spared")
    before, client = fingerprint(system.deployment), make_key(services, Role.CLIENT)
    first, second, third = (None, None, None)

    first = order(system, instance, key=client.key)
    by_client = system.call("POST", f"/deletions/{first}/cancel", key=client.key)
    second = order(system, instance)
    by_console = signed_in(system, client.key).post(f"/deletions/{second}/cancel", seen_on=f"/deletions/{second}")
    third = order(system, instance, key=instance.token)
    by_command = lethe(system, "cancel", third)

    assert (by_client.status_code, by_client.json()["status"]) == (200, "cancelled")
    assert by_console.status_code == 303
    assert by_command.returncode == 0
    assert [system.show(each)["status"] for each in (first, second, third)] == ["cancelled"] * 3
    assert services.redis.get(f"lethe:lock:{instance.id}") is None
    assert fingerprint(system.deployment) == before
    assert [line[:2] for line in lines(services, first)] == [
        ("delete", "accepted"),
        ("cancel", "accepted"),
        ("delete", "cancelled"),
    ]


def test_who_may_delete_may_run_it_now(system: System, services: Services) -> None:
    """It runs once. Who ran it now becomes its requester, and the audit has a line of it."""
    client, instances = (
        make_key(services, Role.CLIENT),
        [seed_instance(system.deployment, f"now {n}") for n in range(3)],
    )
    by_call, by_form, by_command = (order(system, instance) for instance in instances)

    answers = [system.call("POST", f"/deletions/{by_call}/run-now", key=client.key) for _ in range(2)]
    form = signed_in(system, client.key).post(f"/deletions/{by_form}/run-now", seen_on=f"/deletions/{by_form}")
    commands = [lethe(system, "run-now", by_command) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 409]
    assert (answers[0].json()["status"], answers[0].headers["Location"]) == ("queued", f"/deletions/{by_call}")
    assert form.status_code == 303
    assert [command.returncode for command in commands] == [0, 1]
    for deletion_id in (by_call, by_form, by_command):
        run_to_end(services, UUID(deletion_id))
        assert system.show(deletion_id)["status"] == "succeeded"
        assert ("run_now", "accepted", None) in lines(services, deletion_id)
    with services.own.connect() as connection:
        (key_id,) = connection.execute(text("SELECT requester_key_id FROM deletions WHERE id = :id"), {"id": by_call})
        assert tuple(key_id) == (client.id,)


def test_who_may_not_delete_changes_nothing(system: System, services: Services) -> None:
    """401 and a line of the audit, for each of them; the console has no button and takes no form without its token."""
    instance = seed_instance(system.deployment, "not yours")
    deletion_id = order(system, instance)
    other = make_key(services, Role.ADMIN, instances=["another"])
    keys = [make_key(services, role).key for role in (Role.VIEWER, Role.OPERATOR, Role.AUDITOR)]
    paths = [f"/deletions/{deletion_id}/{what}" for what in ("run-now", "cancel")]

    answers = [system.call("POST", path, key=key) for path in paths for key in (*keys, other.key, instance.token, "no")]
    viewer = signed_in(system, keys[0])
    page = viewer.get(f"/deletions/{deletion_id}").text
    forms = [viewer.post(f"{path}").status_code for path in paths]
    forged = signed_in(system).send(paths[0])

    assert {answer.text for answer in answers} == {'{"error":true,"message":"Unauthorized"}'}
    assert {answer.status_code for answer in answers} == {401}
    assert ("Scheduled: it begins at" in page, "run-now" in page, ">Cancel" in page) == (True, False, False)
    assert forms == [401, 401]
    assert forged.status_code == 400
    assert system.show(deletion_id)["status"] == "scheduled"
    assert exists(system, instance)
    assert ("run_now", "refused") in [line[:2] for line in lines(services, deletion_id)]


def test_a_key_that_may_not_delete_any_more_at_the_moment_deletes_nothing(system: System, services: Services) -> None:
    """It was revoked in between: cancelled, with the reason."""
    key = make_key(services, Role.ADMIN)
    instance = seed_instance(system.deployment, "revoked meanwhile")
    before, deletion_id = fingerprint(system.deployment), order(system, instance, key=key.key)
    revoke(services, key)

    let_its_moment_come(services, deletion_id)
    run_steps(services, UUID(deletion_id), "logout", "purge_cache")

    shown = system.show(deletion_id)
    assert (shown["status"], "revoked" in shown["reason"]) == ("cancelled", True)
    assert fingerprint(system.deployment) == before


def test_a_new_instance_of_the_name_is_not_touched(system: System, services: Services) -> None:
    """Evolution deleted the instance itself, and the name was given again: another DELETE is of the new one."""
    old = seed_instance(system.deployment, "given again")
    deletion_id = order(system, old)
    new = seed_instance(system.deployment, "given again", in_place=True)
    state_before = fingerprint_of(system.deployment, new.id, new.name)

    let_its_moment_come(services, deletion_id)
    run_to_end(services, UUID(deletion_id))
    kept = fingerprint_of(system.deployment, new.id, new.name)
    of_new = system.delete("given again").body["response"]["deletionId"]

    assert system.show(deletion_id)["status"] == "succeeded"
    assert kept == state_before
    assert exists(system, new)
    assert of_new != deletion_id
    assert system.show(of_new)["instanceId"] == new.id


def test_both_deletions_of_a_name_that_was_given_again_stay_apart(system: System, services: Services) -> None:
    """The first is still scheduled when the second is ordered; each goes by its id."""
    old = seed_instance(system.deployment, "twice")
    first = order(system, old)
    new = seed_instance(system.deployment, "twice", in_place=True)

    second = order(system, new)

    assert second != first
    assert order(system, new) == second
    assert [system.show(each)["instanceId"] for each in (first, second)] == [old.id, new.id]


def test_an_instance_that_was_renamed_goes_under_its_present_name(system: System, services: Services) -> None:
    """What is stored by the new name goes; who has the old name now keeps everything."""
    instance = seed_instance(system.deployment, "old name")
    deletion_id = order(system, instance)
    with system.deployment.connect() as connection:
        connection.execute("UPDATE \"Instance\" SET name = 'new name' WHERE id = %s", (instance.id,))
    (system.deployment.files_root / "store/chatwoot/old name").rename(
        system.deployment.files_root / "store/chatwoot/new name"
    )
    heir = seed_instance(system.deployment, "old name")
    before = fingerprint_of(system.deployment, heir.id, heir.name)

    let_its_moment_come(services, deletion_id)
    run_to_end(services, UUID(deletion_id))

    shown = system.show(deletion_id)
    assert (shown["status"], shown["instanceName"]) == ("succeeded", "new name")
    assert not any(
        number for counts in census(system.deployment, instance.id, "new name").values() for number in counts.values()
    )
    assert fingerprint_of(system.deployment, heir.id, heir.name) == before


def test_channels_that_a_cancelled_deletion_disabled_come_back_while_another_is_scheduled(
    system: System, services: Services
) -> None:
    """The instance is in use until the moment."""
    instance = seed_instance(system.deployment, "reachable", webhook_url="http://127.0.0.1:1/")
    first = order(system, instance)
    with services.own.begin() as connection:
        connection.execute(
            text("UPDATE steps SET notes = :notes WHERE deletion_id = :id AND name = 'logout'"),
            {"id": first, "notes": '{"channels_off": ["Webhook"]}'},
        )
    services.tenant.switch_channels(instance.id, ["Webhook"], on=False)
    system.call("POST", f"/deletions/{first}/cancel")
    order(system, instance)

    channels.restore(services)

    assert "Webhook" in services.tenant.channels(instance.id)


def test_a_scheduled_deletion_is_neither_old_nor_overdue(system: System, services: Services) -> None:
    """Its age counts from its moment on, also when nobody begins it then; and the reconciler lets it be before."""
    deletion_id, missed = (order(system, seed_instance(system.deployment, name)) for name in ("patient", "missed"))
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET accepted_at = now() - interval '60 days'"))

    metrics = system.call("GET", "/metrics").text
    due_in = republishing.next_due_in_seconds(services.own, within_seconds=1)
    let_its_moment_come(services, deletion_id)
    after = system.call("GET", "/metrics").text
    move(services, UUID(missed), seconds=-7200)
    late = oldest_seconds(system.call("GET", "/metrics").text)

    assert 'lethe_deletions_unfinished{status="scheduled",step="logout"}' in metrics
    assert due_in is None
    assert oldest_seconds(metrics) < 3600
    assert oldest_seconds(after) < 3600
    assert late > 7000


def test_the_command_line_shows_and_orders_it(system: System) -> None:
    """`delete` tells the moment and does not wait; `list` and `show` have it."""
    seed_instance(system.deployment, "by command")
    moment = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M+00:00")

    ordered = at_a_terminal(system, "delete", "by command", "--not-before", moment, "--wait", typed="by command\n")
    deletion_id = ordered.stdout.split()[0]
    listed, shown = lethe(system, "list", "--status", "scheduled"), lethe(system, "show", deletion_id)

    assert ordered.returncode == 0, ordered.stderr
    assert "scheduled" in ordered.stdout
    assert "begins " in ordered.stdout
    assert any(deletion_id in line and "begins " in line for line in listed.stdout.splitlines())
    assert "begins" in shown.stdout
    assert f"lethe run-now {deletion_id}" in " ".join(shown.stdout.split())
