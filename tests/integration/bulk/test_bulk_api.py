"""`POST /deletions` with many names: an answer for each, one confirmation for the list, and limits of its own."""

import time
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from api import app
from demo.evolution.seed import seed_instance
from shared.audit import search as audit_search
from shared.audit.search import Filters
from shared.database.enums import Role
from shared.services import Services
from shared.settings import ConfirmationMode
from tests.integration.inline import accept, run_all
from tests.integration.keyring import enroll, make_key
from tests.system import ADMIN_KEY, Answer, System

pytestmark = pytest.mark.system("web", confirmation="token", limit_per_minute=3, limit_bulk_per_hour=20)


def seed(system: System, *names: str) -> None:
    """Small instances."""
    for name in names:
        seed_instance(system.deployment, name, messages=1)


def post(system: System, names: list[str], *, key: str = ADMIN_KEY, token: str = "", **more: Any) -> requests.Response:
    """Order their deletion."""
    headers = {"X-Confirmation-Token": token} if token else {}
    return system.call("POST", "/deletions", key=key, json={"instanceNames": names, **more}, headers=headers)


def preview(system: System, names: list[str], *, key: str = ADMIN_KEY) -> dict[str, Any]:
    """What it would remove."""
    answer = post(system, names, key=key, dryRun=True)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read


def outcomes(body: dict[str, Any]) -> dict[str, str]:
    """The result of each name."""
    return {each["instanceName"]: each["result"] for each in body["results"]}


def lines(services: Services, **wanted: Any) -> list[tuple[str, str, str | None, int]]:
    """The newest lines of the audit, the newest first."""
    found = audit_search.search(services.own, Filters(**wanted)).lines
    return [(line.action, line.decision, line.reason, line.times) for line in found]


def deletions(services: Services, *names: str) -> int:
    """How many deletions these instances have had."""
    with services.own.connect() as connection:
        query = "SELECT count(*) FROM deletions WHERE instance_name = ANY(%s)"
        return int(connection.exec_driver_sql(query, (list(names),)).scalar_one())


def test_each_name_has_an_answer_and_stops_no_other(system: System, services: Services) -> None:
    """Unknown ones, one that is being deleted, a failed one, and names that look like others; duplicates are told."""
    names = ["many a", " many a", "many_a", "many%", "many\u0430"]
    seed(system, *names, "many busy", "many failed", "many nobody's neighbour")
    system.gateways[0].load()
    busy = accept(services, services.tenant.find(name="many busy").id, "many busy")  # type: ignore[union-attr]
    failed = accept(services, services.tenant.find(name="many failed").id, "many failed")  # type: ignore[union-attr]
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed' WHERE id = %s", (failed,))
    wanted = [*names, "many a", "many busy", "many failed", "many nobody", "many\x00nul"]

    shown = preview(system, wanted)
    answer = post(system, wanted, token=shown["confirmationToken"])
    body = answer.json()
    listed = system.call("GET", f"/deletions?bulk={body['bulkId']}&limit=200").json()
    again = post(system, wanted)

    told = dict.fromkeys(names, "accepted") | {
        "many busy": "alreadyBeingDeleted", "many failed": "accepted",
        "many nobody": "unknown", "many\x00nul": "unknown",
    }  # fmt: skip
    assert answer.status_code == 202
    assert outcomes(body) == told
    assert list(outcomes(body)) == list(dict.fromkeys(wanted))
    assert (body["accepted"], body["duplicates"]) == (6, ["many a"])
    ids = {each["instanceName"]: each["deletionId"] for each in body["results"]}
    assert (ids["many busy"], ids["many failed"]) == (str(busy), str(failed))
    assert {each["instanceName"]: each["id"] for each in listed["deletions"]} == {
        name: ids[name] for name, result in told.items() if result == "accepted"
    }
    assert listed["counts"] == {"queued": 6}
    assert answer.headers["Location"] == f"/deletions?bulk={body['bulkId']}"
    assert (again.status_code, again.json()["bulkId"], again.json()["accepted"]) == (200, None, 0)
    assert set(outcomes(again.json()).values()) == {"alreadyBeingDeleted", "unknown"}
    assert deletions(services, "many nobody's neighbour") == 0


def test_a_preview_has_the_sums_and_the_audit_has_the_digest(system: System, services: Services) -> None:
    """One line for the order, one for each deletion; each goes on as any other, and its receipt names the list."""
    seed(system, "summed 1", "summed 2")
    system.gateways[0].load()

    shown = preview(system, ["summed 1", "summed 2", "summed nobody"])
    body = post(system, ["summed 2", "summed 1", "summed nobody"], token=shown["confirmationToken"]).json()
    one = next(each for each in body["results"] if each["instanceName"] == "summed 1")
    ordered = lines(services, limit=4)
    run_all(services, one["deletionId"])
    receipt = system.send("GET", f"/deletions/{one['deletionId']}/receipt").body["receipt"]
    counts = system.call("GET", f"/deletions?bulk={body['bulkId']}").json()["counts"]

    assert (shown["instances"], shown["planned"]["delete_records"]["Instance"]) == (2, 2)
    assert shown["planned"]["delete_records"]["Message"] == 2
    assert shown["planned"]["delete_files"]["objects"] > 0
    assert outcomes(shown) == {"summed 1": "found", "summed 2": "found", "summed nobody": "unknown"}
    assert shown["digest"] == body["digest"]
    assert ("bulk", "accepted", f"order {body['bulkId']} of 2, list sha256:{body['digest']}", 1) in ordered
    assert ordered.count(("delete", "accepted", None, 1)) == 2
    assert ("delete", "refused", "unknown instance", 1) in ordered
    assert receipt["confirmedBy"]["preview"] == body["digest"]
    assert counts == {"queued": 1, "succeeded": 1}


def test_a_token_is_for_the_list_that_was_shown_and_once(system: System, services: Services) -> None:
    """Not for another list, another key, another instance of the name, or a second order."""
    seed(system, "bound 1", "bound 2", "bound 3")
    key, other = (make_key(services, Role.ADMIN).key for _ in range(2))
    token = preview(system, ["bound 1", "bound 2"], key=key)["confirmationToken"]
    single = system.call("POST", "/deletions", key=key, json={"instanceName": "bound 1", "dryRun": True}).json()

    refused: list[Answer | requests.Response] = [
        post(system, ["bound 1", "bound 2"], key=key),
        post(system, ["bound 1", "bound 2", "bound 3"], key=key, token=token),
        post(system, ["bound 1"], key=key, token=token),
        post(system, ["bound 1", "bound 2"], key=other, token=token),
        post(system, ["bound 1"], key=key, token=single["confirmationToken"]),
        system.delete("bound 1", key=key, Prefer="respond-async", X_Confirmation_Token=token),
        post(system, ["bound 1", "bound 2"], key=key, token=token, digest="0" * 64),
    ]  # fmt: skip
    seed_instance(system.deployment, "bound 2", in_place=True)
    refused.append(post(system, ["bound 1", "bound 2"], key=key, token=token))
    before = deletions(services, "bound 1", "bound 2", "bound 3")
    fresh = preview(system, ["bound 2", "bound 1"], key=key)["confirmationToken"]
    accepted = post(system, ["bound 1", "bound 2"], key=key, token=fresh)
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'cancelled' WHERE instance_name LIKE 'bound%%'")
    again = post(system, ["bound 1", "bound 2"], key=key, token=fresh)

    statuses = [answer.status if isinstance(answer, Answer) else answer.status_code for answer in refused]
    assert statuses == [428] * 8
    assert before == 0
    assert (accepted.status_code, accepted.json()["accepted"]) == (202, 2)
    assert (again.status_code, "already used" in again.json()["message"]) == (428, True)


def test_who_may_not_learns_nothing(system: System, services: Services) -> None:
    """A viewer and an instance's token get 401; a limited key the same answer for what exists and what does not."""
    seed(system, "mine", "theirs")
    token = services.tenant.find(name="mine").token  # type: ignore[union-attr]
    viewer, limited = make_key(services, Role.VIEWER), make_key(services, Role.ADMIN, instances=["mine", "mine too"])

    refused = [
        post(system, ["mine"], key=key, dryRun=dry)
        for key in (viewer.key, str(token), "wrong key of nobody")
        for dry in (True, False)
    ]
    wanted = ["mine", "mine too", "theirs", "nobody's"]
    shown = preview(system, wanted, key=limited.key)
    answer = post(system, wanted, key=limited.key, token=shown["confirmationToken"])

    assert {(each.status_code, each.text) for each in refused} == {(401, '{"error":true,"message":"Unauthorized"}')}
    told = {"mine": "found"} | dict.fromkeys(wanted[1:], "refused")
    assert outcomes(shown) == told
    assert {each["reason"] for each in shown["results"][1:]} == {"Unauthorized"}
    assert outcomes(answer.json()) == told | {"mine": "accepted"}
    assert deletions(services, "theirs") == 0


def test_a_list_has_limits_of_its_own_and_is_no_way_round_the_others(system: System, services: Services) -> None:
    """An admin's key may order 20 an hour; a client's three a minute, as one by one. What is refused counts nothing."""
    names = [f"counted {number}" for number in range(24)]
    seed(system, *names)
    admin, client = make_key(services, Role.ADMIN).key, make_key(services, Role.CLIENT).key

    def order(wanted: list[str], key: str) -> requests.Response:
        return post(system, wanted, key=key, token=preview(system, wanted, key=key)["confirmationToken"])

    too_many, all_of_it = order(names, admin), order(names[:18], admin)
    over, rest = order(names[18:21], admin), order(names[18:20], admin)
    four, three, one = order(names[20:], client), order(names[20:23], client), order(names[23:], client)

    assert [each.status_code for each in (too_many, over, four, one)] == [429] * 4
    assert "the list has 24" in too_many.json()["message"]
    assert int(over.headers["Retry-After"]) > 3000
    assert int(one.headers["Retry-After"]) <= 60
    assert [each.json()["accepted"] for each in (all_of_it, rest, three)] == [18, 2, 3]
    assert deletions(services, *names) == 23


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"instanceNames": []}, "instanceNames"),
        ({"instanceNames": ["x"] * 1001}, "instanceNames"),
        ({"instanceNames": "x"}, "instanceNames"),
        ({"instanceNames": ["x"], "instanceName": "x"}, "either"),
        ({"instanceNames": ["x"], "withoutGateway": ["http://x"], "dryRun": True}, "withoutGateway"),
        ({"instanceName": "x", "digest": "y"}, "digest"),
    ],
)
def test_a_wrong_list_is_refused(system: System, body: dict[str, Any], said: str) -> None:
    """By its field."""
    answer = system.call("POST", "/deletions", json=body)

    assert (answer.status_code, said in answer.json()["message"]) == (400, True)


def test_only_a_list_may_be_large(system: System) -> None:
    """Up to 1 MiB; a single name has the usual limit."""
    long = [f"{number:04}" + "x" * 240 for number in range(1000)]

    listed = post(system, long)
    single = system.call("POST", "/deletions", json={"instanceName": "x" * 70_000})
    larger = system.call("POST", "/deletions", json={"instanceNames": ["x" * 1_100_000]})

    assert (listed.status_code, set(outcomes(listed.json()).values())) == (200, {"unknown"})
    assert (single.status_code, larger.status_code) == (413, 413)


def test_a_code_confirms_the_digest_that_was_shown(system: System, services: Services) -> None:
    """Where deletions need one-time codes: the order has to name the list's digest, and a code is used once."""
    seed(system, "coded 1", "coded 2")
    made = system.make_services(confirmation=ConfirmationMode.TOTP)
    client, key = app.create(made).test_client(), make_key(services, Role.ADMIN)
    code = enroll(services, key).at(int(time.time()))
    digest = order(client, key.key, dryRun=True).json["digest"]  # type: ignore[index]

    bare = order(client, key.key, code)
    wrong = order(client, key.key, code, digest="0" * 64)
    no_code = order(client, key.key, digest=digest)
    good = order(client, key.key, code, digest=digest)
    bootstrap = order(client, ADMIN_KEY, code, digest=digest)

    assert [each.status_code for each in (bare, wrong, no_code, good)] == [428, 428, 428, 202]
    assert bootstrap.status_code == 200  # nothing is left to be confirmed
    with services.own.connect() as connection:
        query = (
            "SELECT confirmed_by, confirmed_with, confirmed_preview FROM deletions WHERE instance_name LIKE 'coded%%'"
        )
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [(key.id, "code", digest)] * 2


def test_lists_can_be_turned_off(system: System) -> None:
    """With a limit of 0, also for an admin's key; single deletions go on."""
    seed(system, "off 1")
    client = app.create(system.make_services(confirmation=ConfirmationMode.OFF, limit_bulk_per_hour=0)).test_client()

    listed = order(client, ADMIN_KEY, instanceNames=["off 1"])
    single = client.post("/deletions", json={"instanceName": "off 1"}, headers={"apikey": ADMIN_KEY})

    assert (listed.status_code, "No more than 0" in listed.json["message"]) == (429, True)
    assert single.status_code == 202


def order(client: FlaskClient, key: str, code: str = "", **more: Any) -> Any:
    """Order both, in the test's own process."""
    headers = {"apikey": key, **({"X-Confirmation-Code": code} if code else {})}
    return client.post("/deletions", json={"instanceNames": ["coded 1", "coded 2"], **more}, headers=headers)
