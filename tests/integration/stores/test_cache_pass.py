"""The pass over Evolution's cache, on a real Redis: what it proposes, and that many deletions share one."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from redis import Redis

from demo.evolution.cache import MESSAGE_IDS, sync_hashes
from demo.evolution.census import fingerprint_of
from demo.evolution.seed import seed_global, seed_instance
from shared.evolution.cache.cache import Cache
from tasks import pipeline
from tests.integration.inline import accept, run_all, run_steps, run_to_end
from tests.system import System
from tests.unit.shared.evolution.names import NAMES, shown
from worker.runner import Outcome

P = "evolution-cache"


pytestmark = pytest.mark.system()


@pytest.mark.parametrize("name", [name for name in NAMES if "\x00" not in name], ids=shown)
def test_the_pass_proposes_every_key_of_a_name(system: System, name: str) -> None:
    """Whatever is in it, and nothing of a name that only begins alike."""
    redis = system.deployment.cache()
    keys = {f"{P}:{module}:{name}:{suffix}" for module in ("ChatwootService", "ut") for suffix in ("getInbox", "x:y")}
    mine = {f"{P}:{module}:{name}:getInbox" for module in ("ChatwootService", "ut")}
    for key in (*keys, f"{P}:ut:{name}_b:getInbox", f"other:ut:{name}:getInbox"):
        redis.set(key, 1)

    proposed = set(Cache(redis, P).find_candidates([], [name]).by_name[name])

    redis.flushdb()
    assert mine <= proposed
    assert f"{P}:ut:{name}_b:getInbox" not in proposed


@pytest.mark.parametrize("instance_id", ["0b1c", "[a]*", "a_b", "4be1a1b5-0f5c-4f5e-9a44-6f2f3c1d0a01"])
def test_the_pass_proposes_every_message_of_an_id(system: System, instance_id: str) -> None:
    """With and without a status, among many more keys than one page has."""
    redis = system.deployment.cache()
    forms = ("", "_READ", "_a_b")
    mine = {f"{P}:baileys:{instance_id}_3EB0{number}{form}" for number in range(300) for form in forms}
    others = {f"{P}:baileys:{number}_3EB0{form}": 1 for number in range(2_500) for form in forms}
    redis.mset({**others, **dict.fromkeys(mine, 1)})

    proposed = set(Cache(redis, P).find_candidates([instance_id]).by_id[instance_id])

    redis.flushdb()
    assert proposed == mine


def test_a_deletion_takes_all_messages_of_the_instance_and_no_others(system: System) -> None:
    """A neighbour's, whose id begins like ours or is a beginning of it, and what belongs to no instance, stay."""
    services, redis = system.make_services(), system.deployment.cache()
    ids = {"leaves": "left", "shorter": "lef", "longer": "left_b", "other": str(uuid4())}
    seeded = {name: seed_instance(system.deployment, name, instance_id=each) for name, each in ids.items()}
    seed_global(system.deployment)
    before = keys_of_messages(redis)

    run_all(services, accept(services, seeded["leaves"].id, "leaves"))

    head = f"{P}:baileys:left_"
    gone = {f"{head}{message}{form}" for message in MESSAGE_IDS for form in ("", "_READ")}
    assert gone <= before
    assert keys_of_messages(redis) == before - gone
    redis.flushdb()
    services.close()


def test_a_name_that_is_no_text_in_a_key_stops_nothing(system: System) -> None:
    """A key that is not UTF-8 can begin like ours: the database is not asked for what it cannot hold."""
    services, redis = system.make_services(), system.deployment.cache()
    instance = seed_instance(system.deployment, "broken")
    redis.set(f"{P}:baileys:{instance.id}_".encode() + b"\xff_READ", 1)
    redis.set(f"{P}:ut:broken:createConversation-".encode() + b"\xff:getInbox", 1)

    outcomes = run_steps(services, accept(services, instance.id, "broken"), *pipeline.NAMES)

    assert outcomes == [*[Outcome.CONTINUE] * 6, Outcome.STOP]
    assert not [key for key in redis.scan_iter() if b"\xff" in key]
    services.close()


def test_deletions_that_wait_at_the_same_step_share_one_pass(system: System) -> None:
    """The first one unlinks the keys of all, and writes down for each what went; a neighbour keeps its own."""
    services = system.make_services()
    names = [f"waits {number}" for number in range(5)]
    instances = {name: seed_instance(system.deployment, name) for name in names}
    neighbour = seed_instance(system.deployment, "waits")
    deletions = {name: accept(services, instances[name].id, name) for name in names}
    kept = fingerprint_of(system.deployment, neighbour.id, "waits")
    for deletion_id in deletions.values():
        run_steps(services, deletion_id, "logout")
    passes = _count_passes(system)

    run_steps(services, deletions[names[0]], "purge_cache")
    once = _count_passes(system) - passes
    for name in names[1:]:
        run_steps(services, deletions[name], "purge_cache")

    assert once > 0
    assert _count_passes(system) - passes == once
    for name in names:
        shown_step = services.own.connect().exec_driver_sql(
            "SELECT removed ->> 'keys', at_least FROM steps WHERE deletion_id = %s AND name = 'purge_cache'",
            (deletions[name],),
        )
        keys, at_least = shown_step.one()
        assert (int(keys) > 0, at_least) == (True, False)
        assert not [each for each in fingerprint_of(system.deployment, instances[name].id, name) if "key:" in each]
    assert kept == fingerprint_of(system.deployment, neighbour.id, "waits")
    services.close()


def test_deletions_share_a_pass_after_their_drops_too(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large cache the first ones wait for the others with their names reserved; one pass serves all."""
    monkeypatch.setattr("shared.evolution.cache.cache._LARGE", -1)  # also one that is empty by then
    services = system.make_services()
    names = [f"drops {number}" for number in range(3)]
    instances = {name: seed_instance(system.deployment, name) for name in names}
    deletions = {name: accept(services, instances[name].id, name) for name in names}
    for deletion_id in deletions.values():
        run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    first, second, third = deletions.values()
    late = f"{P}:ut:drops 1:getInbox"
    passes = _count_passes(system)

    waited = [run_steps(services, each, "deregister") for each in (first, second)]
    system.deployment.cache().set(late, 1)  # by a server that was still connected a moment ago
    reserved = _reserved(system)
    done = [run_steps(services, each, "deregister") for each in (third, first, second)]
    passed = _count_passes(system) - passes
    for each in deletions.values():
        run_to_end(services, each)  # confirm gives back what was reserved for a while

    assert waited == [[Outcome.REPUBLISH], [Outcome.REPUBLISH]]
    assert reserved == {"drops 0", "drops 1"}
    assert done == [[Outcome.CONTINUE]] * 3
    assert _reserved(system) == set()
    assert not system.deployment.cache().exists(late)
    assert passed == 1
    services.close()


@pytest.mark.parametrize(
    ("age_seconds", "late"),
    [(0, "instance:{}"), (3600, "instance:{}"), (3600, "baileys:{}_3EB0_READ"), (3600, "baileys:{}_3EB0")],
)
def test_another_ones_pass_proves_nothing_for_long(system: System, age_seconds: int, late: str) -> None:
    """What a server wrote after it is found before the deletion says that nothing is left."""
    services = system.make_services()
    name = f"served {age_seconds} {late}"
    instance = seed_instance(system.deployment, name)
    deletion_id = accept(services, instance.id, name)
    run_steps(services, deletion_id, *pipeline.NAMES[:-1])
    passed_at = (datetime.now(UTC) - timedelta(seconds=age_seconds)).isoformat()
    with services.own.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE steps SET notes = jsonb_build_object('passed_at', %s::text)"
            " WHERE deletion_id = %s AND name = 'confirm'",
            (passed_at, deletion_id),
        )
    key = f"{P}:{late.format(instance.id)}"
    system.deployment.cache().set(key, 1)

    outcomes = run_steps(services, deletion_id, "confirm")

    assert outcomes == [Outcome.STOP]
    assert not system.deployment.cache().exists(key)
    with services.own.connect() as connection:
        status = connection.exec_driver_sql("SELECT status FROM deletions WHERE id = %s", (deletion_id,)).scalar_one()
    assert status == "succeeded"
    services.close()


@pytest.mark.parametrize("name", ["fields", "chatwoot", "chatwoot:syncLostMessages"])
def test_a_deletion_leaves_no_field_of_the_lost_messages(system: System, name: str) -> None:
    """Neither where the module is in the hash's key nor where it is not; a neighbour keeps its own."""
    services, redis = system.make_services(), system.deployment.cache()
    instance, neighbour = (seed_instance(system.deployment, each) for each in (name, f"{name} b"))
    kept = fingerprint_of(system.deployment, neighbour.id, neighbour.name)

    run_all(services, accept(services, instance.id, name))

    assert [redis.hexists(each, name) for each in sync_hashes(system.deployment)] == [False] * 3
    assert fingerprint_of(system.deployment, neighbour.id, neighbour.name) == kept
    redis.flushdb()
    services.close()


def keys_of_messages(redis: Redis) -> set[str]:
    """All of them, of every instance."""
    return {key.decode() for key in redis.scan_iter(f"{P}:baileys:*")}


def _reserved(system: System) -> set[str]:
    with system.deployment.connect() as connection:
        return {row[0] for row in connection.execute("SELECT name FROM \"Instance\" WHERE id LIKE 'lethe:%'")}


def _count_passes(system: System) -> int:
    """How often Redis has looked at a page of its keys."""
    stats = system.deployment.cache().info("commandstats")
    return int(stats.get("cmdstat_scan", {"calls": 0})["calls"])
