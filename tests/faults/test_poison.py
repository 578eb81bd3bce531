"""Deletions that fail by their own error each time: they delay nobody, stop, say why, and can be resumed."""

from collections.abc import Callable

import psycopg
from psycopg import sql

from demo.processes import wait_until
from tests.faults.scene import PLENTY_SECONDS, Scene

STATES = {"serialisation": "40001", "raised": "P0001"}
CONTACTS = 10
HEALTHY = ("healthy 1", "healthy 2", "healthy 3", "healthy 4", "healthy 5")


def test_poison_delays_nobody(make_scene: Callable[..., Scene]) -> None:
    """Deletions that are ordered after it end before it, while it is tried again and again."""
    scene = make_scene(max_failures=1_000, retry_seconds=0.3)
    scene.seed_neighbours()
    scene.seed(*STATES, *HEALTHY, contacts=CONTACTS)
    for name, state in STATES.items():
        poison(scene, name, state)
    scene.start("web", "beat", "worker")
    scene.order(*STATES)
    wait_until(lambda: all(scene.step(name, "delete_records")["error"] for name in STATES), PLENTY_SECONDS, "failures")
    before = tries(scene)

    scene.order(*HEALTHY)
    scene.wait_for_end(*HEALTHY)

    unfinished = {scene.show(name)["status"] for name in STATES}
    wait_until(lambda: all(tries(scene)[name] > before[name] for name in STATES), PLENTY_SECONDS, "another try")
    assert unfinished <= {"waiting", "running"}
    cure(scene)
    scene.wait_for_end(*STATES)
    scene.assert_all_gone()
    scene.assert_never_twice()


def test_poison_stops(make_scene: Callable[..., Scene]) -> None:
    """An error that looks transient, and one that does not: both end at the cap of failures, and can be resumed."""
    scene = make_scene(max_failures=3, retry_seconds=0.3)
    scene.seed_neighbours()
    scene.seed(*STATES, contacts=CONTACTS)
    for name, state in STATES.items():
        poison(scene, name, state)
    scene.start("web", "beat", "worker")

    scene.order(*STATES)
    for name in STATES:
        wait_until(lambda name=name: scene.show(name)["status"] == "failed", PLENTY_SECONDS, f"{name} to fail")
    at_the_end = tries(scene)
    rounds = scene.own("SELECT ticked_at FROM clocks WHERE name = 'reconciler'")
    for _ in range(3):
        wait_until(
            lambda seen=rounds: scene.own("SELECT ticked_at FROM clocks WHERE name = 'reconciler'") != seen,
            PLENTY_SECONDS,
            "a round of the reconciler",
        )
        rounds = scene.own("SELECT ticked_at FROM clocks WHERE name = 'reconciler'")

    assert tries(scene) == at_the_end
    for name in STATES:
        shown, step = scene.show(name), scene.step(name, "delete_records")
        assert shown["failedStep"] == "delete_records"
        assert step["failures"] == scene.system.settings.max_failures
        assert step["status"] == "failed"
        assert "the tenant database" in shown["reason"], shown["reason"]
    cure(scene)
    scene.order(*STATES)
    scene.wait_for_end(*STATES)
    scene.assert_all_gone()
    scene.assert_never_twice()


def tries(scene: Scene) -> dict[str, int]:
    """How often the step that fails was tried."""
    return {name: scene.step(name, "delete_records")["attempts"] for name in STATES}


def poison(scene: Scene, name: str, state: str) -> None:
    """From now on PostgreSQL refuses to delete the instance's contacts, but for the one that a rehearsal tries."""
    raising = f"raise_{state}"
    with psycopg.connect(scene.deployment.database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL(
                "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS"
                ' $$BEGIN IF (SELECT count(*) FROM "Contact" WHERE "instanceId" = OLD."instanceId") < {} THEN'
                " RAISE EXCEPTION 'no' USING ERRCODE = {}; END IF; RETURN OLD; END$$"
            ).format(sql.Identifier(raising), sql.Literal(CONTACTS), sql.Literal(state))
        )
        connection.execute(
            sql.SQL(
                'CREATE TRIGGER {} BEFORE DELETE ON "Contact" FOR EACH ROW WHEN (OLD."instanceId" = {})'
                " EXECUTE FUNCTION {}()"
            ).format(sql.Identifier(raising), sql.Literal(scene.instances[name].id), sql.Identifier(raising))
        )


def cure(scene: Scene) -> None:
    """Let it delete them again."""
    with psycopg.connect(scene.deployment.database_url, autocommit=True) as connection:
        for state in STATES.values():
            connection.execute(sql.SQL("DROP FUNCTION {}() CASCADE").format(sql.Identifier(f"raise_{state}")))
