"""`lethe keys` on the server: made, listed, rotated, revoked; what the API then says to the key."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from demo.evolution.seed import seed_instance
from shared.audit import search as audit_search
from shared.audit.search import Filters
from tests.integration.shell import lethe
from tests.system import System


def create(system: System, *words: str) -> dict[str, Any]:
    """Make a key as a script does."""
    answer = lethe(system, "keys", "create", "--json", *words)
    assert answer.returncode == 0, answer.stderr
    made: dict[str, Any] = json.loads(answer.stdout)
    return made


def listed(system: System, key_id: str) -> dict[str, Any]:
    """The key as `lethe keys list` shows it."""
    keys = json.loads(lethe(system, "keys", "list", "--json").stdout)
    (found,) = (key for key in keys if key["id"] == key_id)
    return dict(found)


def status(system: System, key: str) -> int:
    """What the API answers to it."""
    return system.send("GET", "/deletions", key=key).status


def reasons(system: System) -> list[tuple[str, str, str | None]]:
    """What the audit says of keys, oldest first."""
    services = system.make_services()
    lines = audit_search.search(services.own, Filters(action="keys", limit=200)).lines  # type: ignore[arg-type]
    services.close()
    return [(line.role, line.decision, line.reason) for line in reversed(lines)]


def test_a_key_is_shown_once_and_works(system: System) -> None:
    """Alone on standard output, so that a shell can catch it; never again, and not in the audit."""
    answer = lethe(system, "keys", "create", "--role", "viewer", "--name", "secret name")
    key = answer.stdout.strip()
    key_id = key.split("_")[1]

    assert answer.returncode == 0, answer.stderr
    assert status(system, key) == 200
    assert system.send("DELETE", "/instance/delete/x", key=key).status == 401
    assert key not in lethe(system, "keys", "list").stdout + lethe(system, "keys", "list", "--json").stdout
    assert ("server", "succeeded", f"created {key_id} as viewer") in reasons(system)
    assert not any("secret name" in str(line) or key in str(line) for line in reasons(system))


def test_a_key_can_be_limited_in_reach_and_in_time(system: System) -> None:
    """To instances by name, and for a while; both are listed, and hold."""
    seed_instance(system.deployment, "cli limited")
    made = create(
        system,
        "--role",
        "admin",
        "--name",
        "limited",
        "--instance",
        "cli limited",
        "--instance",
        "b",
        "--expires",
        "90d",
    )

    key = listed(system, made["id"])
    text = lethe(system, "keys", "list").stdout
    assert (key["state"], key["role"], key["instances"]) == ("active", "admin", ["cli limited", "b"])
    assert "key_hash" not in key
    assert made["id"] in text
    assert "'cli limited', 'b'" in text
    assert system.delete("another", key=made["key"]).status == 401
    assert system.delete("cli limited", key=made["key"], Prefer="respond-async").status == 202
    services = system.make_services()
    with services.own.begin() as connection:
        (left,) = connection.exec_driver_sql(
            "SELECT expires_at - now() BETWEEN '89 days' AND '90 days' FROM api_keys WHERE id = %s", (made["id"],)
        ).one()
        connection.exec_driver_sql("UPDATE api_keys SET expires_at = now() WHERE id = %s", (made["id"],))
    services.close()
    assert left
    assert (status(system, made["key"]), listed(system, made["id"])["state"]) == (401, "expired")
    assert lethe(system, "keys", "rotate", made["id"]).returncode == 1


def test_a_rotated_key_has_a_new_secret(system: System) -> None:
    """The old one is wrong at once; id, role and audit stay."""
    old = create(system, "--role", "viewer", "--name", "to rotate")

    new = json.loads(lethe(system, "keys", "rotate", old["id"], "--json").stdout)

    assert new["id"] == old["id"]
    assert (status(system, old["key"]), status(system, new["key"])) == (401, 200)
    assert listed(system, old["id"])["rotated_at"]
    assert ("server", "succeeded", f"rotated {old['id']}") in reasons(system)


def test_a_revoked_key_does_not_work(system: System) -> None:
    """At once and for ever: it cannot be revoked again or rotated."""
    key = create(system, "--role", "viewer", "--name", "to revoke")

    first = lethe(system, "keys", "revoke", key["id"])

    again, rotated = (lethe(system, "keys", word, key["id"]) for word in ("revoke", "rotate"))
    assert (first.returncode, status(system, key["key"])) == (0, 401)
    assert (again.returncode, rotated.returncode, rotated.stdout) == (1, 1, "")
    assert listed(system, key["id"])["state"] == "revoked"
    assert [line for line in reasons(system) if key["id"] in str(line)][1:] == [
        ("server", "succeeded", f"revoked {key['id']}")
    ]


def test_an_empty_list_of_keys_says_so(make_system: Callable[..., System]) -> None:
    """On standard error; a script reads []."""
    empty = make_system()

    told, read = lethe(empty, "keys", "list"), lethe(empty, "keys", "list", "--json")

    assert (told.returncode, told.stdout, "lethe keys create" in told.stderr) == (0, "", True)
    assert json.loads(read.stdout) == []
    empty.stop()


def test_no_two_active_keys_have_the_same_name(system: System) -> None:
    """A list could not tell them apart; revoked and expired keys do not count."""
    first = create(system, "--role", "viewer", "--name", "night shift")
    refused = lethe(system, "keys", "create", "--role", "admin", "--name", "night shift", "--json")
    other = create(system, "--role", "viewer", "--name", "Night shift")
    lethe(system, "keys", "revoke", first["id"])
    again = create(system, "--role", "viewer", "--name", "night shift")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"The key {first['id']} already has the name 'night shift'" in refused.stderr
    assert len({first["id"], other["id"], again["id"]}) == 3
    assert not any("admin" in str(line) and "night" in str(line) for line in reasons(system))


def test_of_two_at_once_one_gets_the_name(system: System) -> None:
    """The second transaction waits for the first, and is refused."""
    words = ("keys", "create", "--role", "viewer", "--name", "contested", "--json")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: lethe(system, *words), range(3)))

    assert sorted(answer.returncode for answer in answers) == [0, 1, 1]


def test_the_list_says_which_keys_have_one_time_codes(system: System) -> None:
    """And which of them are locked."""
    plain, enrolled = (create(system, "--role", "admin", "--name", name) for name in ("without codes", "with codes"))
    lethe(system, "keys", "enroll-totp", enrolled["id"])

    rows = {line.split()[0]: line.split() for line in lethe(system, "keys", "list").stdout.splitlines()}

    assert rows["id"] == ["id", "state", "role", "codes", "name", "instances"]
    assert (rows[plain["id"]][3], rows[enrolled["id"]][3]) == ("-", "enrolled")
    assert (listed(system, plain["id"])["enrolled_at"], bool(listed(system, enrolled["id"])["enrolled_at"])) == (
        None,
        True,
    )
    services = system.make_services()
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE one_time_codes SET locked_until = now() + interval '1 hour'")
    services.close()
    assert "locked" in lethe(system, "keys", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ["create", "--role", "owner", "--name", "n"],
        ["create", "--role", "instance", "--name", "n"],
        ["create", "--role", "viewer"],
        ["create", "--role", "viewer", "--name", "n", "--expires", "0d"],
        ["create", "--role", "viewer", "--name", "n", "--expires", "soon"],
        ["rotate"],
    ],
)
def test_wrong_usage_makes_no_key(system: System, words: list[str]) -> None:
    """Exit code 2, and nothing on standard output."""
    answer = lethe(system, "keys", *words)

    assert (answer.returncode, answer.stdout) == (2, "")


@pytest.mark.parametrize("word", ["rotate", "revoke"])
def test_an_unknown_key_is_not_possible(system: System, word: str) -> None:
    """Exit code 1, in one sentence; the audit has no line of what was not done."""
    before = reasons(system)

    answer = lethe(system, "keys", word, "bootstrap")

    assert answer.returncode == 1
    assert answer.stderr.startswith("There is no such key")
    assert reasons(system) == before
