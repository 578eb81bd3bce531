"""A worker is killed while it writes an archive: another one goes on, and the deletion ends with a whole archive."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.archives import manifest
from tests.system import System

pytestmark = pytest.mark.slow
_MESSAGES = 3_000


def test_a_worker_killed_in_each_stage_of_an_archive(make_system: Callable[..., System], tmp_path: Path) -> None:
    """In the middle of the first stage, and between the point of no return and the closed manifest."""
    system = make_system(export_to=str(tmp_path))
    system.start("web", "worker", "beat")
    instance = seed_instance(system.deployment, "killed", messages=_MESSAGES)
    services = system.make_services()

    def number(query: str) -> int:
        with services.own.connect() as connection:
            return int(connection.execute(text(query), {"id": deletion_id}).scalar() or 0)

    def kill_when(query: str, what: str) -> None:
        wait_until(lambda: number(query) > 0, 60, what)
        system.processes.pop("worker").kill()
        system.start("worker")

    ordered = system.call("POST", "/deletions", json={"instanceId": instance.id, "export": True})
    deletion_id = UUID(ordered.json()["id"])
    kill_when("SELECT count(*) FROM archive_parts WHERE archive_id = :id", "the first part")
    first_killed_at = number("SELECT count(*) FROM archive_parts WHERE archive_id = :id")
    was_irrevocable = number("SELECT count(irrevocable_at) FROM deletions WHERE id = :id")
    kill_when("SELECT count(archive_written_at) FROM deletions WHERE id = :id", "the end of the first stage")
    was_closed = number("SELECT count(archive_sha256) FROM deletions WHERE id = :id")
    wait_until(lambda: system.show(str(deletion_id))["status"] in ("succeeded", "failed"), 90, "the deletion's end")

    folder = tmp_path / f"{instance.id}-{deletion_id}"
    digest, content = manifest.verify(folder)
    quoted = system.call("GET", f"/deletions/{deletion_id}/receipt").json()["receipt"]["archive"]
    services.close()
    assert first_killed_at > 0
    assert (was_irrevocable, was_closed) == (0, 0)
    assert quoted["manifest"] == digest
    assert manifest.totals(content)["Message"] == quoted["erased"]["Message"] == _MESSAGES
    assert quoted["erasedBeyond"] == {}
