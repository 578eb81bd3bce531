"""`lethe delete` of many: from a file or standard input, or of what has been disconnected for long."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from demo.evolution.seed import seed_instance
from shared.database.models import DeletionStatus
from shared.deletions import display
from shared.services import Services
from tests.integration.inline import run_steps
from tests.integration.shell import at_a_terminal, lethe
from tests.system import System

pytestmark = pytest.mark.system("worker")


def disconnect(system: System, name: str, days: float | None, *, status: str = "close") -> str:
    """An instance with this state, disconnected so long ago; its id."""
    instance = seed_instance(system.deployment, name, messages=1, status=status)
    at = None if days is None else datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
    with system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET "disconnectionAt" = %s WHERE id = %s', (at, instance.id))
    return instance.id


def names(system: System) -> set[str]:
    """The names of all instances."""
    with system.deployment.connect() as connection:
        return {name for (name,) in connection.execute('SELECT name FROM "Instance"')}


def test_a_second_call_with_the_same_file_does_no_harm(system: System, tmp_path: Path) -> None:
    """What was deleted is told as such; the list that is shown has the sums. Names come from standard input as well."""
    for name in ("twice 1", "twice 2"):
        seed_instance(system.deployment, name, messages=3)
    file = tmp_path / "names"
    file.write_text("\ufefftwice 1\r\ntwice 2\r\ntwice 1\r\n", encoding="utf-8")

    first = at_a_terminal(system, "delete", "--from-file", str(file), "--wait", typed="2\n")
    second = at_a_terminal(system, "delete", "--from-file", str(file), typed="")
    piped = lethe(system, "delete", "--from-file", "-", "--yes", "--json", typed="twice 1\ntwice nobody\n")
    refused = lethe(system, "delete", "--from-file", "-", typed="twice 1\n")
    late = ("--not-before", "2026-01-01T00:00-03:00")
    past = lethe(system, "delete", "--from-file", "-", "--yes", *late, typed="twice 1\n")

    assert first.returncode == 0, first.stderr
    assert "Message 6" in first.stderr
    assert "2 names; instances that exist now: 2." in first.stderr
    assert "2 names: succeeded 2" in first.stderr
    assert (second.returncode, second.stdout.count("already deleted")) == (0, 2)
    assert piped.returncode == 1
    assert [(each["called"], each["status"]) for each in json.loads(piped.stdout)] == [
        ("twice 1", "already deleted"), ("twice nobody", "refused"),
    ]  # fmt: skip
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    assert (past.returncode, past.stderr) == (1, "notBefore: this moment is past\n")


def test_an_export_without_a_place_is_refused_before_the_question(system: System) -> None:
    """As of a single one: not possible, and nothing about servers that cannot be reached."""
    seed_instance(system.deployment, "nowhere", messages=1)

    answer = lethe(system, "delete", "--from-file", "-", "--yes", "--export", typed="nowhere\n")

    assert (answer.returncode, "lethe doctor" in answer.stderr) == (1, False)
    assert answer.stderr.startswith("LETHE_EXPORT_TO is not set")


def test_what_has_been_disconnected_for_long_is_deleted(system: System, services: Services) -> None:
    """Not what is connected, disconnected later, or since nobody knows when; a gateway is asked before each."""
    gone = {disconnect(system, name, 91) for name in ("old 1", "")}
    kept = {"old open": (400, "open"), "old recent": (89, "close"), "old unknown": (None, "close")}
    for name, (days, status) in kept.items():
        disconnect(system, name, days, status=status)
    back = disconnect(system, "old back", 200)
    system.gateways[0].connect("old back", back, "open")

    script = lethe(system, "delete", "--older-than", "90d", "--yes")
    refused = at_a_terminal(system, "delete", "--older-than", "90d", "--state", "close", typed="2\n")
    answer = at_a_terminal(system, "delete", "--older-than", "90d", "--state", "close", "--wait", typed="3\n")
    nothing = lethe(system, "delete", "--older-than", "9000d", "--state", "close", "--yes", "--json")

    assert (script.returncode, refused.returncode) == (2, 1)
    assert (nothing.returncode, "No instance" in nothing.stderr, json.loads(nothing.stdout)) == (0, True, [])
    assert all(each in answer.stderr for each in gone | {back, "200 days ago", "'old back'"})
    assert "left out: its state is open now" in answer.stdout
    assert answer.returncode == 1
    assert {*kept, "old back"} <= names(system)
    assert not {"old 1"} & names(system)
    with system.deployment.connect() as connection:
        left = connection.execute('SELECT count(*) FROM "Instance" WHERE id = ANY(%s)', (list(gone),)).fetchone()
    assert left == (1,)  # the nameless one cannot be asked for


def test_an_instance_that_connects_before_its_turn_is_kept(
    make_system: object, services: Services, system: System
) -> None:
    """The first step asks the gateway once more, and cancels the deletion; also after a connection meanwhile."""
    instance_id, _ = disconnect(system, "early bird", 100), disconnect(system, "passing bird", 100)
    system.stop()  # no worker takes it meanwhile

    answer = lethe(system, "delete", "--older-than", "99d", "--state", "close", "--yes", "--json")
    ordered = {each["called"]: UUID(each["deletion_id"]) for each in json.loads(answer.stdout) if each["deletion_id"]}
    system.gateways[0].connect("early bird", instance_id, "open")
    with system.deployment.connect() as connection:
        connection.execute(
            "UPDATE \"Instance\" SET \"disconnectionAt\" = now() AT TIME ZONE 'UTC' WHERE name = 'passing bird'"
        )
    for name in ("early bird", "passing bird"):
        run_steps(services, ordered[name], "logout")

    early, passing = (display.load_status(services.own, ordered[name]) for name in ("early bird", "passing bird"))
    assert (early.status, "connected again" in str(early.reason)) == (DeletionStatus.CANCELLED, True)
    assert (passing.status, "connected since" in str(passing.reason)) == (DeletionStatus.CANCELLED, True)
    assert system.gateways[0].sessions["early bird"] == "open"
    assert {"early bird", "passing bird"} <= names(system)
