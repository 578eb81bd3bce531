"""An erased instance is looked for again on demand, and what was found is signed; nothing is erased."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from api.app import create
from demo.evolution import cache as evolution_cache
from demo.evolution.census import fingerprint
from demo.evolution.seed import seed_instance
from demo.ports import server_port
from shared import signing
from shared.audit.entries import Actor
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.evidence import attestation
from shared.evolution.rows.reservation import Reservation
from shared.receipts import keys as receipt_keys
from shared.receipts import receipt
from shared.services import Services
from tasks.orders import attest as orders
from tasks.orders import replay
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, erase
from tests.integration.keyring import make_key
from tests.integration.shell import lethe
from tests.system import ADMIN_KEY, Answer, System

LIMIT = 20  # more than all other tests of the module need
pytestmark = pytest.mark.system("web", limit_per_minute=LIMIT)
UNAUTHORIZED = '{"error":true,"message":"Unauthorized"}'


def attest(system: System, deletion_id: UUID, **options: Any) -> dict[str, Any]:
    """What the attestation says."""
    answer = system.call("POST", f"/deletions/{deletion_id}/attestation", **options)
    assert answer.status_code == 201, answer.text
    said: dict[str, Any] = answer.json()["attestation"]
    return said


def audited(services: Services, deletion_id: UUID) -> list[tuple[Any, ...]]:
    """What the audit has of attestations of the deletion."""
    with services.own.connect() as connection:
        query = "SELECT decision, role, reason FROM audit WHERE action = 'attest' AND deletion_id = %s ORDER BY seq"
        return [tuple(row) for row in connection.exec_driver_sql(query, (deletion_id,))]


def test_an_instance_that_is_gone_is_attested(system: System, services: Services) -> None:
    """Signed with the receipts' key, of a kind of its own, and without the name; it names the receipt."""
    deletion_id, instance_id = erase(services, system, "attested 5511987650009")
    document = receipt.load(services.own, deletion_id)

    answer = system.call("POST", f"/deletions/{deletion_id}/attestation")
    shown = system.call("GET", f"/deletions/{deletion_id}/attestation")
    with own_transaction(services.own) as connection:
        keys = receipt_keys.all_public(connection)
    signed = signing.check(answer.content, keys)
    said = signed["attestation"]

    assert (answer.status_code, shown.content) == (201, answer.content)
    assert (said["deletionId"], said["instanceId"]) == (str(deletion_id), instance_id)
    assert said["receipt"]["sha256"] == attestation.digest(document or "")
    assert (said["found"], said["findings"], said["instanceExists"], said["byNameToo"]) == (0, [], False, True)
    assert said["stores"] == ["rows", "files", "objects", "keys", "gateways"]
    assert any("LETHE_RABBITMQ_URL is not set" in each for each in said["notCovered"])
    assert "5511987650009" not in answer.text
    assert audited(services, deletion_id) == [
        ("succeeded", "admin", "nothing found"),
        ("accepted", "admin", "read"),
    ]
    with pytest.raises(signing.InvalidDocument, match="no receipt"):
        receipt.proved(signed)


def test_what_is_back_is_found_and_left_alone(system: System, services: Services) -> None:
    """In each store, with where; a later recheck or a sweep erases it."""
    deletion_id, instance_id = erase(services, system, "back")
    deployment = system.deployment
    (deployment.files_root / "instances" / instance_id).mkdir(parents=True)
    (deployment.files_root / "store/chatwoot/back").mkdir(parents=True)
    (deployment.files_root / "store/chatwoot/back/late").write_text("x")
    (deployment.files_root / ".trash" / str(deletion_id) / "0").mkdir(parents=True)
    with deployment.cache() as cache:
        cache.hset(evolution_cache.key_by_id(deployment, instance_id), "creds", "{}")
        cache.set(evolution_cache.chatwoot_keys(deployment, "back")[0], "1")
    with deployment.connect() as connection:
        connection.execute("SET session_replication_role = replica")  # as a late write beside an erasure
        connection.execute(
            """INSERT INTO "Chat" (id, "remoteJid", "instanceId") VALUES (%s, 'x', %s)""",
            (str(uuid4()), instance_id),
        )
    system.gateways[0].connect("back", instance_id)
    before = fingerprint(deployment)

    said = attest(system, deletion_id)
    shown = lethe(system, "attest", str(deletion_id))

    assert {(each["store"], each["where"]) for each in said["findings"]} == {
        ("rows", 'rows in "Chat"'),
        ("files", "an empty folder of the id"),
        ("files", "files in the trash of the deletion"),
        ("files", "files of the name"),
        ("keys", "cache keys"),
        ("keys", "cache keys of the name"),
        ("gateways", "the name in the memory of gateway 1"),
    }
    assert said["found"] == 7
    assert fingerprint(deployment) == before
    assert shown.returncode == 1
    assert 'rows in "Chat"' in shown.stdout
    assert "`lethe sweep`" in shown.stderr
    assert audited(services, deletion_id)[0] == ("failed", "admin", "found in 7 places")


def test_what_another_instance_has_by_the_name_is_no_finding(system: System, services: Services) -> None:
    """It is not looked for then, and that is told."""
    deletion_id, _ = erase(services, system, "taken")
    seed_instance(system.deployment, "taken", messages=2)

    said = attest(system, deletion_id)

    assert (said["found"], said["byNameToo"], said["instanceExists"]) == (0, False, False)
    assert any("has the name now" in each for each in said["notCovered"])


def test_an_id_that_is_an_instance_again_is_told(system: System, services: Services) -> None:
    """As after a restored backup."""
    deletion_id, instance_id = erase(services, system, "restored")
    with system.deployment.connect() as connection:
        connection.execute(
            """INSERT INTO "Instance" (id, name) VALUES (%s, 'restored under another name')""", (instance_id,)
        )

    said = attest(system, deletion_id)
    shown = lethe(system, "attest", str(deletion_id))
    found = [each.id for each in replay.find(services)]

    assert said["instanceExists"]
    assert said["findings"] == [{"store": "rows", "where": 'rows in "Instance"'}]
    assert (shown.returncode, "has the id again" in shown.stdout) == (1, True)
    assert instance_id in found


def test_a_store_that_does_not_answer_is_attested_by_nobody(system: System, services: Services) -> None:
    """No statement is signed on what could not be looked into."""
    deletion_id, _ = erase(services, system, "unseen")
    settings = system.settings.model_copy(update={"cache_url": SecretStr(f"redis://127.0.0.1:{server_port()}/0")})

    shown = lethe(replace(system, settings=settings), "attest", str(deletion_id))

    assert shown.returncode == 3
    assert "cannot be reached" in shown.stderr
    assert attestation.newest(services.own, deletion_id) is None
    assert audited(services, deletion_id) == []


@pytest.mark.parametrize("away", ["cache", "tenant database", "gateway"])
def test_a_store_that_is_away_is_told_over_http(system: System, services: Services, away: str) -> None:
    """503 in the documented shape, and when to ask again; an address is for those who may see all instances."""
    name = f"away {away}"
    deletion_id, _ = erase(services, system, name)
    nowhere = f"127.0.0.1:{server_port()}"
    settings: dict[str, Any] = {
        "cache": {"cache_url": SecretStr(f"redis://{nowhere}/0")},
        "tenant database": {"tenant_database_url": SecretStr(f"postgresql://{nowhere}/evolution")},
        "gateway": {},
    }[away]
    if away == "gateway":
        system.gateways[0].fail_next["connectionState"] = [503, 503]
    client = create(system.make_services(**settings)).test_client()
    limited = make_key(services, Role.AUDITOR, instances=[name]).key

    answers = [
        client.post(f"/deletions/{deletion_id}/attestation", headers={"apikey": k}) for k in (ADMIN_KEY, limited)
    ]
    messages = [each.json["message"] for each in answers if each.json]

    assert [(each.status_code, each.headers["Retry-After"]) for each in answers] == [(503, "30")] * 2
    assert messages[0].startswith("Nothing was attested: ")
    assert away in messages[0]
    assert messages[1] == "Nothing was attested: a store or a gateway does not answer"
    assert attestation.newest(services.own, deletion_id) is None
    assert {(decision, reason) for decision, _, reason in audited(services, deletion_id)} == {("failed", "unavailable")}


def test_what_refuses_is_told_without_its_address(system: System, services: Services) -> None:
    """To a key that is limited to some instances; another one reads which gateway does not accept the key."""
    name = "refused by a gateway"
    deletion_id, _ = erase(services, system, name)
    system.gateways[0].fail_next["connectionState"] = [401, 401]
    limited = make_key(services, Role.AUDITOR, instances=[name]).key

    told, hidden = (
        system.call("POST", f"/deletions/{deletion_id}/attestation", key=key) for key in (ADMIN_KEY, limited)
    )

    assert (told.status_code, hidden.status_code) == (400, 400)
    assert system.gateways[0].url in told.json()["message"]
    assert hidden.json()["message"] == "Nothing was attested: a store or a gateway refuses"


def test_what_was_not_looked_into_is_no_store_of_the_statement(system: System, services: Services) -> None:
    """A gateway at whose address nothing listens is told; its memory ended with it, as far as Lethe knows."""
    deletion_id, _ = erase(services, system, "down")
    down = system.make_services(gateways=(f"http://127.0.0.1:{server_port()}",))

    (made,) = orders.attest(down, Actor("admin"), orders.find(down.own, deletion_id))

    assert made.seen.is_gone
    assert made.seen.stores == ("rows", "files", "objects", "keys")
    assert "the memory of gateway 1: nothing listens at its address" in made.seen.not_covered


def test_a_name_that_is_still_reserved_is_found(system: System, services: Services) -> None:
    """A row with the name, which a worker of an earlier version has left."""
    deletion_id, _ = erase(services, system, "still reserved")
    reservation = Reservation(services.tenant, "still reserved", deletion_id)
    reservation.put()

    said = attest(system, deletion_id)
    reservation.release()

    assert (said["findings"], said["byNameToo"]) == ([{"store": "rows", "where": "the reserved name"}], False)
    assert "gateways" not in said["stores"]


def test_all_are_attested_by_one_command(system: System, services: Services) -> None:
    """One line each; --json prints the documents."""
    erased = {str(erase(services, system, name)[0]) for name in ("all 1", "all 2")}

    shown = lethe(system, "attest", "--all", "--json")
    said = [json.loads(line)["attestation"] for line in shown.stdout.splitlines()]

    assert erased <= {each["deletionId"] for each in said}
    assert {each["found"] for each in said if each["deletionId"] in erased} == {0}
    assert lethe(system, "attest").returncode == 2
    assert lethe(system, "attest", str(uuid4())).returncode == 1


def test_a_changed_receipt_stops_no_other(system: System, services: Services) -> None:
    """It is named, and what was erased after it is attested all the same."""
    changed, _ = erase(services, system, "changed receipt")
    other, _ = erase(services, system, "after it")

    def change(before: str, after: str) -> None:
        with services.own.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            query = "UPDATE receipts SET document = replace(document, %s, %s) WHERE deletion_id = %s"
            connection.exec_driver_sql(query, (before, after, changed))

    change("changed receipt", "changed-receipt")
    shown = lethe(system, "attest", "--all")
    change("changed-receipt", "changed receipt")

    assert shown.returncode == 1
    assert f"{changed}  The stored receipt is not what was signed" in shown.stderr
    assert f"{other}  nothing found" in shown.stdout


def test_who_may_not_attest_cannot_tell_whether_there_is_something(system: System, services: Services) -> None:
    """The documented 401, for a deletion that exists and one that does not; refusals are audited."""
    deletion_id, _ = erase(services, system, "not yours")
    other = seed_instance(system.deployment, "attesting other", messages=1)
    keys = (other.token, make_key(services, Role.VIEWER).key, make_key(services, Role.OPERATOR).key, "wrong")

    answers: list[Answer] = [
        system.send(method, f"/deletions/{which}/attestation", key=key)
        for which in (deletion_id, uuid4())
        for method in ("GET", "POST")
        for key in keys
    ]

    assert {(each.status, each.text) for each in answers} == {(401, UNAUTHORIZED)}
    assert {decision for decision, *_ in audited(services, deletion_id)} == {"refused"}


def test_before_the_success_there_is_nothing_to_attest(system: System, services: Services) -> None:
    """Of one that is queued, and one that is unknown; an auditor may attest, and sees that there is none yet."""
    instance = seed_instance(system.deployment, "queued", messages=1)
    queued = accept(services, instance.id, "queued")
    done, _ = erase(services, system, "done")
    auditor = make_key(services, Role.AUDITOR).key

    answers = [
        system.call("POST", f"/deletions/{queued}/attestation", key=auditor).status_code,
        system.call("POST", f"/deletions/{uuid4()}/attestation", key=auditor).status_code,
        system.call("GET", f"/deletions/{done}/attestation", key=auditor).status_code,
        system.call("POST", f"/deletions/{done}/attestation", key=auditor).status_code,
        system.call("GET", f"/deletions/{done}/attestation", key=auditor).status_code,
    ]

    assert answers == [409, 404, 404, 201, 200]


def test_attestations_and_bundles_have_limits_of_their_own(system: System, services: Services) -> None:
    """As many as deletions, counted apart; refused ones are audited, and deletions go on."""
    deletion_id, _ = erase(services, system, "limited")
    key = make_key(services, Role.ADMIN).key

    def statuses(method: str, path: str) -> list[int]:
        return [system.call(method, f"/deletions/{deletion_id}/{path}", key=key).status_code for _ in range(LIMIT + 1)]

    attested, bundles = statuses("POST", "attestation"), statuses("GET", "evidence")
    another = seed_instance(system.deployment, "another", messages=1)
    ordered = system.call("POST", "/deletions", key=key, json={"instanceId": another.id})
    refused = system.call("POST", f"/deletions/{deletion_id}/attestation", key=key)

    assert attested == [*[201] * LIMIT, 429]
    assert bundles == [*[200] * LIMIT, 429]
    assert ordered.status_code == 202
    assert refused.json()["message"].startswith(f"No more than {LIMIT} attestations per minute and key")
    assert [decision for decision, *_ in audited(services, deletion_id)][-2:] == ["refused", "refused"]


def test_nobody_changes_an_attestation(system: System, services: Services) -> None:
    """Not even a superuser; one that was changed all the same is not shown."""
    deletion_id, _ = erase(services, system, "unchanged")
    attest(system, deletion_id)

    for statement in ("UPDATE attestations SET document = ''", "DELETE FROM attestations", "TRUNCATE attestations"):
        with (
            psycopg.connect(services.settings.database_url.get_secret_value()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="can only be added to"),
        ):
            connection.execute(statement)
    with services.own.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE attestations SET document = replace(document, 'found\":0', 'found\":1')")
    page = signed_in(system).get(f"/deletions/{deletion_id}")

    assert system.call("GET", f"/deletions/{deletion_id}/attestation").status_code == 409
    assert (page.status_code, 'id="attested"' in page.text) == (200, False)


@pytest.fixture(scope="module")
def erased_for_the_console(system: System, services: Services) -> UUID:
    """An erased instance."""
    return erase(services, system, "console")[0]


def test_the_console_attests(system: System, services: Services, erased_for_the_console: UUID) -> None:
    """A button on the page of a deletion that succeeded; a viewer has none, and may not send the form either."""
    visitor, path = signed_in(system), f"/deletions/{erased_for_the_console}"
    viewer = signed_in(system, make_key(services, Role.VIEWER).key)

    before = visitor.get(path).text
    visitor.post(f"{path}/attestation", seen_on=path)
    after = visitor.get(path).text
    seen = viewer.get(path).text
    refused = viewer.post(f"{path}/attestation")

    assert 'id="attest"' in before
    assert 'id="attested"' not in before
    assert "Nothing of it was found in rows, files, objects, keys, gateways" in after
    assert 'id="attest' not in seen
    assert refused.status_code == 401
