"""`/instance/delete/NAME/` means NAME, as Express reads it, unless that could be another instance."""

from urllib.parse import unquote

import pytest

from demo.evolution.seed import seed_instance
from shared.database.enums import Role
from tests.integration.inline import accept, run_all
from tests.integration.keyring import make_key
from tests.system import Answer, System


def delete(system: System, raw: str, **options: str) -> Answer:
    """The documented call with the name as it stands here."""
    return system.send("DELETE", f"/instance/delete/{raw}", Prefer="respond-async", **options)


def deleted_id(system: System, answer: Answer) -> str:
    """The id of the instance whose deletion was accepted."""
    return str(system.show(answer.body["response"]["deletionId"])["instanceId"])


@pytest.mark.parametrize("name", ["plain", "sp%20ace", "in/side", "%C3%A7", "%2561"])
def test_one_last_slash_is_left_out(system: System, name: str) -> None:
    """Of both calls, whatever stands before it."""
    instance = seed_instance(system.deployment, unquote(f"{name} slash"))

    assert system.send("DELETE", f"/instance/logout/{name}%20slash/").status == 200
    assert deleted_id(system, delete(system, f"{name}%20slash/")) == instance.id


def test_an_instance_with_the_slash_in_its_name_makes_it_ambiguous(system: System) -> None:
    """400 for both calls, and both can be named: without the slash, and with %2F."""
    plain, slashed = (seed_instance(system.deployment, name) for name in ("either", "either/"))

    refused = [delete(system, "either/"), system.send("DELETE", "/instance/logout/either/")]

    assert [answer.status for answer in refused] == [400, 400]
    assert all("%2F" in answer.body["message"] for answer in refused)
    assert deleted_id(system, delete(system, "either%2F")) == slashed.id
    assert deleted_id(system, delete(system, "either")) == plain.id


def test_a_deletion_that_had_the_name_with_the_slash_makes_it_ambiguous(system: System) -> None:
    """A repeated call must not go on to the next instance, also when it has succeeded."""
    services = system.make_services()
    slashed = seed_instance(system.deployment, "again/")
    seed_instance(system.deployment, "again")
    run_all(services, accept(services, slashed.id, "again/"))

    assert delete(system, "again/").status == 400


def test_an_encoded_slash_is_part_of_the_name(system: System) -> None:
    """As two slashes at the end are, and a slash alone."""
    seed_instance(system.deployment, "encoded")

    answers = {raw: delete(system, raw) for raw in ("encoded%2F", "encoded%2f", "encoded//", "encoded%2F/")}

    assert {answer.status for answer in answers.values()} == {400}
    assert [answer.body["message"] for answer in answers.values()] == [
        'The "encoded/" instance does not exist',
        'The "encoded/" instance does not exist',
        'The "encoded//" instance does not exist',
        'The "encoded/" instance does not exist',
    ]


def test_who_may_not_learns_nothing(system: System) -> None:
    """A limited key and a token mean what they may access; no answer says whether the other name exists."""
    services = system.make_services()
    mine = seed_instance(system.deployment, "mine")
    seed_instance(system.deployment, "mine/")
    seed_instance(system.deployment, "not mine/")
    limited = make_key(services, Role.ADMIN, instances=["mine"]).key

    strangers = [
        delete(system, raw, key=key) for raw in ("not%20mine/", "no%20one/") for key in (limited, mine.token, "x")
    ]
    own = system.send("DELETE", "/instance/logout/mine/", key=limited)

    assert {(answer.status, answer.text) for answer in strangers} == {(401, '{"error":true,"message":"Unauthorized"}')}
    assert own.status == 200
    assert deleted_id(system, delete(system, "mine/", key=mine.token)) == mine.id
