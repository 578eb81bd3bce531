"""A recheck after a success erases and reports what a server wrote again, and touches nothing else."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from demo.evolution import cache as evolution_cache
from demo.evolution.census import fingerprint
from demo.evolution.seed import seed_global, seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from shared.errors import TransientError
from shared.receipts import receipt
from shared.services import Services
from tasks.leftovers.rechecks import run_due
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, run_all
from tests.integration.shell import lethe
from tests.system import System

NOTES = (
    'CREATE TABLE "Note" (id text PRIMARY KEY, "instanceId" text, "createdAt" timestamp);'
    'CREATE TABLE "NoteLine" (id text PRIMARY KEY, "noteId" text NOT NULL REFERENCES "Note"(id))'
)
FOUND = {"files": 1, "keys": 2, "objects": 1, "rows": 1}
A_SERVER = "a server that is not listed in LETHE_GATEWAYS still holds the instance"
A_BACKUP = "a backup was restored"


@pytest.fixture
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A deployment with a neighbour, whose notes no foreign key watches, and with what is nobody's."""
    made = make_system()
    seed_global(made.deployment)
    with made.deployment.connect() as connection:
        connection.execute(NOTES)
    neighbour = seed_instance(made.deployment, "neighbour")
    write_again(made, neighbour.id)
    yield made
    made.close()


@pytest.fixture
def services(fresh_services: Services) -> Services:
    """What a worker has."""
    return fresh_services


def erase(services: Services, system: System, name: str = "erased") -> tuple[UUID, str]:
    """Erase an instance in the test's own process; the deletion's id and the instance's."""
    instance = seed_instance(system.deployment, name)
    deletion_id = accept(services, instance.id, name)
    run_all(services, deletion_id)
    return deletion_id, instance.id


def write_again(system: System, instance_id: str) -> None:
    """What a server writes that still holds the instance: a file, two keys, an object, and an unwatched row."""
    deployment = system.deployment
    folder = deployment.files_root / "instances" / instance_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "creds.json").write_text("{}")
    with deployment.cache() as cache:
        cache.hset(evolution_cache.key_by_id(deployment, instance_id), "creds", "{}")
        cache.set(next(iter(evolution_cache.message_keys(deployment, instance_id))), "1")
    assert deployment.s3
    deployment.s3.connect().put_object(
        Bucket=deployment.s3.bucket, Key=f"evolution-api/{instance_id}/late.jpg", Body=b"picture"
    )
    with deployment.connect() as connection:
        connection.execute('INSERT INTO "Note" VALUES (%s, %s, now())', (f"note {instance_id}", instance_id))
        connection.execute('INSERT INTO "NoteLine" VALUES (%s, %s)', (f"line {instance_id}", f"note {instance_id}"))


def turn_clock(services: Services, seconds: float) -> None:
    """Let all deletions have succeeded that much earlier."""
    with services.own.begin() as connection:
        connection.execute(
            text(
                "UPDATE deletions SET finished_at = finished_at - :by * interval '1 second',"
                " next_look_at = next_look_at - :by * interval '1 second'"
            ),
            {"by": seconds},
        )


def without_cache(system: System, **changes: Any) -> Services:
    """What a worker has that cannot reach the cache."""
    return system.make_services(cache_url=SecretStr(f"redis://127.0.0.1:{server_port()}/0"), **changes)


def noted(services: Services, deletion_id: UUID) -> dict[str, int] | None:
    """What the deletion says came back."""
    with services.own.connect() as connection:
        query = text("SELECT came_back FROM deletions WHERE id = :id")
        found: dict[str, int] | None = connection.execute(query, {"id": deletion_id}).scalar_one()
    return found


def next_look(services: Services) -> float | None:
    """How many seconds after the success the next look is due."""
    with services.own.connect() as connection:
        query = text("SELECT extract(epoch FROM next_look_at - finished_at) FROM deletions")
        found = connection.execute(query).scalar_one()
    return None if found is None else float(found)


def audited(services: Services) -> list[tuple[Any, ...]]:
    """What the audit has of looks."""
    with services.own.connect() as connection:
        query = text("SELECT decision, role, deletion_id, reason FROM audit WHERE action = 'look_again' ORDER BY seq")
        return [tuple(row) for row in connection.execute(query)]


def test_what_was_written_again_is_erased_and_shown(system: System, services: Services) -> None:
    """Key for key, file for file, object for object, row for row, at the first look; the receipt stays as it was."""
    deletion_id, instance_id = erase(services, system)
    before, signed = fingerprint(system.deployment), receipt.load(services.own, deletion_id)
    write_again(system, instance_id)
    turn_clock(services, 61)

    looked = run_due(services)

    assert looked == 1
    assert fingerprint(system.deployment) == before
    assert noted(services, deletion_id) == FOUND
    assert receipt.load(services.own, deletion_id) == signed
    erased = "erased again: files 1, keys 2, objects 1, rows 2"  # with the line that hung on the note
    assert audited(services) == [
        ("accepted", "worker", deletion_id, "came back: files 1, keys 2, objects 1, rows 1"),
        ("succeeded", "worker", deletion_id, erased),
    ]
    assert run_due(services) == 0


def test_a_folder_without_a_file_came_back_as_well(system: System, services: Services) -> None:
    """A server makes it first."""
    deletion_id, instance_id = erase(services, system)
    folder = system.deployment.files_root / "instances" / instance_id
    folder.mkdir()
    turn_clock(services, 61)

    run_due(services)

    assert not folder.exists()
    assert noted(services, deletion_id) == {"files": 1}


def test_what_came_back_is_shown_everywhere(system: System, services: Services) -> None:
    """The API, the command, the console and Prometheus, with the likely cause."""
    deletion_id, instance_id = erase(services, system)
    system.start("web")
    clean, quiet = system.show(str(deletion_id)), system.send("GET", "/metrics").text
    write_again(system, instance_id)
    turn_clock(services, 61)
    run_due(services)

    shown = system.show(str(deletion_id))
    said = " ".join(lethe(system, "show", str(deletion_id)).stdout.split())
    html = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", signed_in(system).get(f"/deletions/{deletion_id}").text))
    metrics = system.send("GET", "/metrics").text

    assert (clean["status"], clean["cameBack"]) == ("succeeded", None)
    assert clean["nextLookAt"]
    assert (shown["status"], shown["cameBack"]["found"]) == ("succeeded", FOUND)
    assert A_SERVER in shown["cameBack"]["why"]
    assert A_BACKUP not in shown["cameBack"]["why"]
    assert "came back keys 2, files 1, objects 1, rows 1, 20" in said
    assert A_SERVER in said
    assert "Came back: 2 keys, 1 row, 1 file, 1 object, 20" in html
    assert A_SERVER in html
    assert 'lethe_came_back_total{kind="files"} 0.0' in quiet
    assert 'lethe_came_back_total{kind="files"} 1.0' in metrics
    assert 'lethe_came_back_total{kind="keys"} 2.0' in metrics


def test_a_row_that_is_there_again_is_reported_once_and_left_alone(system: System, services: Services) -> None:
    """With everything that it has: a backup was restored, and an operator has to decide."""
    deletion_id, instance_id = erase(services, system)
    seed_instance(system.deployment, "as in the backup", instance_id=instance_id)
    write_again(system, instance_id)
    before = fingerprint(system.deployment)
    looked = []
    for seconds in (61, 301 - 61):
        turn_clock(services, seconds)
        looked.append(run_due(services))

    assert looked == [1, 0]
    assert fingerprint(system.deployment) == before
    assert noted(services, deletion_id) == {"instances": 1}
    assert audited(services) == [("refused", "worker", deletion_id, "came back: instances 1")]
    assert next_look(services) == 900
    system.start("web")
    why = system.show(str(deletion_id))["cameBack"]["why"]
    assert A_BACKUP in why
    assert "lethe tombstones replay" in why
    assert A_SERVER not in why


def test_a_row_that_comes_back_during_the_look_is_left_alone(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is looked for once more before anything is removed; the next recheck reports it."""
    deletion_id, instance_id = erase(services, system)
    write_again(system, instance_id)
    turn_clock(services, 61)
    find = services.tenant.had_by_others
    restored = iter([lambda: None, lambda: seed_instance(system.deployment, "restored", instance_id=instance_id)])

    def living(column: str, values: Any, *, besides: str) -> set[str]:
        next(restored, lambda: None)()
        return find(column, values, besides=besides)

    monkeypatch.setattr(services.tenant, "had_by_others", living)
    run_due(services)
    after, told = fingerprint(system.deployment), noted(services, deletion_id)
    turn_clock(services, 1000)

    assert told is None
    assert f"file:instances/{instance_id}/creds.json" in after
    assert run_due(services) == 1
    assert noted(services, deletion_id) == {"instances": 1}


def test_two_workers_at_once_erase_and_report_once(system: System, services: Services) -> None:
    """Each look is taken by one of them."""
    ended = [erase(services, system, name) for name in ("one", "two", "three")]
    for _, instance_id in ended:
        write_again(system, instance_id)
    turn_clock(services, 61)
    other = system.make_services()

    with ThreadPoolExecutor(2) as pool:
        looked = list(pool.map(run_due, (services, other)))
    other.close()

    assert sum(looked) == 3
    assert [noted(services, deletion_id) for deletion_id, _ in ended] == [FOUND] * 3
    assert [line[0] for line in audited(services)].count("accepted") == 3


@pytest.mark.parametrize(
    ("age_seconds", "following"), [(61, 300), (301, 900), (901, 3600), (3601, None), (500, 900), (9000, None)]
)
def test_there_are_four_rechecks(
    system: System, services: Services, age_seconds: float, following: float | None
) -> None:
    """After 1, 5, 15 and 60 minutes; one that comes late stands for those that it missed."""
    deletion_id, _ = erase(services, system)
    first = next_look(services)
    turn_clock(services, age_seconds)

    run_due(services)

    assert first == 60
    assert next_look(services) == following
    assert noted(services, deletion_id) is None
    assert audited(services) == []


def test_what_is_not_due_is_not_looked_for(system: System, services: Services) -> None:
    """Nor what succeeded before there were looks."""
    _, instance_id = erase(services, system)
    write_again(system, instance_id)
    written = fingerprint(system.deployment)

    early = run_due(services)
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET next_look_at = NULL"))
    turn_clock(services, 100)

    assert early == run_due(services) == 0
    assert fingerprint(system.deployment) == written


def test_without_anything_due_no_store_is_asked(system: System, services: Services) -> None:
    """A look costs one query."""
    erase(services, system)
    nowhere = f"127.0.0.1:{server_port()}"
    away = without_cache(
        system, tenant_database_url=SecretStr(f"postgresql://{nowhere}/none"), s3_endpoint=f"http://{nowhere}"
    )

    assert run_due(away) == 0
    away.close()


def test_all_that_are_due_share_one_pass_over_the_keys(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one look into the bucket and the folder."""
    for name in ("one", "two", "three"):
        erase(services, system, name)
    turn_clock(services, 61)
    assert services.cache
    passes, propose = list[list[str]](), services.cache.find_candidates

    def count(ids: Any) -> Any:
        passes.append(list(ids))
        return propose(ids)

    monkeypatch.setattr(services.cache, "find_candidates", count)
    run_due(services)

    assert [len(ids) for ids in passes] == [3]


def test_a_store_that_is_away_is_looked_into_later(system: System, services: Services) -> None:
    """What is elsewhere goes meanwhile; the look is due again, a little later each time."""
    deletion_id, instance_id = erase(services, system)
    write_again(system, instance_id)
    turn_clock(services, 61)
    away = without_cache(system)
    assert services.cache

    assert run_due(away) == 1
    away.close()
    but_keys, due_in = noted(services, deletion_id), next_look(services)
    assert run_due(services) == 0
    turn_clock(services, 200)
    assert run_due(services) == 1

    assert but_keys == {kind: FOUND[kind] for kind in ("files", "objects", "rows")}
    assert due_in is not None
    assert 61 + 2 * services.settings.hard_limit_seconds <= due_in < 300
    assert noted(services, deletion_id) == FOUND
    assert not services.cache.redis.exists(evolution_cache.key_by_id(system.deployment, instance_id))
    assert next_look(services) == 300


def test_a_store_that_stays_away_is_given_up(system: System, services: Services) -> None:
    """After a day."""
    erase(services, system)
    turn_clock(services, 90_000)
    away = without_cache(system)

    run_due(away)
    away.close()

    assert next_look(services) is None


def test_what_cannot_be_erased_is_reported_and_tried_again(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is not over with it."""
    deletion_id, instance_id = erase(services, system)
    write_again(system, instance_id)
    turn_clock(services, 61)
    monkeypatch.setattr(services.storages[0], "erase", refuse)

    assert run_due(services) == 1

    assert noted(services, deletion_id) == FOUND
    assert [line[0] for line in audited(services)] == ["accepted"]
    assert next_look(services) not in (None, 300)


def refuse(*_: object) -> Iterator[int]:
    """What stands in the way is met while it is erased."""
    raise TransientError("the files root: Permission denied")


def test_an_id_that_was_erased_twice_is_reported_once(system: System, services: Services) -> None:
    """By the newest deletion."""
    first, instance_id = erase(services, system)
    seed_instance(system.deployment, "erased", instance_id=instance_id)
    second = accept(services, instance_id, "erased")
    run_all(services, second)
    write_again(system, instance_id)
    turn_clock(services, 61)

    assert run_due(services) == 1

    assert (noted(services, first), noted(services, second)) == (None, FOUND)


def test_a_worker_looks_by_itself(system: System) -> None:
    """By beat, as a task of its own."""
    services = system.make_services()
    system.start("web", "worker", "beat")
    instance = seed_instance(system.deployment, "looked for")
    deletion_id = system.delete("looked for", Prefer="respond-async").body["response"]["deletionId"]
    system.wait_for(deletion_id)
    write_again(system, instance.id)
    turn_clock(services, 61)

    wait_until(lambda: noted(services, UUID(deletion_id)) == FOUND, 30, "the look")
    services.close()
