"""Readiness names each dependency with its state; a dead one makes a quick and right answer."""

from collections.abc import Callable
from pathlib import Path

from demo.evolution.seed import seed_instance
from demo.parts import Redis
from demo.ports import server_port
from tests.system import Answer, System


def unwell(ready: Answer) -> set[str]:
    """The dependencies that do not answer."""
    return {name for name, state in ready.body["checks"].items() if state != "ok"}


def test_all_is_well(shared_system: System) -> None:
    """Live and ready, without a key."""
    live, ready = (shared_system.send("GET", f"/health/{kind}", key=None) for kind in ("live", "ready"))

    assert live.status == 200
    assert ready.status == 200
    assert ready.body == {
        "status": "ok",
        "checks": {"own_database": "ok", "tenant_database": "ok", "redis": "ok", "broker": "ok"},
    }


def test_dead_databases_are_named(make_system: Callable[..., System]) -> None:
    """Neither database answers: live, not ready, and a deletion is a 500 without a detail."""
    nowhere = f"postgresql://postgres@127.0.0.1:{server_port()}/nothing"
    system = make_system(database_url=nowhere, tenant_database_url=nowhere)
    system.start("web")

    ready, answer = system.send("GET", "/health/ready", key=None), system.delete("anybody")

    assert system.send("GET", "/health/live", key=None).status == 200
    assert ready.status == 503
    assert {name for name, state in ready.body["checks"].items() if state != "ok"} == {
        "own_database",
        "tenant_database",
    }
    assert (answer.status, answer.text) == (500, '{"error":true,"message":"Internal server error"}')
    system.close()


def test_without_redis_nothing_is_accepted(make_system: Callable[..., System], tmp_path: Path) -> None:
    """The lock cannot be taken, so the call is refused and nothing was promised."""
    redis = Redis.start(tmp_path)
    system = make_system(redis_url=redis.url)
    system.start("web")
    seed_instance(system.deployment, "unlocked")
    redis.stop()

    answer, ready = system.delete("unlocked"), system.send("GET", "/health/ready", key=None)

    assert (answer.status, answer.text) == (500, '{"error":true,"message":"Internal server error"}')
    assert unwell(ready) == {"redis", "broker"}
    redis.restart()
    system.start("worker")
    assert system.delete("unlocked").status == 200
    system.stop()
    redis.stop()
