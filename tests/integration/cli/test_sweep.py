"""`lethe sweep` finds data of instances that no longer exist, and changes nothing else."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from demo.evolution import cache, objects
from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.deployment import SeededInstance, living
from demo.evolution.seed import seed_global, seed_instance
from tasks.leftovers import leftovers
from tests.integration.inline import accept
from tests.integration.shell import lethe
from tests.system import System

NOTES = (
    'CREATE TABLE "Note" (id text PRIMARY KEY, "instanceId" text, "createdAt" timestamp);'
    'CREATE TABLE "NoteLine" (id text PRIMARY KEY, "noteId" text NOT NULL REFERENCES "Note"(id))'
)
DAY_SECONDS = 86_400
FIELDS = "evolution-cache:chatwoot:syncLostMessages"


@pytest.fixture
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A deployment with another instance, other data, and a table without a foreign key."""
    made = make_system()
    seed_instance(made.deployment, "neighbour")
    seed_global(made.deployment)
    with made.deployment.connect() as connection:
        connection.execute(NOTES)
    yield made
    made.close()


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


def test_everything_of_an_instance_goes_and_nothing_else(system: System) -> None:
    """Key for key, file for file, object for object, row for row."""
    neighbour = seed_instance(system.deployment, str(uuid4()))  # its name looks like an id
    write_note(system, neighbour.id)
    kept = fingerprint(system.deployment)
    lost = lose(system, "lost")
    (system.deployment.files_root / "instances" / "backup-of-lost").mkdir()
    before = fingerprint(system.deployment)

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    after = fingerprint(system.deployment)
    assert {row["kind"] for row in rows if row["id"] == lost.id} == {"files", "objects", "keys", "rows"}
    assert {row["kind"] for row in rows if row["name"] == "lost"} == NAMED
    assert all(row["removed"] >= row["number"] > 0 for row in rows)
    assert {entry for entry in before if lost.id in entry} < set(before) - set(after)
    assert {entry: after[entry] for entry in kept} == kept
    assert after.keys() - kept.keys() == {"file:instances/backup-of-lost/", "file:.trash/"}
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
    assert [line[0] for line in lines] == ["accepted", "succeeded"] * 10
    assert {line[1:3] for line in lines} == {(lost.id, "server"), (None, "server")}
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
            'INSERT INTO "Instance" (id, name, "connectionStatus", "updatedAt") VALUES (%s, %s, \'open\', now())',
            (lost.id, lost.name),
        )
    before = fingerprint(system.deployment)

    removed = [sum(leftovers.remove(services, each)) for each in found]

    assert len(removed) == 10
    assert set(removed) == {0}
    assert fingerprint(system.deployment) == before
    services.close()


@pytest.mark.parametrize(("typed", "code", "is_gone"), [("remove 10\n", 0, True), ("yes\n", 1, False), ("", 1, False)])
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


NAMED = {"files", "objects", "keys", "fields"}


def lose_all_but_named(system: System, name: str) -> SeededInstance:
    """An instance whose row and all that is kept by its id are gone; what is kept by its name is still there."""
    instance = seed_instance(system.deployment, name, media=0)
    with system.deployment.connect() as connection:
        connection.execute('DELETE FROM "Instance" WHERE id = %s', (instance.id,))
    shutil.rmtree(system.deployment.files_root / "instances" / instance.id)
    place = system.deployment.s3
    assert place
    client = place.connect()
    for key, _ in objects.entries(place, objects.prefix_by_id(instance.id)):
        client.delete_object(Bucket=place.bucket, Key=key)
    with system.deployment.cache() as redis:
        redis.delete(
            cache.key_by_id(system.deployment, instance.id), *cache.message_keys(system.deployment, instance.id)
        )
    return instance


def everything(system: System) -> dict[str, str]:
    """All that is there, without the emptied trash."""
    return {entry: value for entry, value in fingerprint(system.deployment).items() if entry != "file:.trash/"}


@pytest.mark.parametrize(
    "name", ["lost", "a:b", "a/b", "a", "a*", "a ", "", "🦊", "q\"uo'te", "a\nb", "neighbou", "neighbour:lock", "%61"]
)
def test_everything_by_the_name_goes_and_nothing_else(system: System, name: str) -> None:
    """Of an instance that is known by nothing but its name any more, however that collides."""
    seed_instance(system.deployment, "b")
    kept = everything(system)
    lose_all_but_named(system, name)

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    assert {row["kind"] for row in rows} <= NAMED
    assert {"keys", "fields"} <= {row["kind"] for row in rows if row["name"] == name and row["id"] is None}
    assert all(row["removed"] == row["number"] > 0 for row in rows)
    assert everything(system) == kept
    assert shown(system, "--older-than", "0") == []


def test_each_place_is_shown_with_the_name(system: System) -> None:
    """For people and for scripts."""
    lose_all_but_named(system, "lost")

    told = lethe(system, "sweep", "--older-than", "0").stdout.splitlines()
    rows = shown(system, "--older-than", "0")

    assert [(row["kind"], row["place"]) for row in rows] == [
        ("files", "store/chatwoot/lost"),
        ("objects", "evolution-api/messages/lost_*.json"),
        ("keys", "evolution-cache:*:lost*"),
        ("fields", "evolution-cache:ChatwootService:chatwoot:syncLostMessages"),
        ("fields", "evolution-cache:chatwoot:syncLostMessages"),
        ("fields", "evolution-cache:ut:chatwoot:syncLostMessages"),
    ]
    assert {row["name"] for row in rows} == {"lost"}
    assert {row["id"] for row in rows} == {None}
    assert [line for line in told if line.endswith("(name 'lost')")] == told[:6]
    assert told[6].endswith("in 6 places can go")


@pytest.mark.parametrize(
    ("lost", "living", "kept"),
    [
        ("a", "a:lock", "key:evolution-cache:ut:a:lock:createConversation-5511900000001@s.whatsapp.net"),
        ("a:lock", "a", "key:evolution-cache:ut:a:lock:createConversation-5511900000001@s.whatsapp.net"),
        ("a/b", "a", "file:store/chatwoot/a/b/conversation.json"),
        ("a//b", "./a/b", "file:store/chatwoot/a/b/conversation.json"),
        ("a", "b/../a", "file:store/chatwoot/a/conversation.json"),
    ],
)
def test_data_that_may_belong_to_an_existing_name_stays(system: System, lost: str, living: str, kept: str) -> None:
    """It is unknown which of the two instances has written it."""
    instance = seed_instance(system.deployment, living)
    lose_all_but_named(system, lost)
    own = fingerprint_of(system.deployment, instance.id, living)

    shown(system, "--older-than", "0", "--remove", "--yes")

    after = everything(system)
    assert kept in after
    assert own.keys() <= after.keys()


def test_the_folder_of_a_living_name_in_the_folder_of_a_lost_one_stays(system: System) -> None:
    """What lies around it goes."""
    lose_all_but_named(system, "a")
    instance = seed_instance(system.deployment, "a/b")
    own = fingerprint_of(system.deployment, instance.id, "a/b")

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    left = [entry for entry in everything(system) if "store/chatwoot/a/" in entry]
    assert own.items() <= everything(system).items()
    assert left == [entry for entry in own if entry.startswith("file:store")]
    assert [(row["number"], row["removed"]) for row in rows if row["kind"] == "files"] == [(2, 2)]


@pytest.mark.parametrize("status", ["queued", "failed", "waiting"])
def test_the_name_of_an_unfinished_deletion_stays(system: System, status: str) -> None:
    """The deletion will remove its data."""
    lost = lose_all_but_named(system, "half-way")
    services = system.make_services()
    unfinished = accept(services, lost.id, "half-way")
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = %s WHERE id = %s", (status, unfinished))
    before = everything(system)

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    assert rows == []
    assert everything(system) == before
    services.close()


def test_a_reserved_name_stays(system: System) -> None:
    """A deletion that has not ended holds it."""
    lost = lose_all_but_named(system, "reserved")
    services = system.make_services()
    take_name(system, f"lethe:{accept(services, lost.id, 'reserved')}", "reserved")
    services.close()
    before = everything(system)

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    assert rows == []
    assert everything(system) == before


def test_the_name_of_an_ended_deletion_is_a_leftover(system: System) -> None:
    """Data that was written after it belongs to no instance."""
    lost = lose_all_but_named(system, "ended")
    services = system.make_services()
    ended = accept(services, lost.id, "ended")
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'succeeded' WHERE id = %s", (ended,))

    rows = shown(system, "--older-than", "0")

    assert {row["kind"] for row in rows} == NAMED
    services.close()


def test_a_name_is_looked_at_again_before_each_removal(system: System) -> None:
    """Another instance may have it since it was found."""
    lose_all_but_named(system, "had again")
    services = system.make_services()
    found = leftovers.find(services).leftovers
    take_name(system, str(uuid4()), "had again")
    before = everything(system)

    removed = [sum(leftovers.remove(services, each)) for each in found]

    assert {each.kind for each in found} == NAMED
    assert set(removed) == {0}
    assert everything(system) == before
    services.close()


def test_links_and_files_next_to_the_folders_of_names_are_no_leftovers(system: System) -> None:
    """A link is not followed, and not removed either."""
    place = system.deployment.files_root / "store" / "chatwoot"
    outside = system.folder / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (place / "linked").symlink_to(outside)
    (place / "export.csv").write_text("x")
    lose_all_but_named(system, "lost")
    (place / "lost" / "link").symlink_to(outside)

    rows = shown(system, "--older-than", "0", "--remove", "--yes")

    assert {row["name"] for row in rows} == {"lost"}
    assert (outside / "precious").exists()
    assert sorted(os.listdir(place)) == ["export.csv", "linked", "neighbour"]


@pytest.mark.parametrize(("hours", "is_removable"), [(0, False), (2, True)])
def test_a_field_is_as_old_as_its_value_says(system: System, hours: int, is_removable: bool) -> None:
    """It is the id of a job, which begins with the time when the server made it."""
    moment = datetime.now(UTC) - timedelta(hours=hours)
    system.deployment.cache().hset(FIELDS, "lost", json.dumps(cache.cuid(moment)))

    (row,) = shown(system)

    assert (row["kind"], row["name"], row["removable"]) == ("fields", "lost", is_removable)
    assert abs(datetime.fromisoformat(row["newest"]) - moment) < timedelta(milliseconds=2)


def test_a_field_of_another_form_has_no_age(system: System) -> None:
    """It goes when everything may go."""
    system.deployment.cache().hset(FIELDS, "lost", "1760000000")

    young, old = shown(system), shown(system, "--older-than", "0", "--remove", "--yes")

    assert [(row["newest"], row["removable"]) for row in young] == [(None, False)]
    assert [(row["number"], row["removed"]) for row in old] == [(1, 1)]
    assert not system.deployment.cache().hexists(FIELDS, "lost")


def test_what_is_young_of_a_name_keeps_all_of_it(system: System) -> None:
    """One part of it is old: a server may be at work with the name."""
    lose_all_but_named(system, "young")
    system.deployment.cache().hset(FIELDS, "young", json.dumps(cache.cuid(datetime.now(UTC) - timedelta(days=1))))
    before = everything(system)

    rows = shown(system, "--remove", "--yes")

    assert {row["kind"] for row in rows} == NAMED
    assert {row["removable"] for row in rows} == {False}
    assert everything(system) == before


def test_a_session_by_a_name_that_begins_like_an_id_stays(system: System) -> None:
    """Older versions kept sessions by name; this could be something that belongs to the session of that id."""
    (neighbour,) = living_ids(system)
    key = f"evolution-cache:instance:{neighbour}:more"
    system.deployment.cache().set(key, "{}")

    assert shown(system, "--older-than", "0", "--remove", "--yes") == []
    assert system.deployment.cache().exists(key)


def test_no_name_is_in_the_audit(system: System) -> None:
    """It is often a telephone number; how much went, and where, is."""
    lose_all_but_named(system, "5511900000009")
    shown(system, "--older-than", "0", "--remove", "--yes")

    services = system.make_services()
    with services.own.connect() as connection:
        lines = connection.exec_driver_sql(
            "SELECT decision, instance_id, deletion_id, reason FROM audit WHERE action = 'sweep' ORDER BY seq"
        ).all()
    services.close()
    assert [line[0] for line in lines] == ["accepted", "succeeded"] * 6
    assert {line[1:3] for line in lines} == {(None, None)}
    assert [line[3] for line in lines][1::2] == [
        "2 files by a name", "1 object by a name", "13 keys by a name", *["1 field by a name"] * 3
    ]  # fmt: skip


def test_a_name_steers_no_terminal(system: System) -> None:
    """It is shown as text."""
    lose_all_but_named(system, "lost\x1b[2J\r\nplanted")

    told = lethe(system, "sweep", "--older-than", "0", "--remove", "--yes").stdout

    assert "\x1b" not in told
    assert "\r" not in told
    assert not [line for line in told.splitlines() if line.startswith("planted")]
    assert told.count("(name 'lost\\x1b[2J\\r\\nplanted')") == 10  # found and removed; no store of objects takes it


def test_a_key_that_is_no_text_stops_nothing(system: System) -> None:
    """Evolution has not written it."""
    redis = system.deployment.cache()
    redis.set(b"evolution-cache:ut:\xff:getInbox", 1)
    redis.set(b"evolution-cache:instance:\xff", 1)
    redis.hset(FIELDS, b"\xff", 1)
    (system.deployment.files_root / "store" / "chatwoot" / os.fsdecode(b"\xff")).mkdir()

    assert shown(system, "--older-than", "0", "--remove", "--yes") == []


def test_old_versions_of_payloads_are_found(system: System) -> None:
    """In a versioned bucket a deleted payload is still there, under a mark."""
    place = system.deployment.s3
    assert place
    client = place.connect()
    client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in (objects.event_key("lost"), objects.event_key("neighbour")):
        client.put_object(Bucket=place.bucket, Key=key, Body=b"{}")
        client.delete_object(Bucket=place.bucket, Key=key)

    (row,) = shown(system, "--older-than", "0", "--remove", "--yes")

    assert (row["kind"], row["name"], row["number"], row["removed"]) == ("objects", "lost", 2, 2)
    answer = client.list_object_versions(Bucket=place.bucket, Prefix="evolution-api/messages/")
    assert {each["Key"] for each in answer["Versions"]} == {objects.event_key("neighbour")}


def take_name(system: System, instance_id: str, name: str) -> None:
    """A row that has the name."""
    with system.deployment.connect() as connection:
        connection.execute(
            'INSERT INTO "Instance" (id, name, "connectionStatus", "updatedAt") VALUES (%s, %s, \'close\', now())',
            (instance_id, name),
        )


def living_ids(system: System) -> list[str]:
    """Of all instances."""
    with system.deployment.connect() as connection:
        return list(living(connection))
