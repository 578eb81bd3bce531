"""Each deletion that succeeds has one receipt, which can be checked with the public keys."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import requests

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from shared import signing
from shared.database.connections import own_transaction
from shared.receipts import keys as receipt_keys
from shared.receipts import receipt
from shared.services import Services
from tasks import pipeline
from tests.integration.inline import accept, run_all, run_steps
from tests.integration.shell import lethe
from tests.system import System

ROOT = Path(__file__).parents[3]
KEYS = "/.well-known/lethe-keys.json"


@pytest.fixture
def system(fresh_system: System) -> System:
    """A deployment without processes, whose own database has no key yet."""
    return fresh_system


def erase(services: Services, system: System, name: str) -> UUID:
    """Erase an instance in the test's own process."""
    deletion_id = accept(services, seed_instance(system.deployment, name).id, name)
    run_all(services, deletion_id)
    return deletion_id


def written(services: Services, deletion_id: UUID) -> str | None:
    """The receipt as it is kept."""
    return receipt.load(services.own, deletion_id)


def published(services: Services) -> str:
    """The public keys as the API publishes them."""
    with own_transaction(services.own) as connection:
        return json.dumps({"keys": receipt_keys.published(connection, services.settings)})


def is_valid(document: str | None, keys: str) -> bool:
    """Whether it can be checked with these keys."""
    try:
        return bool(signing.check((document or "").encode(), signing.read_key_set(keys)))
    except signing.InvalidDocument:
        return False


def status(services: Services, deletion_id: UUID) -> tuple[Any, ...]:
    """Status and reason of the deletion."""
    with services.own.connect() as connection:
        return tuple(
            connection.exec_driver_sql("SELECT status, reason FROM deletions WHERE id = %s", (deletion_id,)).one()
        )


def test_a_deletion_is_proved_over_http(shared_system: System, tmp_path: Path) -> None:
    """Ordered with an instance's own token, which outlives its instance here; checked with the public keys."""
    instance = seed_instance(shared_system.deployment, "proved <b>", messages=7)
    shared_system.gateways[0].connect(instance.name, instance.id, "open")
    ordered = shared_system.call("POST", "/deletions", key=instance.token, json={"instanceId": instance.id}).json()
    shared_system.wait_for(ordered["id"])

    own, admins = (
        shared_system.call("GET", f"/deletions/{ordered['id']}/receipt", key=key)
        for key in (instance.token, shared_system.settings.admin_key.get_secret_value())
    )
    keys = requests.get(f"{shared_system.url}{KEYS}", timeout=5)
    said = signing.check(own.content, signing.read_key_set(keys.content))["receipt"]
    (tmp_path / "receipt.json").write_bytes(own.content)
    checked = lethe(None, "receipt", "verify", str(tmp_path / "receipt.json"), "--keys", f"{shared_system.url}{KEYS}")

    assert (checked.returncode, checked.stdout.split(":")[0]) == (0, "Valid"), checked.stderr
    assert own.content == admins.content
    assert own.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (said["instanceId"], said["instanceName"], said["deletionId"]) == (instance.id, "proved <b>", ordered["id"])
    assert said["requestedBy"]["role"] == "instance"
    steps = {step["name"]: step for step in said["steps"]}
    assert tuple(steps) == pipeline.NAMES
    assert steps["delete_records"]["planned"]["Message"] == steps["delete_records"]["removed"]["Message"] == 7
    assert said["verified"]["empty"] == ["rows", "files", "objects", "keys"]
    assert said["unlinked"] == {
        "session": "logged out",
        "gateways": [{"gateway": "gateway 1", "outcome": "dropped"}],
        "nameBorneAgain": False,
    }


def test_the_page_is_one_to_print(shared_system: System) -> None:
    """The name is text, and the browser is told to load and run nothing."""
    instance = seed_instance(shared_system.deployment, "page <script>")
    deletion_id = shared_system.delete_by_id(instance.id).json()["id"]
    shared_system.wait_for(deletion_id)

    page = shared_system.call("GET", f"/deletions/{deletion_id}/receipt?format=html")

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "page &lt;script&gt;" in page.text
    assert "<script" not in page.text


def test_who_may_not_see_a_receipt_cannot_tell_whether_there_is_one(shared_system: System) -> None:
    """Another instance's token, a wrong key, no such deletion: the same 401."""
    instance, other = (seed_instance(shared_system.deployment, f"receipt {name}") for name in ("mine", "other"))
    deletion_id = shared_system.delete_by_id(instance.id).json()["id"]
    shared_system.wait_for(deletion_id)

    answers = [
        shared_system.send("GET", f"/deletions/{which}/receipt{form}", key=key)
        for which in (deletion_id, uuid4())
        for form in ("", "?format=html")
        for key in (other.token, "wrong", None)
    ]

    assert {(each.status, each.text) for each in answers} == {(401, '{"error":true,"message":"Unauthorized"}')}


def test_there_is_no_receipt_before_the_end(shared_system: System) -> None:
    """Of one that is under way, was cancelled, or never was; nor in another format."""
    services = shared_system.make_services()
    instance = seed_instance(shared_system.deployment, "unproved")
    deletion_id = accept(services, instance.id, "unproved")
    queued = shared_system.call("GET", f"/deletions/{deletion_id}/receipt")
    shared_system.call("POST", f"/deletions/{deletion_id}/cancel")
    cancelled = shared_system.call("GET", f"/deletions/{deletion_id}/receipt")
    unknown = shared_system.call("GET", f"/deletions/{uuid4()}/receipt")
    pdf = shared_system.call("GET", f"/deletions/{deletion_id}/receipt?format=pdf")

    assert [answer.status_code for answer in (queued, cancelled, unknown, pdf)] == [409, 409, 404, 400]
    assert queued.json() == {
        "error": True,
        "message": "The deletion is queued: a receipt proves success",
        "deletionId": str(deletion_id),
    }
    assert all(answer.json()["error"] is True for answer in (cancelled, unknown, pdf))
    services.close()


def test_a_receipt_is_written_once(system: System) -> None:
    """Messages that come late change nothing."""
    services = system.make_services()
    deletion_id = erase(services, system, "once")
    first = written(services, deletion_id)
    run_steps(services, deletion_id, "confirm", "confirm")

    assert first is not None
    assert written(services, deletion_id) == first
    services.close()


def tamper(services: Services, statement: str, *values: object) -> None:
    """As who may take the triggers away."""
    with services.own.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(statement, values)


@pytest.mark.parametrize(
    "change",
    [
        """replace(document, '"removed":{', '"removed":{"Message":9,')""",
        "replace(document, 'tampered', 'Tampered')",
        "left(document, -1)",
        "'{}'",
        "''",
        "'null'",
        "document || ' '",
        "(SELECT o.document FROM receipts o WHERE o.deletion_id <> r.deletion_id)",
    ],
)
def test_a_receipt_that_was_changed_is_not_shown(system: System, change: str) -> None:
    """Neither over HTTP nor on the server, in no format: both say that it was changed."""
    services = system.make_services()
    deletion_id = erase(services, system, "tampered with")
    erase(services, system, "untouched")
    system.start("web")
    good = system.send("GET", f"/deletions/{deletion_id}/receipt")
    tamper(services, f"UPDATE receipts r SET document = {change} WHERE deletion_id = %s", deletion_id)

    answers = [system.send("GET", f"/deletions/{deletion_id}/receipt{form}") for form in ("", "?format=html")]
    shown = [lethe(system, "receipt", "show", str(deletion_id), *form) for form in ((), ("--html",))]

    assert good.status == 200
    assert {answer.status for answer in answers} == {409}
    assert all("not what was signed" in answer.body["message"] for answer in answers)
    assert {(answer.returncode, answer.stdout) for answer in shown} == {(1, "")}
    assert all("not what was signed" in answer.stderr for answer in shown)


@pytest.mark.parametrize("table", ["receipts", "receipt_keys"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {} = {}", "DELETE FROM deletions"]
)
def test_nobody_changes_a_receipt(system: System, table: str, statement: str) -> None:
    """Not even a superuser, as long as the triggers are there; nor with the deletion that it proves."""
    services = system.make_services()
    deletion_id = erase(services, system, "kept for good")
    column = "document" if table == "receipts" else "public"

    with (
        psycopg.connect(services.settings.database_url.get_secret_value()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="can only be added to"),
    ):
        connection.execute(statement.format(table, column, column))

    assert is_valid(written(services, deletion_id), published(services))


def test_what_cannot_be_signed_now_is_signed_later(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deletion has not succeeded before its receipt is there, and is not lost."""
    services = system.make_services()
    with monkeypatch.context() as broken:
        broken.setattr(signing, "sign", lambda *_: 1 / 0)
        deletion_id = erase(services, system, "unsigned")
        unsigned, none = status(services, deletion_id), written(services, deletion_id)
    run_steps(services, deletion_id, "confirm")

    assert unsigned == ("waiting", "unexpected ZeroDivisionError")
    assert none is None
    assert status(services, deletion_id) == ("succeeded", None)
    assert is_valid(written(services, deletion_id), published(services))
    services.close()


def test_processes_that_start_at_once_make_one_key(system: System) -> None:
    """Each signs with it."""
    services = system.make_services()
    start = threading.Barrier(5)

    def sign(_: int) -> str:
        start.wait()
        with own_transaction(services.own) as connection:
            return signing.sign({}, receipt_keys.current(connection, services.settings))

    with ThreadPoolExecutor(5) as pool:
        documents = set(pool.map(sign, range(5)))

    assert len(documents) == 1
    assert len(json.loads(published(services))["keys"]) == 1
    services.close()


def test_a_key_that_was_made_here_is_sealed(system: System) -> None:
    """Who reads the database cannot sign."""
    services = system.make_services()
    published(services)
    with own_transaction(services.own) as connection:
        sealed = connection.exec_driver_sql("SELECT sealed FROM receipt_keys").scalar_one()
        raw = receipt_keys.current(connection, services.settings).private_bytes_raw()

    assert raw not in base64.urlsafe_b64decode(bytes(sealed))
    assert raw not in bytes(sealed)
    services.close()


@pytest.mark.parametrize(
    "change",
    [
        {"receipt_key": base64.b64encode(b"k" * 32).decode()},
        {"secret_key": "another secret key for tests, as long as it has to be"},
    ],
    ids=["receipt_key", "secret_key"],
)
def test_a_receipt_stays_good_after_a_change_of_key(system: System, change: dict[str, str]) -> None:
    """Of the key itself, or of the secret that it is sealed with; the old public key stays published."""
    before = system.make_services()
    first = erase(before, system, "before")
    changed = type(system.settings)(**{**system.settings.model_dump(), **change})
    after = system.make_services(**{name: getattr(changed, name) for name in change})
    second = erase(after, system, "after")

    keys = published(after)
    documents = [written(after, each) for each in (first, second)]

    assert [is_valid(document, keys) for document in documents] == [True, True]
    assert len({json.loads(document or "")["keyId"] for document in documents}) == 2
    before.close()
    after.close()


@pytest.fixture
def papers(system: System, tmp_path: Path) -> Iterator[Path]:
    """A folder with a receipt and the public keys, and nothing else of Lethe."""
    services = system.make_services()
    deletion_id = erase(services, system, "on paper")
    shown = lethe(system, "receipt", "show", str(deletion_id))
    page = lethe(system, "receipt", "show", str(deletion_id), "--html")
    (tmp_path / "receipt.json").write_text(shown.stdout)
    (tmp_path / "page.html").write_text(page.stdout)
    (tmp_path / "keys.json").write_text(published(services))
    yield tmp_path
    services.close()


def test_an_auditor_checks_it_without_any_setting(papers: Path) -> None:
    """Exit code 0 for what was signed, 1 with the reason for what was not."""
    good, keys = papers / "receipt.json", str(papers / "keys.json")
    (papers / "forged.json").write_bytes(good.read_bytes().replace(b'"Message":20', b'"Message":21'))
    (papers / "other_keys.json").write_text('{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%s"}]}' % ("A" * 43))

    valid = lethe(None, "receipt", "verify", str(good), "--keys", keys, "--json")
    forged = lethe(None, "receipt", "verify", str(papers / "forged.json"), "--keys", keys)
    stranger = lethe(None, "receipt", "verify", str(good), "--keys", str(papers / "other_keys.json"))
    page = lethe(None, "receipt", "verify", str(papers / "page.html"), "--keys", keys)
    missing = lethe(None, "receipt", "verify", str(good), "--keys", str(papers / "missing.json"))
    nowhere = lethe(None, "receipt", "verify", str(good), "--keys", f"http://127.0.0.1:{server_port()}/keys")

    assert valid.returncode == 0
    assert json.loads(valid.stdout)["instanceName"] == "on paper"
    assert [each.returncode for each in (forged, stranger, page, missing, nowhere)] == [1, 1, 1, 3, 3]
    assert "something was changed" in forged.stderr
    assert "none of the keys" in stranger.stderr
    assert "Traceback" not in "".join(each.stderr for each in (forged, stranger, page, missing, nowhere))


def test_a_deletion_without_a_receipt_is_said_to_have_none(system: System) -> None:
    """With an exit code of its own."""
    answer = lethe(system, "receipt", "show", str(uuid4()))

    assert answer.returncode == 1
    assert "There is no receipt" in answer.stderr
