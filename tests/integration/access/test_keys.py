"""API keys: what each role may do; refusals do not say whether an instance exists."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from api.app import create
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.access import api_keys
from shared.access.permissions import KEY_ROLES
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.services import Services
from tests.integration.inline import accept, run_all
from tests.integration.keyring import change, make_key, revoke, rotate
from tests.system import Answer, System

UNAUTHORIZED = '{"error":true,"message":"Unauthorized"}'
NOBODY = uuid4()
DELETE = {Role.ADMIN, Role.CLIENT}
# Of an instance, or a deletion, that does not exist: who may ask is told so.
CALLS: dict[str, tuple[str, str, str | None, int, set[Role]]] = {
    "delete": ("DELETE", "/instance/delete/nobody", None, 400, DELETE),
    "logout": ("DELETE", "/instance/logout/nobody", None, 400, {*DELETE, Role.OPERATOR}),
    "order": ("POST", "/deletions", '{"instanceName":"nobody"}', 400, DELETE),
    "preview": ("POST", "/deletions", '{"instanceName":"nobody","dryRun":true}', 400, DELETE),
    "no order": ("POST", "/deletions", '{"odd":1}', 400, DELETE),
    "list": ("GET", "/deletions", None, 200, set(KEY_ROLES)),
    "show": ("GET", f"/deletions/{NOBODY}", None, 404, set(KEY_ROLES)),
    "retry": ("POST", f"/deletions/{NOBODY}/retry", "{}", 404, {Role.ADMIN}),
    "cancel": ("POST", f"/deletions/{NOBODY}/cancel", None, 404, DELETE),
    "run now": ("POST", f"/deletions/{NOBODY}/run-now", None, 404, DELETE),
    "receipt": ("GET", f"/deletions/{NOBODY}/receipt", None, 404, {Role.ADMIN, Role.AUDITOR}),
    "attest": ("POST", f"/deletions/{NOBODY}/attestation", None, 404, {Role.ADMIN, Role.AUDITOR}),
    "attestation": ("GET", f"/deletions/{NOBODY}/attestation", None, 404, {Role.ADMIN, Role.AUDITOR}),
    "evidence": ("GET", f"/deletions/{NOBODY}/evidence", None, 404, {Role.ADMIN, Role.AUDITOR}),
    "audit": ("GET", "/audit", None, 200, {Role.ADMIN, Role.AUDITOR}),
}


def call(system: System, key: str | None, method: str, path: str, body: str | None = None) -> Answer:
    """One call; what every answer has of its own (its request id, its date) is left out."""
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"apikey": key})
    got = system.call(method, path, headers=headers, data=body, key=key or "")
    kept = {name: value for name, value in got.headers.items() if name not in ("X-Request-Id", "Date")}
    return Answer(got.status_code, got.text, kept)


@pytest.mark.parametrize("role", KEY_ROLES)
@pytest.mark.parametrize("what", CALLS)
def test_a_role_may_do_what_the_table_says(system: System, services: Services, what: str, role: Role) -> None:
    """And nothing else: then the answer is the documented 401, also for a body that is no order."""
    method, path, body, status, allowed = CALLS[what]
    key = make_key(services, role).key

    answer = call(system, key, method, path, body)

    assert answer.status == (status if role in allowed else 401)
    assert answer.text == UNAUTHORIZED or role in allowed


@pytest.mark.parametrize("what", CALLS)
def test_all_who_may_not_get_the_same_answer(system: System, services: Services, what: str) -> None:
    """Byte for byte, headers too: no key, a wrong, a revoked, an expired, a rotated one, and a role that may not."""
    method, path, body, _, allowed = CALLS[what]
    revoked, expired, old = (make_key(services, Role.ADMIN) for _ in range(3))
    revoke(services, revoked)
    change(services, expired, "expires_at = now()")
    rotated = rotate(services, old)
    weak = [make_key(services, role).key for role in set(KEY_ROLES) - allowed]
    wrong = [None, "wrong", f"{rotated.key[:-1]}~", f"lethe_{old.id}_", *weak]

    answers = [call(system, key, method, path, body) for key in (*wrong, revoked.key, expired.key, old.key)]

    assert {(answer.status, answer.text) for answer in answers} == {(401, UNAUTHORIZED)}
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1
    assert call(system, rotated.key, method, path, body).status != 401


def test_a_limited_key_cannot_tell_another_instance_from_none(system: System, services: Services) -> None:
    """By name, by id, by deletion, to delete, preview, log out, look, retry, cancel, prove: always the same 401."""
    mine, other = (seed_instance(system.deployment, name) for name in ("limited mine", "limited other"))
    theirs = accept(services, other.id, "limited other")
    key = make_key(services, Role.ADMIN, instances=["limited mine"]).key
    bodies = [
        f'{{"instance{kind}":"{value}"{dry}}}'
        for kind, value in (("Name", "limited other"), ("Id", other.id), ("Name", "none"), ("Id", str(uuid4())))
        for dry in ("", ',"dryRun":true')
    ]

    answers = [
        *(call(system, key, "DELETE", f"/instance/{verb}/{name}")
          for verb in ("delete", "logout") for name in ("limited%20other", "none", "limited%2520mine")),
        *(call(system, key, "POST", "/deletions", body) for body in bodies),
        *(call(system, key, "GET", f"/deletions/{each}{tail}")
          for each in (theirs, NOBODY) for tail in ("", "/receipt")),
        *(call(system, key, "POST", f"/deletions/{each}/{verb}", "{}")
          for each in (theirs, NOBODY) for verb in ("retry", "run-now", "cancel")),
        call(system, key, "GET", "/audit"),
    ]  # fmt: skip

    assert {(answer.status, answer.text) for answer in answers} == {(401, UNAUTHORIZED)}
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1
    listed = call(system, key, "GET", "/deletions").body
    assert listed == {"deletions": [], "next": None}
    assert call(system, key, "GET", f"/deletions?cursor={theirs}").body == listed
    assert call(system, key, "POST", "/deletions", f'{{"instanceId":"{mine.id}"}}').status == 202


def test_a_limited_key_sees_and_proves_its_own(system: System, services: Services) -> None:
    """Also when the instance is gone, for the deletion knows its name; gateways' addresses are not shown."""
    mine, other = (seed_instance(system.deployment, name) for name in ("proved mine", "proved other"))
    admin = make_key(services, Role.ADMIN, instances=["proved mine"]).key
    auditor = make_key(services, Role.AUDITOR, instances=["proved mine", "another"]).key
    viewer = make_key(services, Role.VIEWER, instances=["proved mine"]).key
    theirs = accept(services, other.id, "proved other")
    deletion_id = call(system, admin, "POST", "/deletions", f'{{"instanceId":"{mine.id}"}}').body["id"]
    run_all(services, UUID(deletion_id))
    newer = accept(services, seed_instance(system.deployment, "proved newer").id, "proved newer")

    shown = {key: call(system, key, "GET", f"/deletions/{deletion_id}") for key in (admin, auditor, viewer)}
    listed = call(system, auditor, "GET", "/deletions").body["deletions"]
    receipt = f"/deletions/{deletion_id}/receipt"

    assert {answer.body["status"] for answer in shown.values()} == {"succeeded"}
    assert system.gateways[0].url not in str(shown)
    assert [deletion["id"] for deletion in listed] == [deletion_id]
    assert call(system, auditor, "GET", f"/deletions?cursor={newer}").body["deletions"] == []  # as if it were none
    assert call(system, auditor, "GET", receipt).status == call(system, admin, "GET", receipt).status == 200
    assert call(system, viewer, "GET", receipt).text == UNAUTHORIZED
    assert {each["id"] for each in call(system, make_key(services, Role.VIEWER).key, "GET", "/deletions").body[
        "deletions"]} >= {deletion_id, str(theirs)}  # fmt: skip


def test_a_revoked_key_is_dead_at_its_next_request(system: System, services: Services) -> None:
    """Nothing of it is remembered, in no process."""
    key = make_key(services, Role.VIEWER)
    before = call(system, key.key, "GET", "/deletions")
    revoke(services, key)

    after = [call(system, key.key, "GET", "/deletions") for _ in range(5)]

    assert before.status == 200
    assert {answer.text for answer in after} == {UNAUTHORIZED}


def test_nothing_that_is_kept_opens_anything(system: System, services: Services) -> None:
    """Neither the key nor its hash; and a token of an instance opens no more when it looks like a key's id."""
    key = make_key(services, Role.ADMIN)
    with services.own.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_keys WHERE id = %s", (key.id,)).mappings().one()

    assert key.key.removeprefix(f"lethe_{key.id}_") not in str(dict(rows))
    answers = [call(system, each, "GET", "/deletions") for each in (rows["key_hash"], key.id, rows["name"])]
    assert {answer.text for answer in answers} == {UNAUTHORIZED}


def test_instances_can_be_kept_from_deleting_themselves(make_system: Callable[..., System]) -> None:
    """They may still log out and look, and still have no deletion resumed; an admin deletes them."""
    system = make_system(instance_tokens_may_delete=False)
    system.start("web")
    instance = seed_instance(system.deployment, "kept")

    by_name = call(system, instance.token, "DELETE", "/instance/delete/kept")
    by_id = call(system, instance.token, "POST", "/deletions", f'{{"instanceId":"{instance.id}"}}')
    preview = call(system, instance.token, "POST", "/deletions", f'{{"instanceId":"{instance.id}","dryRun":true}}')
    logout = call(system, instance.token, "DELETE", "/instance/logout/kept")
    deletion_id = system.delete_by_id(instance.id).json()["id"]
    shown = call(system, instance.token, "GET", f"/deletions/{deletion_id}")
    retry = call(system, instance.token, "POST", f"/deletions/{deletion_id}/retry", "{}")
    system.stop()

    assert {answer.text for answer in (by_name, by_id, preview, retry)} == {UNAUTHORIZED}
    assert logout.status == 200
    assert shown.body["status"] == "queued"


@pytest.mark.parametrize("path", ["/instance/delete/{}", "/instance/logout/{}"])
def test_an_unknown_instance_and_another_one_cost_the_same_statements(
    system: System, services: Services, path: str
) -> None:
    """So that the time they take tells nothing: the databases are asked the same, in the same order."""
    mine, _ = (seed_instance(system.deployment, f"{name} {path[10:13]}") for name in ("timed mine", "timed other"))
    key = make_key(services, Role.ADMIN, instances=["timed mine"]).key
    client = create(services).test_client()
    asked: list[str] = []
    engines = (services.own, services.tenant.engine)

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    def statements(name: str, by: str) -> list[str]:
        asked.clear()
        target = path.format(name.replace(" ", "%20"))
        answer = client.delete(target, headers={"apikey": by}, environ_overrides={"RAW_URI": target})
        assert (answer.status_code, answer.text) == (401, UNAUTHORIZED)
        return list(asked)

    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        seen = [[statements(name, by) for name in (f"timed other {path[10:13]}", "nobody")] for by in (key, mine.token)]
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)

    assert all(other == nobody and len(other) > 1 for other, nobody in seen)


def test_a_search_for_a_name_waits_for_a_key_that_is_being_made(services: Services) -> None:
    """Else both would find the name free."""

    def find() -> str | None:
        with own_transaction(services.own) as connection:
            return api_keys.find_active(connection, "in the making")

    waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'api_keys'::regclass)"
    with ThreadPoolExecutor(1) as pool:
        with own_transaction(services.own) as connection:
            nobody = api_keys.find_active(connection, "in the making")
            new = api_keys.create(connection, services.settings, name="in the making", role=Role.VIEWER)
            second = pool.submit(find)
            wait_until(lambda: second.done() or connection.exec_driver_sql(waits).scalar(), 10, "the second to wait")

        assert (nobody, second.result()) == (None, new.id)
