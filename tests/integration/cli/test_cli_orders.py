"""`lethe delete`, `logout`, `preview` and `audit` on the server, without the API."""

import json
import os
import pwd
from pathlib import Path

import psycopg
import pytest

from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.seed import seed_instance
from shared.audit import search as audit_search
from shared.audit.search import Filters
from tests.integration.shell import at_a_terminal, lethe
from tests.system import System

pytestmark = pytest.mark.system("worker")


def exists(system: System, name: str) -> bool:
    """Whether an instance has this name."""
    with system.deployment.connect() as connection:
        return connection.execute('SELECT 1 FROM "Instance" WHERE name = %s', (name,)).fetchone() is not None


def newest(system: System, number: int) -> list[tuple[str, str, str, str | None]]:
    """The newest lines of the audit, oldest first."""
    services = system.make_services()
    found = audit_search.search(services.own, Filters(limit=number)).lines
    services.close()
    return [(line.action, line.decision, line.role, line.key_id) for line in reversed(found)]


def test_delete_erases_an_instance(system: System) -> None:
    """With --wait it says how it ended; the audit names the account, which no variable changes."""
    seed_instance(system.deployment, "cli gone")

    answer = lethe(system, "delete", "cli gone", "--wait", "--yes", LOGNAME="somebody-else")
    again = lethe(system, "delete", "cli gone", "--yes")

    assert answer.returncode == 0, answer.stderr
    assert "succeeded" in answer.stdout
    assert not exists(system, "cli gone")
    assert (again.returncode, "does not exist" in again.stdout) == (1, True)
    who = f"os:{pwd.getpwuid(os.getuid()).pw_name}"
    assert ("delete", "accepted", "server", who) in newest(system, 20)
    assert newest(system, 1) == [("delete", "refused", "server", who)]


def test_delete_by_id_needs_no_name(system: System) -> None:
    """For a script, as JSON."""
    nameless = seed_instance(system.deployment, "")

    answer = lethe(system, "delete", "--id", nameless.id, "--wait", "--yes", "--json")

    assert answer.returncode == 0, answer.stderr
    assert [result["status"] for result in json.loads(answer.stdout)] == ["succeeded"]
    assert not exists(system, "")


def test_a_file_of_names_is_erased_after_their_number_was_typed(system: System, tmp_path: Path) -> None:
    """Each once, exactly as written; unknown names are listed, and the others are deleted."""
    names = [f" cli {number} " for number in range(11)] + ["# cli"]  # more than the ten a minute that a key has
    for name in names:
        seed_instance(system.deployment, name)
    file = tmp_path / "names"
    file.write_text("".join(f"{name}\r\n" for name in names) + "\n cli 3 \ncli nobody\n")

    refused = at_a_terminal(system, "delete", "--from-file", str(file), typed="13\n")
    none = at_a_terminal(system, "delete", "--from-file", str(file), typed="")
    untouched = all(exists(system, name) for name in names)
    answer = at_a_terminal(system, "delete", "--from-file", str(file), "--wait", typed="12\n")

    assert (refused.returncode, none.returncode, untouched) == (1, 1, True)
    assert "13 names; instances that exist now: 12; unknown: 'cli nobody'" in refused.stderr
    assert answer.returncode == 1
    assert answer.stdout.count("succeeded") == 12
    assert answer.stderr.endswith("No instance has this name: 'cli nobody'\n1 of 13 deletions not done\n")
    assert not any(exists(system, name) for name in names)


def test_a_script_deletes_a_file_of_names_with_yes(system: System, tmp_path: Path) -> None:
    """JSON says which ones do not exist."""
    seed_instance(system.deployment, "cli listed")
    file = tmp_path / "names"
    file.write_text("cli nobody\ncli listed\n")

    answer = lethe(system, "delete", "--from-file", str(file), "--yes", "--json")

    results = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert [(each["called"], each["status"], each["exists"]) for each in results] == [
        ("cli nobody", "refused", False), ("cli listed", "queued", True),
    ]  # fmt: skip


def test_a_file_without_a_name_deletes_nothing(system: System, tmp_path: Path) -> None:
    """It is an error."""
    (tmp_path / "names").write_text("\n\n")

    answer = lethe(system, "delete", "--from-file", str(tmp_path / "names"), "--yes")

    assert (answer.returncode, "contains no name" in answer.stderr) == (1, True)


def test_a_script_without_yes_deletes_nothing(system: System, tmp_path: Path) -> None:
    """Wrong usage, though it writes into the pipe what a person would type."""
    instance = seed_instance(system.deployment, "cli kept")
    file = tmp_path / "names"
    file.write_text("cli kept\n")

    for words in (["cli kept"], ["--id", instance.id], ["--from-file", str(file)]):
        answer = lethe(system, "delete", *words, typed="cli kept\n1\n")
        assert (answer.returncode, "--yes" in answer.stderr) == (2, True)

    assert exists(system, "cli kept")


def test_a_person_types_the_name(system: System) -> None:
    """Also without LETHE_CONFIRMATION; for an unknown name there is no question."""
    instance = seed_instance(system.deployment, "cli typed")

    refused = at_a_terminal(system, "delete", "cli typed", typed="y\n")
    kept = exists(system, "cli typed")
    answer = at_a_terminal(system, "delete", "cli typed", "--wait", typed="cli typed\n")
    unknown = at_a_terminal(system, "delete", "cli typed", typed="")

    assert (refused.returncode, "Nothing was deleted" in refused.stderr, kept) == (1, True, True)
    assert instance.id in refused.stderr
    assert answer.returncode == 0, answer.stderr
    assert (unknown.returncode, "does not exist" in unknown.stdout) == (1, True)
    assert "Type" not in unknown.stderr


@pytest.mark.parametrize("words", [[], ["a", "--id", "b"], ["a", "--from-file", __file__]])
def test_delete_needs_exactly_one_of_name_id_and_file(system: System, words: list[str]) -> None:
    """Wrong usage has its own exit code."""
    assert lethe(system, "delete", *words).returncode == 2


def test_a_duplicate_is_not_done_twice(system: System) -> None:
    """It names the deletion that is under way."""
    seed_instance(system.deployment, "cli twice")
    system.gateways[0].delays["connectionState"] = 3

    first = json.loads(lethe(system, "delete", "cli twice", "--yes", "--json").stdout)[0]
    second = lethe(system, "delete", "cli twice", "--yes", "--json")
    system.gateways[0].delays.clear()

    assert second.returncode == 1
    assert json.loads(second.stdout)[0]["deletion_id"] == first["deletion_id"]
    lethe(system, "show", first["deletion_id"], "--watch")  # until it ends: the next test looks at all that there is


def test_logout_ends_the_session_and_nothing_else(system: System) -> None:
    """As the API's."""
    instance = seed_instance(system.deployment, "cli leaving", status="close")
    system.gateways[0].connect("cli leaving", instance.id, "open")
    before = fingerprint(system.deployment)
    mine = fingerprint_of(system.deployment, instance.id, "cli leaving")
    session = {entry for entry in mine if entry.startswith("row:Session:")}  # which the server itself removes

    answer = lethe(system, "logout", "cli leaving")
    unknown = lethe(system, "logout", "cli nobody")

    assert (answer.returncode, unknown.returncode) == (0, 1)
    assert system.gateways[0].sessions.get("cli leaving") != "open"
    system.gateways[0].settle()
    after = fingerprint(system.deployment)
    assert {entry for entry, value in before.items() if after.get(entry) != value} == session


def test_preview_counts_and_changes_nothing(system: System) -> None:
    """And says that nothing can be recovered."""
    seed_instance(system.deployment, "cli counted", messages=30)
    before = fingerprint(system.deployment)

    told = lethe(system, "preview", "cli counted")
    counted = json.loads(lethe(system, "preview", "cli counted", "--json").stdout)

    assert counted["planned"]["delete_records"]["Message"] == 30
    assert "30  Message" in told.stdout
    assert "recovered" in told.stdout
    assert fingerprint(system.deployment) == before


def test_audit_verify_says_where_the_chain_is_broken(system: System) -> None:
    """With exit code 1; whole, it prints a place to keep."""
    lethe(system, "logout", "cli nobody")
    whole = lethe(system, "audit", "verify", "--json")
    head = json.loads(whole.stdout)["head"]
    kept = lethe(system, "audit", "verify", "--anchor", head)
    odd = lethe(system, "audit", "verify", "--anchor", "1")
    with psycopg.connect(system.settings.database_url.get_secret_value()) as connection:
        connection.execute("ALTER TABLE audit DISABLE TRIGGER refuse")
        connection.execute("UPDATE audit SET role = 'admin' WHERE seq = 1")
    broken = lethe(system, "audit", "verify")
    with psycopg.connect(system.settings.database_url.get_secret_value()) as connection:
        connection.execute("UPDATE audit SET role = 'server' WHERE seq = 1")

    assert (whole.returncode, kept.returncode, odd.returncode) == (0, 0, 2)
    assert head in kept.stdout
    assert (broken.returncode, "line 1 was changed" in broken.stderr) == (1, True)
    assert lethe(system, "audit", "verify").returncode == 0


def test_audit_list_filters_and_pages(system: System) -> None:
    """For people a line each, for scripts as JSON."""
    lethe(system, "logout", "cli nobody")
    lethe(system, "logout", "cli nobody")

    page = json.loads(lethe(system, "audit", "list", "--action", "logout", "--limit", "1", "--json").stdout)
    rest = json.loads(lethe(system, "audit", "list", "--cursor", str(page["next"]), "--json").stdout)
    told = lethe(system, "audit", "list", "--decision", "refused", "--since", "2020-01-01", "--key", "nobody")

    assert [line["decision"] for line in page["lines"]] == ["refused"]
    assert rest["lines"][0]["seq"] == page["lines"][0]["seq"] - 1
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "No line of the audit matches\n")
    assert "logout refused" in lethe(system, "audit", "list").stdout
