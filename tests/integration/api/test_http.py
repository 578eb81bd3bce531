"""The HTTP contract: the documented bodies byte for byte, and names as they were sent."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.seed import seed_instance
from shared.database.connections import own_transaction
from tests.system import Answer, System

UNAUTHORIZED = '{"error":true,"message":"Unauthorized"}'


def unknown(name: str) -> str:
    """The documented body for an unknown instance."""
    return f'{{"error":true,"message":"The \\"{name}\\" instance does not exist"}}'


def exists(system: System, name: str) -> bool:
    """Whether an instance has this name."""
    with system.deployment.connect() as connection:
        return connection.execute('SELECT 1 FROM "Instance" WHERE name = %s', (name,)).fetchone() is not None


def test_an_unknown_instance_is_a_400(shared_system: System) -> None:
    """With the documented sentence; JSON as Express writes it, so an emoji stays one."""
    answer = shared_system.delete("nobody 🦊")

    assert (answer.status, answer.text) == (400, unknown("nobody 🦊"))
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("key", [None, "", "wrong", "admin-key-for-tests-onl", "ü", "a" * 5000])
def test_who_may_not_gets_the_same_401(shared_system: System, key: str | None) -> None:
    """No key, an empty one, a wrong one: the same bytes, whether the instance exists or not."""
    seed_instance(shared_system.deployment, f"guarded {key and key[:9]!r}")
    key = key.encode().decode("latin-1") if key else key

    answers = [
        shared_system.delete(name, key=key) for name in (f"guarded {key and key[:9]!r}", "nobody", "%", "a?")
    ] + [
        shared_system.send("DELETE", "/instance/logout/nobody", key=key),
        shared_system.send("GET", f"/deletions/{uuid4()}", key=key),
        shared_system.send("POST", "/deletions", key=key, Content_Length="0"),
    ]

    assert {(answer.status, answer.text) for answer in answers} == {(401, UNAUTHORIZED)}


def test_a_token_may_delete_its_own_instance_only(shared_system: System) -> None:
    """Another's and an unknown one look alike to it, and its own works."""
    mine = seed_instance(shared_system.deployment, "token mine")
    seed_instance(shared_system.deployment, "token other")

    other = shared_system.delete("token other", key=mine.token)
    nobody = shared_system.delete("token nobody", key=mine.token)
    by_id = shared_system.call("POST", "/deletions", key=mine.token, json={"instanceName": "token other"})
    own = shared_system.delete("token mine", key=mine.token)

    assert (other.status, other.text) == (nobody.status, nobody.text) == (401, UNAUTHORIZED)
    assert (by_id.status_code, by_id.text) == (401, UNAUTHORIZED)
    assert exists(shared_system, "token other")
    assert own.status == 200


def test_a_token_can_follow_its_deletion_after_it_died(shared_system: System) -> None:
    """The row and its token are gone; who asked may still look, and nobody else's token may."""
    mine = seed_instance(shared_system.deployment, "follow")
    other = seed_instance(shared_system.deployment, "follow other")
    answer = shared_system.delete("follow", key=mine.token, Prefer="respond-async")
    location = answer.headers["Location"]
    shared_system.wait_for(answer.body["response"]["deletionId"])

    assert shared_system.send("GET", location, key=mine.token).body["status"] == "succeeded"
    assert shared_system.send("GET", location, key=other.token).text == UNAUTHORIZED
    assert shared_system.send("GET", f"/deletions/{uuid4()}", key=mine.token).text == UNAUTHORIZED
    assert shared_system.send("GET", f"/deletions/{uuid4()}").status == 404


def test_an_empty_token_opens_nothing(shared_system: System) -> None:
    """An instance whose token is empty or NULL is nobody's."""
    instance = seed_instance(shared_system.deployment, "tokenless")
    with shared_system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET token = %s WHERE id = %s', ("", instance.id))

    answer = shared_system.delete("tokenless", key="")

    assert answer.text == UNAUTHORIZED


def test_respond_async_answers_at_once(shared_system: System) -> None:
    """202 with the documented shape, where to look, when to ask again, and that the preference was applied."""
    seed_instance(shared_system.deployment, "async")

    answer = shared_system.delete("async", Prefer="respond-async")
    deletion_id = answer.body["response"]["deletionId"]

    assert answer.status == 202
    assert answer.text == (
        '{"status":"PENDING","error":false,"response":{"message":"Instance deletion in progress",'
        f'"deletionId":"{deletion_id}"}}}}'
    )
    assert answer.headers["Location"] == f"/deletions/{deletion_id}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert int(answer.headers["Retry-After"]) > 0
    shared_system.wait_for(deletion_id)


def test_a_wait_that_runs_out_is_a_202(shared_system: System) -> None:
    """Prefer: wait=N is granted, and the deletion goes on after it."""
    seed_instance(shared_system.deployment, "slow", messages=100)
    shared_system.gateways[0].delays["connectionState"] = 1.5

    answer = shared_system.delete("slow", Prefer="wait=1")
    shared_system.gateways[0].delays.clear()

    assert (answer.status, answer.headers["Preference-Applied"]) == (202, "wait=1")
    shared_system.wait_for(answer.body["response"]["deletionId"])


def test_a_duplicate_is_a_409_that_names_the_deletion(shared_system: System) -> None:
    """Also by id, and also when the Redis lock was lost: the own database knows."""
    instance = seed_instance(shared_system.deployment, "twice")
    shared_system.gateways[0].delays["connectionState"] = 1.5
    deletion_id = shared_system.delete("twice", Prefer="respond-async").body["response"]["deletionId"]
    second = shared_system.delete("twice")
    shared_system.make_services().redis.delete(f"lethe:lock:{instance.id}")
    third = shared_system.delete("twice")
    by_id = shared_system.delete_by_id(instance.id)
    shared_system.gateways[0].delays.clear()

    assert second.status == third.status == by_id.status_code == 409
    assert second.text == third.text == by_id.text
    assert second.body == {
        "error": True,
        "message": 'The "twice" instance is already being deleted',
        "deletionId": deletion_id,
    }
    assert second.headers["Location"] == f"/deletions/{deletion_id}"
    shared_system.wait_for(deletion_id)


def test_two_hundred_calls_at_once_are_one_deletion(shared_system: System) -> None:
    """One is answered SUCCESS or PENDING, the others are turned away; one row, each step claimed by one run."""
    instance = seed_instance(shared_system.deployment, "crowd", messages=200)

    def call(_: int) -> Answer:
        return shared_system.delete("crowd")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(call, range(200)))

    # Who comes after the end finds nobody of that name.
    statuses = Counter(answer.status for answer in answers)
    assert statuses[200] + statuses[202] == 1
    assert set(statuses) <= {200, 202, 400, 409}
    with shared_system.make_services().own.connect() as connection:
        deletions = connection.execute(
            text("SELECT id FROM deletions WHERE instance_id = :id"), {"id": instance.id}
        ).scalars()
        (deletion_id,) = deletions.all()
        # confirm may have waited for the gateway's clean-up, and is claimed once more then.
        attempts = connection.execute(
            text("SELECT attempts FROM steps WHERE deletion_id = :id AND name <> 'confirm'"), {"id": deletion_id}
        ).scalars()
        assert set(attempts.all()) == {1}


@pytest.mark.parametrize("target", ["query?", "query?force=true", "query??"])
def test_a_query_string_is_a_400(shared_system: System, target: str) -> None:
    """`/instance/delete/a?` must not delete `a`."""
    if not exists(shared_system, "query"):
        seed_instance(shared_system.deployment, "query")

    answers = [shared_system.send("DELETE", f"/instance/{verb}/{target}") for verb in ("delete", "logout")]

    assert [answer.status for answer in answers] == [400, 400]
    assert all(answer.body["error"] is True for answer in answers)
    assert exists(shared_system, "query")


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("raw/slash", "raw/slash"),
        ("raw//slashes", "raw//slashes"),
        ("raw/../dots", "raw/../dots"),
        ("/raw leading", "/raw%20leading"),
        ("raw 100%", "raw%20100%"),
        ("raw#fragment", "raw#fragment"),
        ("raw;p=1&q", "raw;p=1&q"),
        ("raw ü", "raw%20\u00c3\u00bc"),
        ("raw+plus", "raw+plus"),
        ("raw:colon@", "raw:colon@"),
        ("raw*star", "raw*star"),
    ],
)
def test_a_name_that_was_not_encoded_works(shared_system: System, name: str, raw: str) -> None:
    """As it stands in the request target, and it never reaches the instance with the shorter name."""
    instance = seed_instance(shared_system.deployment, name)
    if not exists(shared_system, "raw"):
        seed_instance(shared_system.deployment, "raw")

    answer = shared_system.send("DELETE", f"/instance/delete/{raw}")

    assert answer.status == 200, answer.text
    assert not exists(shared_system, instance.name)
    assert exists(shared_system, "raw")


def test_a_name_that_can_be_read_in_two_ways_is_refused(shared_system: System) -> None:
    """%70 is `p` for who encodes and `%70` for who does not: with both there, nobody is deleted."""
    seed_instance(shared_system.deployment, "two p")
    seed_instance(shared_system.deployment, "two%20p")

    answer = shared_system.send("DELETE", "/instance/delete/two%20p")

    assert answer.status == 400
    assert "POST /deletions" in answer.body["message"]
    assert exists(shared_system, "two p")
    assert exists(shared_system, "two%20p")
    assert shared_system.delete("two%20p").status == 200
    assert shared_system.delete("two p").status == 200


@pytest.mark.parametrize("raw", ["%FF", "a%C3", "%ED%A0%80"])
def test_a_name_that_is_no_text_is_a_400(shared_system: System, raw: str) -> None:
    """Not UTF-8, so nobody can be called that."""
    answer = shared_system.send("DELETE", f"/instance/delete/{raw}")

    assert (answer.status, answer.body["error"]) == (400, True)


def test_nul_and_too_long_names_are_unknown(shared_system: System) -> None:
    """What PostgreSQL cannot hold, nobody is called."""
    nul, long = shared_system.delete("a\x00b"), shared_system.delete("n" * 1500)

    assert (nul.status, long.status) == (400, 400)
    assert long.text == unknown("n" * 1500)


def test_a_json_content_type_without_a_body_works(shared_system: System) -> None:
    """Many clients send it with every call."""
    seed_instance(shared_system.deployment, "typed")

    answer = shared_system.delete("typed", Content_Type="application/json")

    assert answer.status == 200


def test_logout_touches_nothing_else(shared_system: System) -> None:
    """The session ends at the gateway; no row, key, file or object changes but what the gateway itself writes."""
    instance = seed_instance(shared_system.deployment, "leaving", status="close")
    shared_system.gateways[0].connect("leaving", instance.id, "open")
    before = fingerprint(shared_system.deployment)
    mine = fingerprint_of(shared_system.deployment, instance.id, "leaving")
    session = {entry: value for entry, value in mine.items() if entry.startswith("row:Session:")}

    answer = shared_system.send("DELETE", "/instance/logout/leaving")

    assert answer.text == '{"status":"SUCCESS","error":false,"response":{"message":"Instance logged out"}}'
    assert answer.status == 200
    assert shared_system.gateways[0].sessions.get("leaving") != "open"
    shared_system.gateways[0].settle()
    after = fingerprint(shared_system.deployment)
    assert {entry: value for entry, value in before.items() if after.get(entry) != value} == session


def test_logout_of_an_unknown_instance_is_a_400(shared_system: System) -> None:
    """As for delete."""
    answer = shared_system.send("DELETE", "/instance/logout/gone")

    assert (answer.status, answer.text) == (400, unknown("gone"))


def test_an_order_by_id_is_a_deletion(shared_system: System) -> None:
    """For an instance without a usable name, too."""
    nameless = seed_instance(shared_system.deployment, "")

    answer = shared_system.delete_by_id(nameless.id)

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/deletions/{answer.json()['id']}"
    assert answer.json()["steps"][0]["name"] == "logout"
    assert len(shared_system.wait_for(answer.json()["id"])["steps"]) == 7
    assert not exists(shared_system, "")


def test_a_dry_run_changes_nothing(shared_system: System) -> None:
    """It counts what would go, per step."""
    seed_instance(shared_system.deployment, "dry", messages=30, updates_per_message=2)
    before = fingerprint(shared_system.deployment)

    answer = shared_system.call("POST", "/deletions", json={"instanceName": "dry", "dryRun": True})

    assert answer.status_code == 200
    assert answer.json()["planned"]["delete_records"]["MessageUpdate"] == 60
    assert fingerprint(shared_system.deployment) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instanceName": "x", "instanceId": "y"},
        {"instanceName": 5},
        {"instanceName": "x", "more": 1},
        {"instanceName": None},
        {"instanceName": "\ud800"},
        [],
        "x",
    ],
)
def test_a_wrong_order_is_a_400(shared_system: System, body: object) -> None:
    """With the documented shape, naming what is wrong."""
    answer = shared_system.call("POST", "/deletions", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"] is True
    assert set(answer.json()) == {"error", "message"}
    assert not {"function-", "Value error", "pydantic", "dictionary"} & set(answer.json()["message"].split())


def test_deletions_are_listed_newest_first(shared_system: System) -> None:
    """A page at a time, filtered by status, for admins."""
    token = seed_instance(shared_system.deployment, "listed 0").token
    for number in (1, 2):
        seed_instance(shared_system.deployment, f"listed {number}")
    ids = [
        shared_system.delete(f"listed {number}", Prefer="respond-async").body["response"]["deletionId"]
        for number in range(3)
    ]
    for deletion_id in ids:
        shared_system.wait_for(deletion_id)

    first = shared_system.send("GET", "/deletions?status=succeeded&limit=2").body
    second = shared_system.send("GET", f"/deletions?status=succeeded&limit=1&cursor={first['next']}").body
    none = shared_system.send("GET", "/deletions?status=failed").body

    assert [each["id"] for each in (*first["deletions"], *second["deletions"])] == ids[::-1]
    assert none == {"deletions": [], "next": None}
    assert shared_system.send("GET", "/deletions", key=token).text == UNAUTHORIZED
    assert shared_system.send("GET", "/deletions?status=odd").status == 400


def test_other_errors_have_the_documented_shape(shared_system: System) -> None:
    """Unknown paths, wrong methods, broken JSON, too large a body."""
    unknown_path = shared_system.send("GET", "/nothing")
    wrong_method = shared_system.send("GET", "/instance/delete/a")
    nameless = shared_system.send("DELETE", "/instance/delete/")
    broken = shared_system.call("POST", "/deletions", data="{", headers={"Content-Type": "application/json"})
    large = shared_system.call(
        "POST",
        f"/deletions/{uuid4()}/retry",
        data='"' + "x" * 100_000 + '"',
        headers={"Content-Type": "application/json"},
    )

    assert (unknown_path.status, unknown_path.text) == (404, '{"error":true,"message":"Not Found"}')
    assert wrong_method.status == 405
    assert "DELETE" in wrong_method.headers["Allow"]
    assert nameless.status == 404
    assert (broken.status_code, broken.json()["error"]) == (400, True)
    assert (large.status_code, large.json()["error"]) == (413, True)


def test_a_body_that_is_nested_too_deeply_is_a_400(shared_system: System) -> None:
    """And half a surrogate pair is no text, wherever it stands."""
    headers = {"Content-Type": "application/json"}

    deep = shared_system.call("POST", "/deletions", data="[" * 30_000, headers=headers)
    half = shared_system.call("POST", "/deletions", data='{"instanceId":"\\ud800"}', headers=headers)

    assert (deep.status_code, deep.json()["error"]) == (400, True)
    assert (half.status_code, half.json()["error"]) == (400, True)


def test_the_contract_is_where_it_is_looked_for(shared_system: System) -> None:
    """For machines and for people, without a key."""
    contract = shared_system.send("GET", "/openapi.json", key=None)
    page = shared_system.send("GET", "/docs", key=None)

    assert contract.body["openapi"].startswith("3.1")
    assert "/instance/delete/{instanceName}" in contract.body["paths"]
    assert page.status == 200
    assert "swagger-ui" in page.text


def test_a_customer_sees_neither_a_gateways_address_nor_the_operators_events(shared_system: System) -> None:
    """An admin does."""
    mine = seed_instance(shared_system.deployment, "discreet")
    deletion_id = shared_system.delete("discreet", key=mine.token, Prefer="respond-async").body["response"][
        "deletionId"
    ]
    shared_system.wait_for(deletion_id)
    services = shared_system.make_services()
    with own_transaction(services.own) as connection:
        connection.exec_driver_sql(
            "INSERT INTO webhook_events (id, deletion_id, target, status, tries)"
            " VALUES (%s, %s, 'operator', 'delivered', 1)",
            (f"{deletion_id}.succeeded", deletion_id),
        )
    services.close()

    told = shared_system.send("GET", f"/deletions/{deletion_id}", key=mine.token)
    shown = shared_system.send("GET", f"/deletions/{deletion_id}")

    assert shared_system.gateways[0].url not in told.text
    assert "gateway 1" in told.text
    assert shared_system.gateways[0].url in shown.text
    assert "operator" not in {each["target"] for each in told.body["webhooks"]}
    assert "operator" in {each["target"] for each in shown.body["webhooks"]}


def test_a_path_that_only_looks_like_ours_reaches_nobody(shared_system: System) -> None:
    """Doubled slashes and encoded letters in the endpoint's own path are not normalised."""
    seed_instance(shared_system.deployment, "sidedoor")

    answers = [
        shared_system.send("DELETE", target)
        for target in (
            "//instance/delete/sidedoor",
            "/instance//delete/sidedoor",
            "/instance/delet%65/sidedoor",
            "/x/../instance/delete/sidedoor",
            "/instance/delete%2Fsidedoor",
        )
    ]

    assert {answer.status for answer in answers} == {404}
    assert exists(shared_system, "sidedoor")
