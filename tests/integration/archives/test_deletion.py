"""A deletion with an export: nothing is erased that its archive does not list or its receipt does not count."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from cli import account
from demo.evolution.census import census
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from shared.archives import manifest
from shared.database.models import Deletion
from shared.receipts import receipt
from shared.services import Services
from tasks.orders import delete
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, run_all, run_steps
from tests.system import System
from worker.runner import Outcome, Runner

BEFORE = ("logout", "purge_cache", "send_webhook")


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], tmp_path_factory: pytest.TempPathFactory) -> System:
    """A deployment with one gateway, and a folder for exports."""
    made = make_system(export_to=str(tmp_path_factory.mktemp("exports")))
    made.start("web")
    return made


@pytest.fixture
def services(system: System) -> Iterator[Services]:
    """On that deployment."""
    made = system.make_services()
    yield made
    made.close()


def exports(services: Services) -> Path:
    """Where the archives go."""
    return Path(str(services.settings.export_to))


def archive_of(services: Services, instance: SeededInstance, deletion_id: UUID) -> Path:
    """The archive of a deletion."""
    return exports(services) / f"{instance.id}-{deletion_id}"


def standing(services: Services, deletion_id: UUID) -> Any:
    """How the deletion stands."""
    columns = (Deletion.status, Deletion.reason, Deletion.irrevocable_at, Deletion.archive_sha256)
    with services.own.connect() as connection:
        return connection.execute(select(*columns).where(Deletion.id == deletion_id)).one()


def receipt_of(services: Services, deletion_id: UUID) -> dict[str, Any]:
    """Its signed receipt."""
    document = receipt.load(services.own, deletion_id)
    assert document
    found: dict[str, Any] = json.loads(document)["receipt"]
    return found


def lines(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table in an archive."""
    content = json.loads((folder / "manifest.json").read_bytes())
    parts = [part["path"] for part in content["parts"] if part["table"] == table]
    return [json.loads(line) for path in parts for line in (folder / path).read_text().splitlines()]


def another_message(system: System, instance: SeededInstance, key: str) -> None:
    """What a server writes late."""
    with system.deployment.connect() as connection:
        connection.execute(
            'INSERT INTO "Message" SELECT (json_populate_record(m, %s)).* FROM "Message" AS m'
            ' WHERE "instanceId" = %s LIMIT 1',
            (json.dumps({"id": key}), instance.id),
        )


def test_the_receipt_names_the_archive_and_both_counts(system: System, services: Services) -> None:
    """What was written after the first stage is in the archive; what was written after it was closed is a number."""
    instance = seed_instance(system.deployment, "exported", messages=30)
    before = census(system.deployment, instance.id, instance.name)
    deletion_id = accept(services, instance.id, instance.name, exports=True)
    run_steps(services, deletion_id, *BEFORE)
    unreachable = system.make_services(gateways=("http://127.0.0.1:9",))
    run_steps(unreachable, deletion_id, "deregister")
    unreachable.close()
    assert standing(services, deletion_id).irrevocable_at
    assert standing(services, deletion_id).archive_sha256 is None
    another_message(system, instance, "while it was deregistered")
    run_steps(services, deletion_id, "deregister")
    another_message(system, instance, "after the archive was closed")

    run_all(services, deletion_id)

    folder = archive_of(services, instance, deletion_id)
    digest, content = manifest.verify(folder)
    quoted = receipt_of(services, deletion_id)["archive"]
    ids = {row["id"] for row in lines(folder, "Message")}
    erased = {table: number for table, number in before["rows"].items() if number}
    assert standing(services, deletion_id).status.value == "succeeded"
    assert quoted["manifest"] == digest == standing(services, deletion_id).archive_sha256
    assert (quoted["listed"]["Message"], quoted["erased"]["Message"]) == (31, 32)
    assert quoted["erasedBeyond"] == {"Message": 1}
    assert {table: quoted["listed"][table] for table in erased} == erased | {"Message": 31}
    assert quoted["listed"] == manifest.totals(content)
    assert "while it was deregistered" in ids
    assert "after the archive was closed" not in ids
    assert [row["name"] for row in lines(folder, "Instance")] == ["exported"]
    with services.own.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM archives")).scalar() == 0


def test_a_place_that_is_not_there_fails_it_before_anything_is_done(system: System, services: Services) -> None:
    """In the rehearsal, or between it and the point of no return; the instance is whole, and a resume goes on."""
    instance = seed_instance(system.deployment, "no place")
    before = census(system.deployment, instance.id, instance.name)["rows"]
    nowhere = system.make_services(export_to="/nowhere", export="required")
    deletion_id = accept(nowhere, instance.id, instance.name)
    run_steps(nowhere, deletion_id, *BEFORE)
    nowhere.close()
    rehearsed = standing(services, deletion_id)
    other = seed_instance(system.deployment, "place is gone")
    place = exports(services) / "gone"
    place.mkdir()
    going = system.make_services(export_to=str(place))
    second = accept(going, other.id, other.name, exports=True)
    run_steps(going, second, *BEFORE)
    place.rmdir()
    run_steps(going, second, "deregister")
    going.close()

    assert (rehearsed.status.value, rehearsed.irrevocable_at) == ("failed", None)
    assert "does not exist" in rehearsed.reason
    assert census(system.deployment, instance.id, instance.name)["rows"] == before
    assert standing(services, second).irrevocable_at is None
    assert census(system.deployment, other.id, other.name)["rows"]["Message"] == 20
    system.call("POST", "/deletions", json={"instanceNames": ["no place"], "export": True})  # resumes it
    assert system.show(str(deletion_id))["exports"] is True


def test_a_store_that_is_not_mounted_is_waited_for(system: System, services: Services) -> None:
    """It looks empty: nothing of it would be in the archive, and all of it would be erased when it is back."""
    instance = seed_instance(system.deployment, "not mounted")
    deletion_id = accept(services, instance.id, instance.name, exports=True)
    run_steps(services, deletion_id, *BEFORE)
    root = system.deployment.files_root
    away = root.rename(root.with_name("away"))
    root.mkdir()
    run_steps(services, deletion_id, "deregister")
    waiting = standing(services, deletion_id)
    root.rmdir()
    away.rename(root)

    run_all(services, deletion_id)

    assert (waiting.status.value, waiting.irrevocable_at) == ("waiting", None)
    assert receipt_of(services, deletion_id)["archive"]["listed"]["files"] > 0


def test_a_part_is_progress(system: System, services: Services) -> None:
    """What failed before it does not count any more: a large archive has hours to be written in."""
    instance = seed_instance(system.deployment, "large")
    deletion_id = accept(services, instance.id, instance.name, exports=True)
    run_steps(services, deletion_id, *BEFORE)

    def ask(query: str) -> Any:
        with services.own.begin() as connection:
            return connection.execute(text(query), {"id": deletion_id})

    def has_a_part() -> bool:
        return bool(ask("SELECT count(*) FROM archive_parts WHERE archive_id = :id").scalar())

    ask("UPDATE deletions SET failures = 3, waiting_since = now() - interval '23 hours' WHERE id = :id")
    outcome = Runner(services, has_a_part, lambda: False).run("deregister", deletion_id, 1)

    assert outcome is Outcome.REPUBLISH
    assert ask("SELECT failures, waiting_since FROM deletions WHERE id = :id").one() == (0, None)


def test_what_the_settings_require_is_stored_with_the_order(system: System, services: Services) -> None:
    """So that no worker with other settings, or of an earlier version, erases it without an export."""
    instance = seed_instance(system.deployment, "required")
    requiring = system.make_services(export="required")

    deletion_id = delete.by_id(requiring, account.caller(), instance.id)

    assert system.show(str(deletion_id))["exports"] is True


def test_a_lost_part_stops_it_before_the_first_row_goes(system: System, services: Services) -> None:
    """The folder was emptied, or its volume is away: the deletion fails, and says why."""
    instance = seed_instance(system.deployment, "lost part")
    deletion_id = accept(services, instance.id, instance.name, exports=True)
    run_steps(services, deletion_id, *BEFORE)
    unreachable = system.make_services(gateways=("http://127.0.0.1:9",))
    run_steps(unreachable, deletion_id, "deregister")
    unreachable.close()
    shutil.rmtree(archive_of(services, instance, deletion_id) / "rows" / "Message")

    run_steps(services, deletion_id, "deregister", "delete_records")

    stopped = standing(services, deletion_id)
    assert (stopped.status.value, stopped.archive_sha256) == ("failed", None)
    assert "not in the store of the export any more" in stopped.reason
    with system.deployment.connect() as connection:
        query = 'SELECT count(*) FROM "Message" WHERE "instanceId" = %s'
        assert connection.execute(query, (instance.id,)).fetchone() == (20,)


def test_a_worker_that_knows_no_exports_cannot_pass_it_by(system: System, services: Services) -> None:
    """During a deploy: the own database refuses the point of no return, and the step after deregister."""
    instance = seed_instance(system.deployment, "old worker")
    deletion_id = accept(services, instance.id, instance.name, exports=True)
    for change in ("irrevocable_at = now()", "position = 4"):
        with pytest.raises(IntegrityError, match="ck_deletions_archive"), services.own.begin() as connection:
            connection.execute(text(f"UPDATE deletions SET {change} WHERE id = :id"), {"id": deletion_id})


def test_an_order_can_ask_for_an_export(system: System) -> None:
    """Over HTTP; it is shown, and repeated in the audit."""
    instance = seed_instance(system.deployment, "asked")
    ordered = system.call("POST", "/deletions", json={"instanceId": instance.id, "export": True})

    audit = system.call("GET", "/audit").json()["lines"]
    assert (ordered.status_code, ordered.json()["exports"], ordered.json()["archiveSha256"]) == (202, True, None)
    assert [line["reason"] for line in audit if line["deletionId"] == ordered.json()["id"]] == ["with an export"]


def test_a_list_with_exports_begins_nothing_without_one(system: System, services: Services) -> None:
    """A failed deletion that it resumes writes one as well; what cannot is refused. A refused order changes nothing."""
    names = ["list new", "list failed", "list too late", "list scheduled"]
    ids = {name: seed_instance(system.deployment, name, messages=1).id for name in names}
    failed, late = (str(accept(services, ids[name], name)) for name in names[1:3])
    with services.own.begin() as connection:
        query = text("UPDATE deletions SET status = 'failed' WHERE id IN (:failed, :late)")
        connection.execute(query, {"failed": failed, "late": late})
        connection.execute(text("UPDATE deletions SET irrevocable_at = now() WHERE id = :id"), {"id": late})
    moments = [(datetime.now(UTC) + timedelta(hours=hours)).isoformat() for hours in (1, 2)]
    of_scheduled = {"instanceName": "list scheduled", "notBefore": moments[0]}
    scheduled = system.call("POST", "/deletions", json=of_scheduled).json()["id"]

    moved = system.call("POST", "/deletions", json={**of_scheduled, "notBefore": moments[1], "export": True})
    after_refusal = system.show(scheduled)["exports"]
    answer = system.call("POST", "/deletions", json={"instanceNames": names, "export": True}).json()
    results = {each["instanceName"]: each for each in answer["results"]}
    shown = {name: system.show(results[name]["deletionId"] or late) for name in names}
    alone = system.call("POST", "/deletions", json={**of_scheduled, "export": True})

    assert (moved.status_code, after_refusal) == (409, False)
    assert [results[name]["result"] for name in names] == ["accepted", "accepted", "refused", "refused"]
    assert "nothing whole to export" in results["list too late"]["reason"]
    assert results["list scheduled"]["reason"].endswith("which is scheduled, without an export")
    assert [shown[name]["exports"] for name in names] == [True, True, False, False]
    assert (shown["list failed"]["id"], shown["list too late"]["status"]) == (failed, "failed")
    assert (alone.status_code, alone.json()["exports"]) == (202, True)


def test_an_export_without_a_place_is_refused(make_system: Callable[..., System]) -> None:
    """With the name of the setting."""
    system = make_system()
    system.start("web")
    instance = seed_instance(system.deployment, "no setting")

    ordered = system.call("POST", "/deletions", json={"instanceId": instance.id, "export": True})
    previewed = system.call("POST", "/deletions", json={"instanceId": instance.id, "export": True, "dryRun": True})

    listed = [
        system.call("POST", "/deletions", json={"instanceNames": ["no setting"], "export": True, "dryRun": dry_run})
        for dry_run in (False, True)
    ]

    assert [each.status_code for each in (ordered, previewed, *listed)] == [400] * 4
    assert "LETHE_EXPORT_TO is not set" in ordered.json()["message"]


def test_the_console_offers_an_export(system: System) -> None:
    """A box on the form of the deletion, where there is a place for exports."""
    instance = seed_instance(system.deployment, "in the console")
    visitor = signed_in(system)
    form = visitor.get(f"/instances/{instance.id}/delete").text
    ordered = visitor.post(f"/instances/{instance.id}/delete", typed=instance.name, export="yes")

    assert 'name="export"' in form
    assert system.show(ordered.headers["Location"].rpartition("/")[2])["exports"] is True


def test_nothing_of_an_archive_is_logged_or_stored(
    system: System, services: Services, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not what is in it: neither in logs, nor in the own database, the audit or the receipt."""
    instance = seed_instance(system.deployment, "logged")
    marker = "MARKER-5511987654321"
    with system.deployment.connect() as connection:
        mine = (marker, instance.id)
        connection.execute('UPDATE "Message" SET "pushName" = %s WHERE "instanceId" = %s', mine)
    folder = system.deployment.files_root / "instances" / instance.id / marker
    folder.write_text(marker)
    deletion_id = accept(services, instance.id, instance.name, exports=True)
    run_steps(services, deletion_id, *BEFORE)
    unreachable = system.make_services(gateways=("http://127.0.0.1:9",))
    run_steps(unreachable, deletion_id, "deregister")
    unreachable.close()
    tables = ("deletions", "steps", "audit", "archives", "archive_parts", "receipts")
    on_the_way = stored(services, *tables)
    run_all(services, deletion_id)

    archive = archive_of(services, instance, deletion_id)
    assert marker.encode() in b"".join(path.read_bytes() for path in archive.rglob("*") if path.is_file())
    assert marker not in on_the_way
    assert marker not in stored(services, *tables)
    assert marker not in "".join(capfd.readouterr())


def stored(services: Services, *tables: str) -> str:
    """All rows of these tables of the own database, as text; bytes as they are."""
    with services.own.connect() as connection:
        return "".join(
            str([tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]) for table in tables
        )
