"""Archives of an instance on real stores: written, restored, continued, verified."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyrage
import pytest
from psycopg import sql

from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from shared.archives import destination, manifest, tables
from shared.archives.archive import Archive, ArchiveLost, Source
from shared.archives.journal import Facts, Journal, State, WrittenElsewhere
from shared.archives.parts import Part
from shared.audit.entries import Actor
from shared.database.encryption import cipher
from shared.errors import Refused, TookTooLong, TransientError
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks.orders import export
from tests.system import System

ACTOR = Actor("server", "os:test")
# A value of each type that JSON has no type for, a table without a key, and one in partitions.
ODD_TABLES = """
CREATE TYPE odd AS ENUM ('one', 'a "quoted" \\ value');
CREATE DOMAIN short AS varchar(20);
CREATE TABLE "Odd" (
    id bigint PRIMARY KEY, "instanceId" text REFERENCES "Instance" ON DELETE CASCADE,
    b bytea, n numeric, d double precision, f real, tz timestamptz, ts timestamp, dt date, iv interval, e odd,
    es odd[], texts text[], numbers numeric[][], j json, jb jsonb, u uuid, bits varbit, r tstzrange, a inet, s short,
    t text, js json[]);
CREATE TABLE "NoKey" ("instanceId" text REFERENCES "Instance" ON DELETE CASCADE, what text);
CREATE TABLE "Parted" (id int, "instanceId" text REFERENCES "Instance" ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE "Parted_1" PARTITION OF "Parted" FOR VALUES FROM (0) TO (10);
CREATE TABLE "Parted_2" PARTITION OF "Parted" FOR VALUES FROM (10) TO (20);
"""
ODD_ROWS = """
INSERT INTO "Odd" VALUES
    (%(at)s, %(id)s, '\\x00ff0a5c22', 12345678901234567890.123456789012345678901, 0.1::float8 + 0.2, 1.1,
     '2024-02-29 23:59:59.123456-03', '2024-02-29 23:59:59.123456', '0044-03-15 BC', '1 year 2 mons 3 days 04:05:06.7',
     'a "quoted" \\ value', ARRAY['one', NULL]::odd[], ARRAY['a,b', 'c"d', E'new\\nline', NULL, '', '\\x'],
     ARRAY[[1.50, 2], [3, 'NaN'::numeric]], E'{"a" :\\n\\t[1, 1.0]}', '{"k": "\\u00e9\\\\ \\" \\n tab\\t", "n": 1.10}',
     gen_random_uuid(), B'1011', '[2024-01-01,infinity)', '10.0.0.1/8', 'é', E'\\\\ \\tx \\r\\n "x" \\u0007 🦊'),
    (%(at)s + 1, %(id)s, NULL, 'NaN', 'Infinity', '-Infinity', 'infinity', '-infinity', 'infinity', NULL, 'one',
     '{}', '{}', '{}', 'null', 'null', NULL, '', 'empty', '::1', '', '');
UPDATE "Odd" SET js = ARRAY[CAST(E'{"a" :\\n\\t[1]}' AS json)] WHERE id = %(at)s;
INSERT INTO "NoKey" SELECT %(id)s, 'row ' || n FROM generate_series(1, 50) n;
INSERT INTO "Parted" SELECT n, %(id)s FROM generate_series(1, 19) n;
"""


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> System:
    """A deployment without processes, with tables that Evolution does not have."""
    made = make_system()
    with made.deployment.connect() as connection:
        connection.execute(ODD_TABLES)
    seed_instance(made.deployment, "beside")
    return made


@pytest.fixture
def services(system: System) -> Iterator[Services]:
    """On that deployment."""
    made = system.make_services()
    yield made
    made.close()


def write(services: Services, instance: SeededInstance, place: Path, **how: Any) -> tuple[str, dict[str, Any]]:
    """An archive, as `lethe export` writes it."""
    place.mkdir(exist_ok=True)
    wanted = export.Wanted(Instance(instance.id, instance.name, None), str(place), **how)
    return export.run(services, ACTOR, wanted, lambda stream, items: None)


def restored(connection: psycopg.Connection, folder: Path, content: dict[str, Any], schema: str) -> dict[str, set[str]]:
    """The rows of each table, as text, after a restore into an empty schema; a later line replaces an earlier one."""
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    for table in (each["table"] for each in content["tables"]):
        names = {"there": sql.Identifier("public", table), "here": sql.Identifier(schema, table)}
        connection.execute(sql.SQL("CREATE TABLE {here} (LIKE {there} INCLUDING DEFAULTS)").format(**names))
        for part in content["parts"]:
            if part["table"] == table:
                lines = (folder / part["path"]).read_text(encoding="utf-8").splitlines()
                values = [(line,) for line in lines]
                insert = sql.SQL("INSERT INTO {here} SELECT * FROM json_populate_record(NULL::{here}, %s::json)")
                connection.cursor().executemany(insert.format(**names), values)
    return {each["table"]: rows_of(connection, schema, each["table"]) for each in content["tables"]}


def new_archive(services: Services, instance: SeededInstance, place: Path, stop: Callable[[], bool]) -> Archive:
    """As another process opens it: of a deletion that has the instance's id."""
    target = destination.of(str(place), services.settings)
    facts = Facts(UUID(instance.id), instance.id, instance.name, target.place, True, None, of_deletion=True)
    source = Source(services.tenant, services.storages, lambda: services.tenant.other_names(besides=instance.id))
    journal = Journal(services.own, cipher(services.settings), facts)
    return Archive(source, target, journal, stop=stop, window_pages=2)


def rows_of(connection: psycopg.Connection, schema: str, table: str, where: str = "") -> set[str]:
    """Its rows, as text."""
    query = sql.SQL("SELECT CAST(t AS text) FROM {} AS t").format(sql.Identifier(schema, table))
    return {str(row) for (row,) in connection.execute(query + sql.SQL(where))}  # type: ignore[arg-type]


def test_a_restore_has_every_row_as_it_was(system: System, services: Services, tmp_path: Path) -> None:
    """Of each table, secrets included, whatever the types of its columns; and the files and objects."""
    instance = seed_instance(system.deployment, "restored", messages=60)
    with system.deployment.connect() as connection:
        psycopg.ClientCursor(connection).execute(ODD_ROWS, {"id": instance.id, "at": 1})

    digest, content = write(services, instance, tmp_path, with_secrets=True)

    folder = tmp_path / instance.id
    plan = services.tenant.plan()
    with system.deployment.connect() as connection:
        found = restored(connection, folder, content, "restored")
        for owned in plan.tables:
            where = " WHERE " + owned.predicate.replace(":id", f"'{instance.id}'")
            assert found.get(owned.table, set()) == rows_of(connection, "public", owned.table, where), owned.table
        connection.rollback()
    assert {"Odd", "NoKey", "Parted", "Session", "Message"} <= set(found)
    assert manifest.verify(folder) == (digest, content)
    members = {}
    for part in content["parts"]:
        if part["stream"] != "rows":
            with tarfile.open(fileobj=io.BytesIO((folder / part["path"]).read_bytes())) as tar:
                members |= {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    root = system.deployment.files_root
    own = [path for path in root.rglob("*") if path.is_file() and path.read_text().endswith(f" of {instance.id}\n")]
    assert {name: data for name, data in members.items() if (root / name).exists()} == {
        path.relative_to(root).as_posix(): path.read_bytes() for path in own
    }
    assert manifest.totals(content)["files"] == len(own)
    assert manifest.totals(content)["objects"] == len(members) - len(own)
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")] if path.is_dir()} == {0o700}


def test_credentials_are_left_out(system: System, services: Services, tmp_path: Path) -> None:
    """Unless they are asked for; the manifest names what was left out."""
    instance = seed_instance(system.deployment, "left out")

    _, content = write(services, instance, tmp_path)

    folder = tmp_path / instance.id
    text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.jsonl"))
    left = {each["table"]: each["leftOut"] for each in content["tables"] if each["leftOut"]}
    assert instance.token not in text
    assert all("creds" not in json.loads(line) for line in text.splitlines())
    assert left["Session"] == ["creds"]
    assert left["Instance"] == ["token"]
    assert left["Webhook"] == ["headers"]
    assert next(each for each in content["media"] if each["store"] == "files")["leftOut"] == 3
    assert not any(b"creds.json" in path.read_bytes() for path in folder.rglob("*.tar"))


def test_a_changed_byte_or_file_is_noticed(system: System, services: Services, tmp_path: Path) -> None:
    """In each part and in the manifest, and a file too much or too few."""
    instance = seed_instance(system.deployment, "changed")
    write(services, instance, tmp_path)
    folder = tmp_path / instance.id
    noticed = 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(manifest.NotWhole):
            manifest.verify(folder)
        noticed += 1
        path.write_bytes(before)
    manifest.verify(folder)
    (folder / "more").touch()
    with pytest.raises(manifest.NotWhole, match="does not list"):
        manifest.verify(folder)
    (folder / "more").unlink()
    files[0].unlink()
    with pytest.raises(manifest.NotWhole):
        manifest.verify(folder)

    assert noticed == len(files)


def test_a_closed_archive_is_not_written_again(system: System, services: Services, tmp_path: Path) -> None:
    """A second export to the same place is refused, and leaves it as it is."""
    instance = seed_instance(system.deployment, "twice")
    digest, _ = write(services, instance, tmp_path)

    with pytest.raises(Refused, match="is there already"):
        write(services, instance, tmp_path)

    assert manifest.verify(tmp_path / instance.id)[0] == digest


def test_no_archive_where_an_instance_is(system: System, services: Services) -> None:
    """Neither among the instances' folders, nor below their prefix of the bucket."""
    instance = seed_instance(system.deployment, "elsewhere")
    bucket = services.settings.s3_bucket
    for place in (system.deployment.files_root / "instances" / "x", f"s3://{bucket}/evolution-api/x"):
        with pytest.raises(Refused, match="a deletion erases there"):
            export.run(
                services,
                ACTOR,
                export.Wanted(Instance(instance.id, instance.name, None), str(place)),
                lambda stream, items: None,
            )


@pytest.mark.slow
def test_an_interrupted_archive_goes_on(
    system: System, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each page by another process, with half a part of the one that died: each row is written once."""
    monkeypatch.setattr(tables, "_FEW", 10)
    instance = seed_instance(system.deployment, "interrupted", messages=100)
    place = tmp_path / "exports"
    place.mkdir()

    def write_once(stage: str) -> bool:
        answers = chain([False], repeat(True))
        archive = new_archive(services, instance, place, lambda: next(answers))
        done = archive.write_first() if stage == "first" else archive.write_later()
        (place / archive.folder / "rows" / "half.jsonl.0123.partial").write_text("{")
        return done

    times = sum(1 for _ in iter(lambda: write_once("first"), True))
    while not write_once("later"):
        pass
    archive = new_archive(services, instance, place, lambda: False)
    archive.write_later()
    digest, content = archive.close()

    folder = place / archive.folder
    messages = [part for part in content["parts"] if part["table"] == "Message"]
    ids = [json.loads(line)["id"] for part in messages for line in (folder / part["path"]).read_text().splitlines()]
    assert times > 10
    assert len(messages) > 1
    assert (len(ids), len(set(ids))) == (100, 100)
    assert manifest.verify(folder) == (digest, content)
    assert archive.close()[0] == digest


def test_what_is_written_meanwhile_is_added(
    system: System, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New and changed rows come as later ones; what was removed meanwhile stays, and counts as listed no more."""
    monkeypatch.setattr(tables, "_FEW", 10)
    instance = seed_instance(system.deployment, "meanwhile", messages=100)
    archive = new_archive(services, instance, tmp_path, lambda: False)
    archive.write_first()
    with system.deployment.connect() as connection:
        mine = f"\"instanceId\" = '{instance.id}'"
        ids = [each for (each,) in connection.execute(f'SELECT id FROM "Message" WHERE {mine} ORDER BY id')]  # type: ignore[arg-type]
        connection.execute('DELETE FROM "Message" WHERE id = %s', (ids[0],))
        connection.execute('UPDATE "Message" SET "pushName" = \'changed\' WHERE id = %s', (ids[1],))
        connection.execute(
            'INSERT INTO "Message" SELECT (json_populate_record(m, %s)).* FROM "Message" m WHERE id = %s',
            ('{"id": "new"}', ids[2]),
        )

    archive.write_later()
    _, content = archive.close()

    folder = tmp_path / archive.folder
    facts = next(each for each in content["tables"] if each["table"] == "Message")
    assert (facts["first"], facts["later"], facts["listed"]) == (100, 2, 100)
    rows = {}
    for part in content["parts"]:  # in their order, as a restore takes them
        if part["table"] == "Message":
            rows |= {json.loads(line)["id"]: line for line in (folder / part["path"]).read_text().splitlines()}
    with system.deployment.connect() as connection:
        found = connection.execute(f'SELECT id, CAST(row_to_json(m) AS text) FROM "Message" m WHERE {mine}')  # type: ignore[arg-type]
        assert rows.pop(ids[0])
        assert rows == dict(found.fetchall())
        connection.execute("DELETE FROM \"Message\" WHERE id = 'new'")
    assert manifest.totals(content)["Message"] == 100


def test_an_encrypted_archive_in_a_bucket(system: System, services: Services, tmp_path: Path) -> None:
    """Only the recipient can read its parts; without the key it can be verified all the same."""
    instance = seed_instance(system.deployment, "encrypted")
    plain, _ = tmp_path / "plain", write(services, instance, tmp_path / "plain")
    identity, bucket = pyrage.x25519.Identity.generate(), services.settings.s3_bucket
    wanted = export.Wanted(
        Instance(instance.id, instance.name, None), f"s3://{bucket}/kept/exports", recipient=str(identity.to_public())
    )

    digest, content = export.run(services, ACTOR, wanted, lambda stream, items: None)

    assert system.deployment.s3
    client, folder = system.deployment.s3.connect(), tmp_path / "downloaded"
    for found in client.list_objects_v2(Bucket=str(bucket), Prefix="kept/exports/")["Contents"]:
        path = folder / found["Key"].removeprefix(f"kept/exports/{instance.id}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.get_object(Bucket=str(bucket), Key=found["Key"])["Body"].read())
    assert manifest.verify(folder) == (digest, content)
    assert not any(instance.id.encode() in path.read_bytes() for path in folder.rglob("*.age"))
    decrypted = [pyrage.decrypt(path.read_bytes(), [identity]) for path in sorted(folder.rglob("*.jsonl.age"))]
    lines = sorted(line for data in decrypted for line in data.splitlines())
    assert lines == sorted(line for path in plain.rglob("*.jsonl") for line in path.read_bytes().splitlines())


def test_an_interrupted_archive_that_was_removed_is_begun_anew(
    system: System, services: Services, tmp_path: Path
) -> None:
    """After one refusal that says so."""
    instance = seed_instance(system.deployment, "removed")

    def interrupt(stream: str, items: int) -> None:
        raise KeyboardInterrupt

    wanted = export.Wanted(Instance(instance.id, instance.name, None), str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        export.run(services, ACTOR, wanted, interrupt)
    shutil.rmtree(tmp_path / instance.id)
    with pytest.raises(ArchiveLost):
        write(services, instance, tmp_path)

    digest, content = write(services, instance, tmp_path)

    assert manifest.verify(tmp_path / instance.id) == (digest, content)


def test_a_statement_that_takes_too_long_is_asked_for_less(
    system: System, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to one page; then the error is the server's, and the connection is good for the next one."""
    instance = seed_instance(system.deployment, "too long")
    archive = new_archive(services, instance, tmp_path, lambda: False)
    plan = services.tenant.plan()
    source = tables.read(services.tenant, [each for each in plan.tables if each.table == "Message"], with_secrets=True)[
        0
    ]
    with system.deployment.connect() as connection:
        connection.execute('LOCK TABLE "Message" IN ACCESS EXCLUSIVE MODE')
        monkeypatch.setattr(tables, "STATEMENT_SECONDS", 0.05)
        with pytest.raises(TransientError):
            list(tables.lines(services.tenant, source, source.heaps[0], instance.id, ("true", {}), None))
    monkeypatch.undo()

    archive.write_first()
    archive.write_later()

    assert archive.close()[1]["tables"]


def test_the_process_that_opened_it_last_writes_it(
    system: System, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is turned away, and one that was held up while it opened it removes nothing of the other's."""
    instance = seed_instance(system.deployment, "two processes")
    new_archive(services, instance, tmp_path, lambda: True).write_first()
    held_up, other = (new_archive(services, instance, tmp_path, lambda: False) for _ in range(2))
    list_files = held_up.destination.sizes

    def list_late(folder: str) -> dict[str, int]:
        monkeypatch.undo()
        other.write_first()
        return list_files(folder)

    monkeypatch.setattr(held_up.destination, "sizes", list_late)
    assert held_up.write_first()
    with pytest.raises(WrittenElsewhere):
        other.write_later()

    assert held_up.check()


def test_an_archive_goes_on_as_it_was_begun(system: System, services: Services, tmp_path: Path) -> None:
    """Other settings change none of it; without its journal no second stage is written, and no part is removed."""
    instance = seed_instance(system.deployment, "other settings")
    new_archive(services, instance, tmp_path, lambda: False).write_first()
    encrypting = new_archive(services, instance, tmp_path, lambda: False)
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    encrypting.journal.facts = replace(encrypting.journal.facts, recipient=recipient)
    encrypting.write_later()
    _, content = encrypting.close()
    with services.own.begin() as connection:
        encrypting.journal.forget(connection)
    folder = tmp_path / encrypting.folder
    (folder / "manifest.json").unlink()
    files = sorted(folder.rglob("*"))

    with pytest.raises(ArchiveLost):
        new_archive(services, instance, tmp_path, lambda: False).write_later()

    assert content["encryptedFor"] is None
    assert not list(folder.rglob("*.age"))
    assert sorted(folder.rglob("*")) == files


def test_a_part_that_the_journal_did_not_take_is_not_left(
    system: System, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lethe's own database took too long: another try writes it anew, and the archive has no file too much."""
    instance = seed_instance(system.deployment, "slow journal")
    archive = new_archive(services, instance, tmp_path, lambda: False)

    def save_late(state: State, part: Part | None = None) -> None:
        monkeypatch.undo()
        raise TookTooLong

    monkeypatch.setattr(archive.journal, "save", save_late)
    with pytest.raises(TookTooLong):
        archive.write_first()
    again = new_archive(services, instance, tmp_path, lambda: False)
    again.write_first()
    again.write_later()
    closed = again.close()

    assert manifest.verify(tmp_path / again.folder) == closed
