"""Deletions that have to be confirmed with the token of a preview; on the server, by typing."""

import json
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from api.request import confirmation
from demo.evolution.seed import seed_instance
from shared.access import api_keys
from shared.access.confirmation import WARNING, use_token
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tests.integration.inline import accept, run_all
from tests.integration.keyring import make_key, rotate
from tests.integration.shell import at_a_terminal, lethe
from tests.system import ADMIN_KEY, Answer, System

pytestmark = pytest.mark.system("web", confirmation="token")


def token_of(system: System, name: str, key: str = ADMIN_KEY) -> str:
    """What a preview of the instance carries."""
    answer = system.call("POST", "/deletions", key=key, json={"instanceName": name, "dryRun": True})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["confirmationToken"])


def delete(system: System, name: str, key: str = ADMIN_KEY, **headers: str) -> Answer:
    """The documented call, without a wait."""
    return system.delete(name, key=key, Prefer="respond-async", **headers)


def deletions_of(services: Services, instance_id: str) -> list[tuple[str | None, ...]]:
    """Who confirmed the deletions of an instance, and with what."""
    with services.own.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT confirmed_by, confirmed_with, confirmed_preview FROM deletions WHERE instance_id = %s",
            (instance_id,),
        )
        return [tuple(row) for row in rows]


def fail(services: Services, deletion_id: UUID, *, irrevocable: bool) -> None:
    """As if a step of it had failed for good."""
    moment = "now()" if irrevocable else "NULL"
    with services.own.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE deletions SET status = 'failed', irrevocable_at = {moment}, next_attempt_at = NULL WHERE id = %s",
            (deletion_id,),
        )


def test_a_preview_warns_and_carries_a_token(system: System, services: Services) -> None:
    """It changes nothing; with the token the deletion goes on, and its receipt says who confirmed what was shown."""
    instance = seed_instance(system.deployment, "shown", messages=3)
    system.gateways[0].load()
    preview = system.call("POST", "/deletions", json={"instanceName": "shown", "dryRun": True}).json()

    answer = delete(system, "shown", X_Confirmation_Token=preview["confirmationToken"])
    deletion_id = UUID(answer.body["response"]["deletionId"])
    run_all(services, deletion_id)
    receipt = system.send("GET", f"/deletions/{deletion_id}/receipt").body["receipt"]

    assert preview["warning"] == WARNING
    assert answer.status == 202
    shown = {name: preview[name] for name in ("instanceId", "instanceName", "planned")}
    assert shown["instanceId"] == instance.id
    confirmed = receipt["confirmedBy"]
    assert confirmed.pop("at") is not None
    assert confirmed == {
        "keyId": api_keys.BOOTSTRAP,
        "means": "token",
        "preview": confirmation.preview_digest(shown),
    }


def test_without_a_token_it_says_how_to_get_one(system: System, services: Services) -> None:
    """428, by name and by id, in the documented shape; nothing is accepted, and the refusal is audited."""
    instance = seed_instance(system.deployment, "unconfirmed")

    by_name = delete(system, "unconfirmed")
    empty = delete(system, "unconfirmed", X_Confirmation_Token="")
    by_id = system.delete_by_id(instance.id)

    assert by_name.status == empty.status == by_id.status_code == 428
    assert list(by_name.body) == ["error", "message"]
    assert by_name.body["error"] is True
    assert "dryRun" in by_name.body["message"]
    assert "X-Confirmation-Token" in by_name.body["message"]
    assert deletions_of(services, instance.id) == []
    lines = system.send("GET", f"/audit?instanceId={instance.id}").body["lines"]
    assert {(line["decision"], line["reason"]) for line in lines} == {("refused", "confirmation needed")}


def test_another_instances_token_confirms_nothing(system: System, services: Services) -> None:
    """Nor one of an earlier bearer of the name: an id is never used again."""
    instance = seed_instance(system.deployment, "meant")
    seed_instance(system.deployment, "other")

    answer = delete(system, "meant", X_Confirmation_Token=token_of(system, "other"))

    assert (answer.status, "not one for this key and instance" in answer.body["message"]) == (428, True)
    assert deletions_of(services, instance.id) == []


def test_a_token_is_for_the_name_that_was_shown(system: System, services: Services) -> None:
    """A renamed instance may not be the one that was meant."""
    instance = seed_instance(system.deployment, "shown so")
    token = token_of(system, "shown so")
    with system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET name = %s WHERE id = %s', ("called so now", instance.id))

    answers = [delete(system, "called so now", X_Confirmation_Token=token).status]
    by_id = system.call("POST", "/deletions", json={"instanceId": instance.id}, headers={"X-Confirmation-Token": token})

    assert [*answers, by_id.status_code] == [428, 428]
    assert deletions_of(services, instance.id) == []


def test_a_token_works_once(system: System) -> None:
    """Also after a deletion that was cancelled, and however its signature is spelt; a new preview has a new one."""
    seed_instance(system.deployment, "twice")
    token = token_of(system, "twice")
    respelt = [token[:-1] + last for last in string.ascii_letters + string.digits + "-_"] + [f"{token}="]
    first = delete(system, "twice", X_Confirmation_Token=token)
    cancelled = system.send("POST", f"/deletions/{first.body['response']['deletionId']}/cancel")
    again = [delete(system, "twice", X_Confirmation_Token=each) for each in (token, *respelt[:-1], respelt[-1] + "=")]
    fresh = delete(system, "twice", X_Confirmation_Token=token_of(system, "twice"))

    assert {answer.status for answer in again} == {428}
    assert (first.status, cancelled.status, fresh.status) == (202, 200, 202)
    assert "already used" in again[0].body["message"]


def test_one_token_of_many_calls_at_once_confirms_one(services: Services) -> None:
    """In all processes together."""
    together = Barrier(8, timeout=20)

    def use(_: int) -> bool:
        together.wait()
        with own_transaction(services.own) as connection:
            return use_token(connection, "signed", 300)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(use, range(8))) == [False] * 7 + [True]


def test_a_refused_order_leaves_the_token_usable(system: System, services: Services) -> None:
    """409 accepts nothing, and so it uses up nothing."""
    instance = seed_instance(system.deployment, "crossed")
    token, other = token_of(system, "crossed"), token_of(system, "crossed", instance.token)
    first = delete(system, "crossed", instance.token, X_Confirmation_Token=other)
    crossed = delete(system, "crossed", X_Confirmation_Token=token)
    system.send("POST", f"/deletions/{first.body['response']['deletionId']}/cancel")

    assert crossed.status == 409
    assert delete(system, "crossed", X_Confirmation_Token=token).status == 202


def test_used_tokens_are_forgotten(services: Services) -> None:
    """When they have expired anyhow."""
    with own_transaction(services.own) as connection:
        use_token(connection, "long ago", 300)
        connection.exec_driver_sql("UPDATE used_confirmations SET used_at = now() - interval '1 hour'")
    with own_transaction(services.own) as connection:
        use_token(connection, "now", 300)
        left = connection.exec_driver_sql("SELECT count(*) FROM used_confirmations").scalar_one()

    assert left == 1


def test_another_keys_token_confirms_nothing(system: System, services: Services) -> None:
    """Also when both may delete it, and also after a rotation of the same key."""
    instance = seed_instance(system.deployment, "two keys")
    mine, other = make_key(services, Role.ADMIN), make_key(services, Role.ADMIN)
    token = token_of(system, "two keys", mine.key)
    theirs = delete(system, "two keys", other.key, X_Confirmation_Token=token)
    as_instance = delete(system, "two keys", instance.token, X_Confirmation_Token=token)
    rotated = delete(system, "two keys", rotate(services, mine).key, X_Confirmation_Token=token)

    assert theirs.status == as_instance.status == rotated.status == 428
    assert deletions_of(services, instance.id) == []


def test_an_old_token_confirms_nothing(system: System, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is signed by Lethe itself, six minutes ago."""
    import time

    instance = seed_instance(system.deployment, "too late")
    before = time.time() - 360
    admin_hash = api_keys.hash_key(system.settings, ADMIN_KEY)
    with monkeypatch.context() as earlier:
        earlier.setattr("itsdangerous.timed.time.time", lambda: before)
        token = confirmation.sign_token(system.settings, admin_hash, Instance(instance.id, "too late", None), "0" * 64)

    answer = delete(system, "too late", X_Confirmation_Token=token)

    assert (answer.status, "too old" in answer.body["message"]) == (428, True)
    assert deletions_of(services, instance.id) == []


def test_an_instance_confirms_its_own_deletion(system: System, services: Services) -> None:
    """With its token for a key, on both calls."""
    instance = seed_instance(system.deployment, "own will")
    token = token_of(system, "own will", instance.token)

    answer = delete(system, "own will", instance.token, X_Confirmation_Token=token)

    assert answer.status == 202
    ((by, means, preview),) = deletions_of(services, instance.id)
    assert (by, means) == (api_keys.hash_key(system.settings, instance.token)[:12], "token")
    assert preview is not None


def test_who_may_not_is_asked_for_no_confirmation(system: System) -> None:
    """The answer to a stranger is the same as ever, and a viewer gets no token."""
    seed_instance(system.deployment, "closed")
    services = system.make_services()
    viewer, limited = make_key(services, Role.VIEWER), make_key(services, Role.ADMIN, instances=["else"])
    services.close()

    answers = [delete(system, "closed", key) for key in ("wrong", viewer.key, limited.key)]
    answers += [delete(system, "nobody", limited.key)]
    preview = system.call("POST", "/deletions", key=viewer.key, json={"instanceName": "closed", "dryRun": True})

    assert {answer.text for answer in answers} == {'{"error":true,"message":"Unauthorized"}'} == {preview.text}


def test_a_duplicate_is_a_409_without_a_token(system: System) -> None:
    """There is nothing to confirm: it is being deleted already."""
    seed_instance(system.deployment, "under way")
    delete(system, "under way", X_Confirmation_Token=token_of(system, "under way"))

    assert delete(system, "under way").status == 409


def test_a_failed_deletion_that_left_the_instance_whole_is_confirmed_again(system: System, services: Services) -> None:
    """By either call: it may have failed long ago, and there is still everything to keep."""
    instance = seed_instance(system.deployment, "whole")
    deletion_id = accept(services, instance.id, "whole")
    fail(services, deletion_id, irrevocable=False)
    retry = f"/deletions/{deletion_id}/retry"
    token = token_of(system, "whole")

    refused = [delete(system, "whole").status, system.call("POST", retry, json={}).status_code]
    still = system.show(str(deletion_id))["status"]
    resumed = system.call("POST", retry, json={}, headers={"X-Confirmation-Token": token})

    assert (refused, still) == ([428, 428], "failed")
    assert resumed.status_code == 202
    assert deletions_of(services, instance.id)[0][:2] == (api_keys.BOOTSTRAP, "token")


def test_a_failed_deletion_of_a_renamed_instance_is_confirmed_again(
    system: System, services: Services, tmp_path: Path
) -> None:
    """Also by the name that it had, alone and in a list: there is still everything to keep."""
    instance = seed_instance(system.deployment, "named before")
    deletion_id = accept(services, instance.id, "named before")
    fail(services, deletion_id, irrevocable=False)
    with system.deployment.connect() as connection:
        connection.execute("UPDATE \"Instance\" SET name = 'named since' WHERE id = %s", (instance.id,))
    file = tmp_path / "names"
    file.write_text("named before")
    listed = {"instanceNames": ["named before"], "dryRun": True}

    refused = delete(system, "named before").status
    typed = at_a_terminal(system, "delete", "--from-file", str(file), typed="\n").returncode
    still = system.show(str(deletion_id))["status"]
    planned = system.call("POST", "/deletions", json=listed).json()["planned"]
    resumed = delete(system, "named before", X_Confirmation_Token=token_of(system, "named since"))

    assert (refused, typed, still) == (428, 1, "failed")
    assert planned["delete_records"]["Instance"] == 1
    assert resumed.status == 202


def test_a_deletion_past_its_point_of_no_return_is_resumed_unasked(system: System, services: Services) -> None:
    """Nothing can be kept any more, and a preview would show half of it."""
    first, second = (seed_instance(system.deployment, name) for name in ("begun", "begun too"))
    ids = [accept(services, first.id, "begun"), accept(services, second.id, "begun too")]
    for deletion_id in ids:
        fail(services, deletion_id, irrevocable=True)

    assert delete(system, "begun").status == 202
    assert system.call("POST", f"/deletions/{ids[1]}/retry", json={}).status_code == 202


def test_a_failed_deletion_of_a_vanished_instance_is_resumed_unasked(system: System, services: Services) -> None:
    """No preview could be had, and what it left has to go."""
    deletion_id = accept(services, str(uuid4()), "vanished")
    fail(services, deletion_id, irrevocable=False)

    assert delete(system, "vanished").status == 202


@pytest.mark.parametrize("by", ["NAME", "--id"])
def test_the_server_asks_in_the_terminal(system: System, services: Services, by: str) -> None:
    """Its name has to be typed, exactly; the deletion then says which account did."""
    name = f"typed {by}"
    instance = seed_instance(system.deployment, name)
    words = ("--id", instance.id) if by == "--id" else (name,)
    refused = [
        at_a_terminal(system, "delete", *words, typed=typed) for typed in ("", "\n", "yes\n", "typed\n", f"{name} \n")
    ]
    before = deletions_of(services, instance.id)
    done = at_a_terminal(system, "delete", *words, "--json", typed=f"{name}\n")

    assert [answer.returncode for answer in refused] == [1] * 5
    assert before == []
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["status"] == "queued"
    assert WARNING in done.stderr
    assert instance.id in done.stderr
    ((who, means, preview),) = deletions_of(services, instance.id)
    assert (str(who).startswith("os:"), means, preview) == (True, "terminal", None)


def test_a_script_on_the_server_confirms_nothing(system: System, services: Services) -> None:
    """Neither by saying --yes nor by writing into a pipe what a person would type."""
    instance = seed_instance(system.deployment, "scripted")

    said = lethe(system, "delete", "scripted", "--yes")
    piped = lethe(system, "delete", "scripted", typed="scripted\n")

    assert (said.returncode, "LETHE_CONFIRMATION is token" in said.stderr) == (1, True)
    assert (piped.returncode, "--yes" in piped.stderr) == (2, True)
    assert deletions_of(services, instance.id) == []


def test_what_failed_past_its_point_of_no_return_is_resumed_unasked_on_the_server(
    system: System, services: Services
) -> None:
    """There is nothing left to keep."""
    instance = seed_instance(system.deployment, "half gone")
    deletion_id = accept(services, instance.id, "half gone")
    fail(services, deletion_id, irrevocable=True)

    answer = at_a_terminal(system, "delete", "half gone", typed="")

    assert answer.returncode == 0, answer.stderr
    assert system.show(str(deletion_id))["status"] == "queued"


def test_off_asks_for_nothing(make_system: Callable[..., System]) -> None:
    """Not over HTTP; a token that is sent all the same does no harm. On the server a script says --yes."""
    relaxed = make_system()
    relaxed.start("web")
    for name in ("a", "b", "c"):
        seed_instance(relaxed.deployment, name)

    assert delete(relaxed, "a").status == 202
    assert delete(relaxed, "b", X_Confirmation_Token=token_of(relaxed, "b")).status == 202
    assert lethe(relaxed, "delete", "c", "--yes").returncode == 0
    relaxed.stop()


def test_a_preview_leaves_out_a_gateway_that_is_gone(make_system: Callable[..., System]) -> None:
    """So that an admin who gives it up can confirm a deletion whose instance is whole; for admins alone."""
    system = make_system(confirmation="token")
    system.start("web")
    services = system.make_services()
    instance = seed_instance(system.deployment, "left")
    deletion_id = accept(services, instance.id, instance.name)
    fail(services, deletion_id, irrevocable=False)
    operator = make_key(services, Role.OPERATOR).key
    gone = system.gateways[0]
    gone.stop()
    given_up, order = {"withoutGateway": [gone.url]}, {"instanceName": "left", "dryRun": True}

    asked = system.call("POST", "/deletions", json=order)
    by_operator = system.call("POST", "/deletions", key=operator, json=order | given_up)
    unknown = system.call("POST", "/deletions", json=order | {"withoutGateway": ["http://x"]})
    not_dry = system.call("POST", "/deletions", json={"instanceName": "left", **given_up})
    left_out = system.call("POST", "/deletions", json=order | given_up)
    headers = {"X-Confirmation-Token": left_out.json()["confirmationToken"]}
    resumed = system.call("POST", f"/deletions/{deletion_id}/retry", json=given_up, headers=headers)

    assert (asked.status_code, by_operator.status_code, unknown.status_code, not_dry.status_code) == (
        500,
        401,
        400,
        400,
    )
    assert left_out.status_code == 200
    assert resumed.status_code == 202
    assert resumed.json()["withoutGateways"] == [gone.url]
    services.close()
