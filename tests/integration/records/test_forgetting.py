"""After success nothing personal of an instance is left with Lethe: planted, erased with trouble, looked for."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Engine, text

from demo.evolution.deployment import SeededInstance
from demo.evolution.gateway import Gateway
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.database import encryption
from shared.evidence import members
from tests.integration.places import decoded, files, redis_values
from tests.system import GATEWAY_KEY, System, running

NAME = "5511987650001"  # kept in the deletion and in its receipt, and nowhere else
URL_PATH = "hook-marker-Q7"
MARKERS = {
    "jid": "5511987650002",
    "number": "5511987650003",
    "profile": "profile-marker-Q7",
    "contact": "contact-marker-Q7",
    "message": "message-marker-Q7",
    "url": URL_PATH,
    "header": "header-marker-Q7",
    "jwt_key": "jwt-marker-Q7-of-thirty-two-bytes-or-more",
    "token": "token-marker-Q7",
}
MESSAGES = 20


@pytest.fixture
def system(make_system: Callable[..., System], tmp_path: Path) -> Iterator[System]:
    """A running system whose steps fail soon, with a folder of its own for temporary files."""
    made = make_system(max_failures=1)
    (made.folder / "tmp").mkdir()
    with running(made):
        made.start("web", "worker", "beat", env={"TMPDIR": str(made.folder / "tmp")})
        yield made


def plant(system: System) -> SeededInstance:
    """An instance that has every marker in a place of its own; its webhook cannot be delivered."""
    headers = {"X-Secret": MARKERS["header"], "jwt_key": MARKERS["jwt_key"]}
    url = f"{system.receiver.url}/{URL_PATH}"
    token = MARKERS["token"]
    instance = seed_instance(
        system.deployment, NAME, token=token, webhook_url=url, webhook_headers=headers, messages=MESSAGES
    )
    with system.deployment.connect() as connection:
        connection.execute(
            'UPDATE "Instance" SET "ownerJid" = %s, number = %s, "profileName" = %s',
            (f"{MARKERS['jid']}@s.whatsapp.net", MARKERS["number"], MARKERS["profile"]),
        )
        connection.execute('UPDATE "Contact" SET "pushName" = %s', (MARKERS["contact"],))
        connection.execute(
            """UPDATE "Message" SET message = jsonb_build_object('text', %s::text)""", (MARKERS["message"],)
        )
    system.gateways[0].connect(NAME, instance.id)
    system.receiver.answer_status = 500
    return instance


def refuse_to_delete_messages(system: System) -> None:
    """From now on the database says no to all but the first row, which a rehearsal tries, and repeats the row."""
    with system.deployment.connect() as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f' $$ BEGIN IF (SELECT count(*) FROM "Message" WHERE "instanceId" = OLD."instanceId") < {MESSAGES} THEN'
            " RAISE EXCEPTION 'refused: %', OLD.message USING DETAIL = OLD.message::text; END IF; RETURN OLD; END $$"
        )
        connection.execute('CREATE TRIGGER refuse BEFORE DELETE ON "Message" FOR EACH ROW EXECUTE FUNCTION refuse()')


def log_out_while_the_gateway_is_away(system: System, instance: SeededInstance) -> None:
    """The client's error names the URL, and so the instance; the error ends in the API's log with its cause."""
    old = system.gateways[0]
    old.stop()
    answer = system.send("DELETE", f"/instance/logout/{NAME}", key=instance.token)
    system.gateways[0] = Gateway(system.deployment.database_url, GATEWAY_KEY, port=int(old.url.rpartition(":")[2]))
    system.gateways[0].start()
    system.gateways[0].connect(NAME, instance.id)

    assert answer.status == 500


def own_rows(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """Every row of every table of the own database, without the two places where the name may stay."""
    with engine.connect() as connection:
        tables = connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).scalars()
        for table in tables.all():
            for (row,) in connection.execute(text(f'SELECT to_jsonb(t) FROM "{table}" t')):
                yield table, json.dumps(without_the_name(table, row)).encode()


def without_the_name(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row, but for the name in the deletion and in its receipt."""
    if table == "deletions":
        assert row.pop("instance_name") == NAME
    if table == "receipts":
        document = json.loads(row["document"])
        assert document["receipt"].pop("instanceName") == NAME
        row["document"] = document
    return row


def everything(system: System, engine: Engine, redis: Redis) -> list[tuple[str, bytes]]:
    """All that Lethe has: its database, its Redis, its logs, its temporary files, and the files root with the trash."""
    return [*own_rows(engine), *redis_values(redis), *files(system.folder)]


def evidence(system: System) -> Iterator[tuple[str, bytes]]:
    """Each member of the bundle of the deletion, with an attestation; the receipt without the name."""
    deletion_id = system.call("GET", "/deletions").json()["deletions"][0]["id"]
    system.call("POST", f"/deletions/{deletion_id}/attestation")
    for name, content in members.unpack(system.call("GET", f"/deletions/{deletion_id}/evidence").content).items():
        yield f"bundle {name}", content.replace(NAME.encode(), b"") if name == members.RECEIPT else content


def test_nothing_personal_is_left(system: System) -> None:
    """After a step that failed, a resume, and a webhook that was not delivered; it is stored encrypted."""
    services = system.make_services()
    instance = plant(system)
    log_out_while_the_gateway_is_away(system, instance)
    refuse_to_delete_messages(system)
    failed = system.delete(NAME, key=instance.token)
    with system.deployment.connect() as connection:
        connection.execute('DROP TRIGGER refuse ON "Message"')
    succeeded = system.delete(NAME, key=instance.token)

    places = [*evidence(system), *everything(system, services.own, services.redis)]
    found = {
        (where, what)
        for where, value in places
        for what in (*MARKERS.values(), NAME)
        if what.encode() in decoded(value)
    }

    assert (failed.status, succeeded.status) == (400, 200)
    assert found == set()
    # That the search could have found something, and that there was something to be found:
    assert {"deletions", "steps", "receipts", "webhook_events", "attestations"} <= {where for where, _ in places}
    assert {"bundle attestation.json", "bundle index.html", "bundle contents.json"} <= {where for where, _ in places}
    assert any(where.startswith("Redis") for where, _ in places)
    assert instance.id in (system.folder / "web.log").read_text()
    assert "request failed" in (system.folder / "web.log").read_text()
    assert "step put off" in (system.folder / "worker.log").read_text()
    with services.own.connect() as connection:
        sealed = connection.execute(text("SELECT sealed FROM webhook_events WHERE status = 'pending'")).scalar_one()
    assert URL_PATH in encryption.cipher(system.settings).decrypt(sealed).decode()
    services.close()


def test_a_delivered_webhook_is_forgotten(system: System) -> None:
    """What was kept for it goes when it is taken, and the receipt still says how it was."""
    services = system.make_services()
    instance = plant(system)
    system.delete(NAME, key=instance.token)
    system.receiver.answer_status = 200
    with services.own.begin() as connection:
        connection.execute(text("UPDATE webhook_events SET next_try_at = now()"))  # its pause is over

    def kept() -> Any:
        with services.own.connect() as connection:
            return connection.execute(text("SELECT status, sealed IS NULL, error FROM webhook_events")).one()

    wait_until(lambda: kept()[0] == "delivered", 60, "the webhook")

    assert tuple(kept()) == ("delivered", True, None)
    services.close()


def test_a_search_finds_what_is_encoded() -> None:
    """As a message of Celery, as a binary column: else the search above proves little."""
    for planted in (base64.b64encode(b'[["%s"]]' % NAME.encode()), NAME.encode().hex().encode()):
        assert NAME.encode() not in planted
        assert NAME.encode() in decoded(planted)
