"""`lethe sweep` finds what is nobody's, and touches nothing that is somebody's or only looks like an instance."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from demo.evolution.census import fingerprint
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_global, seed_instance
from shared import leftovers
from tests.integration.inline import accept
from tests.integration.shell import lethe
from tests.system import System

NOTES = (
    'CREATE TABLE "Note" (id text PRIMARY KEY, "instanceId" text, "createdAt" timestamp);'
    'CREATE TABLE "NoteLine" (id text PRIMARY KEY, "noteId" text NOT NULL REFERENCES "Note"(id))'
)
DAY_SECONDS = 86_400


@pytest.fixture
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A deployment with a neighbour and what belongs to nobody, and a table that no foreign key watches."""
    made = make_system()
    seed_instance(made.deployment, "neighbour")
    seed_global(made.deployment)
    with made.deployment.connect() as connection:
        connection.execute(NOTES)
    yield made
    made.stop()


def lose(system: System, name: str) -> SeededInstance:
    """An instance whose row is gone, with everything else still there."""
    instance = seed_instance(system.deployment, name)
    write_note(system, instance.id)
    with system.deployment.connect() as connection:
        connection.execute('DELETE FROM "Instance" WHERE id = %s', (instance.id,))
    return instance


def write_note(system: System, instance_id: str) -> None:
    """A row that no foreign key ties to the instance, and one that hangs on it."""
    with system.deployment.connect() as connection:
        connection.execute(
            "INSERT INTO \"Note\" VALUES (%s, %s, now() - interval '1 day')", (f"note {instance_id}", instance_id)
        )
        connection.execute('INSERT INTO "NoteLine" VALUES (%s, %s)', (f"line {instance_id}", f"note {instance_id}"))


def shown(system: System, *words: str) -> list[dict[str, Any]]:
    """What the command reports to a script."""
    answer = lethe(system, "sweep", "--json", *words)
    assert answer.returncode == 0, answer.stderr
    rows: list[dict[str, Any]] = json.loads(answer.stdout)
    return rows


def test_everything_by_the_id_goes_and_nothing_else(system: System) -> None:
    """Key for key, file for file, object for object, row for row."""
    neighbour = seed_instance(system.deployment, str(uuid4()))  # its name looks like an id
    write_note(system, neighbour.id)
    kept = fingerprint(system.deployment)
    lost = lose(system, "lost")
    (system.deployment.files_root / "instances" / "backup-of-lost").mkdir()
    before = fingerprint(system.deployment)

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    after = fingerprint(system.deployment)
    assert {row["kind"] for row in rows} == {"files", "objects", "keys", "rows"}
    assert {row["id"] for row in rows} == {lost.id}
    assert all(row["removed"] >= row["number"] > 0 for row in rows)
    assert {entry for entry in before if lost.id in entry} == set(before) - set(after)
    assert not [entry for entry in after if lost.id in entry]
    assert {entry: after.get(entry) for entry in kept} == kept
    assert "file:instances/backup-of-lost/" in after
    assert shown(system, "--older-than", "0") == []


def test_old_versions_of_objects_are_found(system: System) -> None:
    """In a versioned bucket a deleted object is still there, under a mark."""
    place = system.deployment.s3
    assert place
    client = place.connect()
    client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    lost = str(uuid4())
    client.put_object(Bucket=place.bucket, Key=f"evolution-api/{lost}/a.jpg", Body=b"picture")
    client.delete_object(Bucket=place.bucket, Key=f"evolution-api/{lost}/a.jpg")

    (row,) = shown(system, "--older-than", "0", "--remove", "--yes")

    assert (row["kind"], row["id"], row["number"], row["removed"]) == ("objects", lost, 2, 2)
    answer = client.list_object_versions(Bucket=place.bucket, Prefix=f"evolution-api/{lost}/")
    assert not {"Versions", "DeleteMarkers"} & set(answer)


def test_what_is_removed_is_audited(system: System) -> None:
    """Before and after, by the account that did it; who only looks leaves no line."""
    lost = lose(system, "audited")
    lethe(system, "sweep", "--older-than", "0")
    shown(system, "--older-than", "0", "--remove", "--yes")

    services = system.make_services()
    with services.own.connect() as connection:
        lines = connection.exec_driver_sql(
            "SELECT decision, instance_id, role, reason FROM audit WHERE action = 'sweep' ORDER BY seq"
        ).all()
    services.close()
    assert [line[0] for line in lines] == ["accepted", "succeeded"] * 4
    assert {line[1:3] for line in lines} == {(lost.id, "server")}
    assert ("succeeded", lost.id, "server", "4 files") in {tuple(line) for line in lines}


def test_looking_changes_nothing(system: System) -> None:
    """It says what, how much and how old."""
    lost = lose(system, "looked at")
    before = fingerprint(system.deployment)

    answer = lethe(system, "sweep", "--older-than", "0")

    assert answer.returncode == 0
    assert f"instances/{lost.id}" in answer.stdout
    assert fingerprint(system.deployment) == before


def test_what_is_young_stays(system: System) -> None:
    """All of it, though one part of it is old: its instance may be being created."""
    lost = lose(system, "young")
    for folder, _, files in os.walk(system.deployment.files_root / "instances" / lost.id):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            os.utime(path, (time.time() - DAY_SECONDS,) * 2)
    before = fingerprint(system.deployment)

    rows = shown(system, "--remove", "--yes")

    assert {row["removable"] for row in rows} == {False}
    assert fingerprint(system.deployment) == before


def test_what_is_old_goes(make_system: Callable[..., System]) -> None:
    """Without an option, once an hour has passed since the last write."""
    system = make_system(s3_bucket=None, cache_url=None)
    seed_instance(system.deployment, "neighbour")
    folder = system.deployment.files_root / "instances" / str(uuid4())
    folder.mkdir()
    (folder / "creds.json").write_text("{}")
    for path in (folder / "creds.json", folder):
        os.utime(path, (time.time() - DAY_SECONDS,) * 2)

    (row,) = shown(system, "--remove", "--yes")

    assert (row["kind"], row["number"], row["removed"]) == ("files", 1, 1)
    assert not folder.exists()


def test_an_unfinished_deletion_keeps_its_instance(system: System) -> None:
    """A failed one as well: it will be resumed. Its trash stays too, that of an ended one goes."""
    lost = lose(system, "half-way")
    services = system.make_services()
    unfinished, ended = accept(services, lost.id, "half-way"), accept(services, str(uuid4()), "ended")
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed' WHERE id = %s", (unfinished,))
        connection.exec_driver_sql("UPDATE deletions SET status = 'succeeded' WHERE id = %s", (ended,))
    services.close()
    trash = system.deployment.files_root / ".trash"
    for deletion_id in (unfinished, ended):
        (trash / str(deletion_id) / "chatwoot-x").mkdir(parents=True)

    told = lethe(system, "sweep", "--older-than", "0").stdout
    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    assert "in 1 place can go" in told
    assert [(row["kind"], row["id"]) for row in rows] == [("trash", str(ended))]
    assert [path.name for path in trash.iterdir()] == [str(unfinished)]


def test_an_id_is_looked_at_again_before_its_removal(system: System) -> None:
    """What came to life after it was found stays."""
    lost = lose(system, "back again")
    services = system.make_services()
    found = leftovers.find(services).leftovers
    with system.deployment.connect() as connection:
        connection.execute(
            'INSERT INTO "Instance" (id, name, "connectionStatus", "updatedAt") VALUES (%s, \'back\', \'open\', now())',
            (lost.id,),
        )
    before = fingerprint(system.deployment)

    removed = [sum(leftovers.remove(services, each)) for each in found]

    assert len(removed) == 4
    assert set(removed) == {0}
    assert fingerprint(system.deployment) == before
    services.close()


@pytest.mark.parametrize(("typed", "code", "is_gone"), [("remove 4\n", 0, True), ("yes\n", 1, False), ("", 1, False)])
def test_it_is_confirmed_by_typing(system: System, typed: str, code: int, is_gone: bool) -> None:
    """How many are to go; a yes is given too easily."""
    lost = lose(system, "typed")

    answer = lethe(system, "sweep", "--remove", "--older-than", "0", typed=typed)

    assert answer.returncode == code, answer.stderr
    assert (system.deployment.files_root / "instances" / lost.id).exists() is not is_gone


def test_the_wrong_tenant_database_is_noticed(make_system: Callable[..., System]) -> None:
    """When no id in the stores is a living instance, --yes alone removes nothing."""
    system = make_system()
    write = system.deployment.files_root / "instances" / str(uuid4())
    write.mkdir()

    answer = lethe(system, "sweep", "--remove", "--yes", "--older-than", "0")

    assert answer.returncode == 1
    assert "right tenant database" in answer.stderr
    assert write.exists()


def test_an_interrupted_sweep_is_finished_by_the_next(system: System) -> None:
    """What it had moved into the trash is found there."""
    lost = lose(system, "interrupted")
    trash = system.deployment.files_root / ".trash" / lost.id
    trash.mkdir(parents=True)
    (system.deployment.files_root / "instances" / lost.id).rename(trash / f"instances-{uuid4()}")

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    assert "trash" in {row["kind"] for row in rows}
    assert not trash.exists()
