"""The audit: every attempt is in it, nothing personal is, and no change of it goes unnoticed."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from demo.evolution.seed import seed_instance
from demo.parts import Postgres
from demo.processes import wait_until
from shared.audit import chain, refusals
from shared.audit import search as audit_search
from shared.audit.chain import Place
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.audit.search import Filters
from shared.database import connections, migrate
from shared.database.connections import own_transaction
from shared.errors import Refused
from shared.services import Services
from shared.webhooks import outbox
from tests.integration.inline import accept, run_all
from tests.servers import copy_database
from tests.system import System

SOMEBODY = Actor("admin", "k1", "192.0.2.1", "curl/8.5.0", "r1")


@pytest.fixture
def system(fresh_system: System) -> System:
    """A deployment of its own, without processes."""
    return fresh_system


@pytest.fixture
def services(fresh_services: Services) -> Services:
    """Services for what runs in the test."""
    return fresh_services


@pytest.fixture
def api(system: System) -> Iterator[System]:
    """The API alone, so that nothing but its own lines is written."""
    system.start("web")
    yield system
    system.stop()


def write(services: Services, *entries: Entry) -> Place:
    """Lines in a transaction of their own."""
    with own_transaction(services.own) as connection:
        return chain.append(connection, *entries)


def a_line(number: int = 1) -> Entry:
    """Some line."""
    return Entry(Action.DELETE, Decision.REFUSED, SOMEBODY, instance_id=f"i{number}", reason="conflict")


def lines(services: Services, **wanted: Any) -> list[tuple[str, str]]:
    """Action and decision of the lines that are wanted, oldest first."""
    found = audit_search.search(services.own, Filters(**{"limit": 200, **wanted})).lines
    return [(line.action, line.decision) for line in reversed(found)]


def tamper(services: Services, *statements: str) -> None:
    """Change the audit as a superuser who knows how."""
    with psycopg.connect(services.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger is asked
        for statement in statements:
            connection.execute(statement)


def test_thirty_writers_at_once_keep_the_chain_whole(services: Services) -> None:
    """Each gets its place, none is lost, and the chain has one order."""

    def work(number: int) -> None:
        for _ in range(5):
            write(services, a_line(number), a_line(number))

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(work, range(30)))
    verdict = chain.verify(services.own)

    assert (verdict.lines, verdict.broken) == (300, None)
    assert verdict.head.seq == 300


@pytest.mark.parametrize("value", ['"\\"', "\\u0000", "é\u2028😀", "\x01\t\x7f", "{", ":x %s %(y)s", "'; --"])
def test_the_database_hashes_canonical_json(services: Services, value: str) -> None:
    """Whatever a line says: what the hash is of is canonical JSON."""
    write(services, Entry(Action.DELETE, Decision.REFUSED, SOMEBODY, instance_id=value, reason=value), a_line())

    assert chain.verify(services.own).broken is None


def test_a_line_is_written_in_the_transaction_of_its_subject(services: Services) -> None:
    """A transaction that is rolled back leaves no gap."""
    write(services, a_line())
    with services.own.connect() as connection:
        chain.append(connection, a_line())
        connection.rollback()
    place = write(services, a_line())

    assert place.seq == 2
    assert chain.verify(services.own).broken is None


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["UPDATE audit SET reason = 'x' WHERE seq = 3"], "line 3 was changed"),
        (["UPDATE audit SET key_id = 'k2' WHERE seq = 1"], "line 1 was changed"),
        (["UPDATE audit SET at = at - interval '1 day' WHERE seq = 5"], "line 5 was changed"),
        (["UPDATE audit SET deletion_id = NULL, times = 2 WHERE seq = 2"], "line 2 was changed"),
        (["DELETE FROM audit WHERE seq = 1"], "line 1 was removed"),
        (["DELETE FROM audit WHERE seq = 3"], "line 3 was removed"),
        (["DELETE FROM audit WHERE seq IN (3, 4)"], "line 3 was removed"),
        (["DELETE FROM audit WHERE seq = 6"], "ends at line 5, but its head is line 6"),
        (["TRUNCATE audit"], "ends at line 0, but its head is line 6"),
        (
            ["UPDATE audit SET seq = 99 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 3",
             "UPDATE audit SET seq = 3 WHERE seq = 99"],
            "line 2 was changed",
        ),
        (["DELETE FROM audit WHERE seq = 3", "UPDATE audit SET seq = seq - 1 WHERE seq > 3"], "line 3 was changed"),
        (["UPDATE audit_head SET seq = 5"], "its head is line 5"),
        (["INSERT INTO audit SELECT 7, at, action, decision, role, key_id, address, user_agent, request_id,"
          " instance_id, deletion_id, reason, times, hash, hash FROM audit WHERE seq = 6"], "line 7 was changed"),
    ],
)  # fmt: skip
def test_each_kind_of_tampering_is_found(services: Services, statements: list[str], says: str) -> None:
    """With the first place where the chain does not hold."""
    for number in range(6):
        write(services, a_line(number))
    tamper(services, *statements)

    assert says in (chain.verify(services.own).broken or "whole")


def forge(services: Services, seq: int, reason: str) -> None:
    """Change a line and give it a hash that fits."""
    with services.own.connect() as connection:
        row = dict(connection.exec_driver_sql("SELECT * FROM audit WHERE seq = %s", (seq,)).mappings().one())
    row["reason"] = reason
    tamper(services, f"UPDATE audit SET reason = '{reason}', hash = '{chain.digest(row)}' WHERE seq = {seq}")


def test_a_line_with_a_hash_that_fits_breaks_the_next_one(services: Services) -> None:
    """Which carries the old one."""
    for number in range(3):
        write(services, a_line(number))
    forge(services, 2, "forged")

    assert chain.verify(services.own).broken == "line 3 does not follow the line before it: one of the two was changed"


def test_a_place_that_was_kept_shows_a_chain_that_was_written_anew(services: Services) -> None:
    """The last line with its head, or all of them: from inside it is whole, a kept place tells."""
    write(services, a_line(1))
    kept = write(services, a_line(2))
    forge(services, 2, "forged")
    with services.own.connect() as connection:
        new = connection.exec_driver_sql("SELECT hash FROM audit WHERE seq = 2").scalar_one()
    tamper(services, f"UPDATE audit_head SET hash = '{new}'")

    assert chain.verify(services.own).broken is None
    assert chain.verify(services.own, (kept,)).broken == "line 2 has not the hash of its anchor"
    assert chain.verify(services.own, (Place(9, kept.hash),)).broken == "line 9, which an anchor names, is missing"


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET reason = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit_head",
     "TRUNCATE audit_head", "UPDATE audit_head SET seq = 0"],
)  # fmt: skip
def test_no_line_can_be_changed(services: Services, statement: str) -> None:
    """Not even a superuser, as long as the trigger is there."""
    write(services, a_line())

    with (
        psycopg.connect(services.settings.database_url.get_secret_value()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="audit"),
    ):
        connection.execute(statement)

    assert chain.verify(services.own).lines == 1


def test_the_role_that_owns_the_audit_has_no_right_to_change_it(postgres_part: Postgres) -> None:
    """An ordinary role runs the migrations, as in production; it can add lines, and that is all."""
    with psycopg.connect(postgres_part.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE lethe_app LOGIN")
        connection.execute("CREATE DATABASE audit_of_app OWNER lethe_app")
    url = f"{postgres_part.url.rsplit('/', 1)[0]}/audit_of_app".replace("postgres@", "lethe_app@")
    engine = connections.connect(url, name="test")
    migrate.upgrade(engine)
    with own_transaction(engine) as connection:
        chain.append(connection, a_line())

    with engine.connect() as connection:
        rights = connection.exec_driver_sql(
            "SELECT r, has_table_privilege('audit', r) FROM unnest(%s::text[]) r",
            (["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"],),
        )
        assert dict(rights.all()) == {
            "SELECT": True, "INSERT": True, "UPDATE": False, "DELETE": False, "TRUNCATE": False,
        }  # fmt: skip
    assert chain.verify(engine).lines == 1
    engine.dispose()


def test_an_accepted_deletion_and_its_end_are_two_lines(api: System, services: Services) -> None:
    """With requester, address and deletion; the worker writes the end."""
    instance = seed_instance(api.deployment, "audited")
    answer = api.delete("audited", Prefer="respond-async", User_Agent="curl/8.5.0 (5511999887766)")
    run_all(services, answer.body["response"]["deletionId"])

    found = api.send("GET", f"/audit?deletionId={answer.body['response']['deletionId']}").body["lines"]
    ended, accepted = (line for line in found if line["action"] == "delete")
    assert (accepted["decision"], accepted["role"], accepted["address"]) == ("accepted", "admin", "127.0.0.1")
    assert (accepted["userAgent"], accepted["instanceId"]) == ("curl/8.5.0", instance.id)
    assert accepted["requestId"] == answer.headers["X-Request-Id"]
    assert accepted["keyId"]
    assert (ended["decision"], ended["role"], ended["instanceId"]) == ("succeeded", "worker", instance.id)
    receipt = api.send("GET", f"/deletions/{answer.body['response']['deletionId']}/receipt").body["receipt"]
    quoted = Place(**receipt["auditLine"])
    assert (quoted.seq, quoted.hash) == (ended["seq"], ended["hash"])
    assert chain.verify(services.own, (quoted,)).broken is None


def test_a_cancelled_a_resumed_and_a_failed_one_are_there(api: System, services: Services) -> None:
    """Each by its action, in the order in which it happened."""
    regretted = seed_instance(api.deployment, "audited regret")
    first = api.delete("audited regret", Prefer="respond-async").body["response"]["deletionId"]
    api.call("POST", f"/deletions/{first}/cancel")
    second = api.delete("audited regret", Prefer="respond-async").body["response"]["deletionId"]
    broken = api.make_services()
    run_all(type(broken)(**{**vars(broken), "storages": (_Refusing(),)}), second)
    api.call("POST", f"/deletions/{second}/retry", json={})
    broken.close()

    assert lines(services, instance_id=regretted.id) == [
        ("delete", "accepted"), ("cancel", "accepted"), ("delete", "cancelled"),
        ("delete", "accepted"), ("delete", "failed"), ("retry", "accepted"),
    ]  # fmt: skip


class _Refusing:
    kind = "files"

    def probe(self) -> None:
        """As a store whose mount is wrong."""
        raise Refused("not as it has to be")

    count = erase = probe


def test_refused_attempts_are_there(api: System, services: Services) -> None:
    """Unknown, another instance's, a duplicate, a wrong order, too late: each with its reason and its subject."""
    mine = seed_instance(api.deployment, "audited mine")
    other = seed_instance(api.deployment, "audited other")
    api.delete("audited nobody")
    api.delete("audited other", key=mine.token)
    api.send("DELETE", "/instance/logout/audited%20other", key=mine.token)
    api.call("POST", "/deletions", key=mine.token, json={"instanceName": "audited other", "dryRun": True})
    first = api.delete("audited mine", key=mine.token, Prefer="respond-async").body["response"]["deletionId"]
    api.delete("audited mine")
    api.call("POST", "/deletions", json={})
    api.send("GET", "/audit", key=mine.token)
    api.call("POST", f"/deletions/{first}/retry", key=other.token, json={})
    api.call("POST", f"/deletions/{first}/retry", json={})

    found = api.send("GET", "/audit?decision=refused").body["lines"]
    told = [(line["action"], line["reason"], line["instanceId"], line["deletionId"]) for line in reversed(found)]
    assert told == [
        ("delete", "unknown instance", None, None),
        ("delete", "unauthorized", other.id, None),
        ("logout", "unauthorized", other.id, None),
        ("preview", "unauthorized", other.id, None),
        ("delete", "already being deleted", mine.id, first),
        ("delete", "invalid request", None, None),
        ("read", "unauthorized", None, None),
        ("retry", "unauthorized", mine.id, first),
        ("retry", "conflict", mine.id, first),
    ]
    assert {line["role"] for line in found} == {"admin", "instance"}
    assert chain.verify(services.own).broken is None


def test_logout_and_preview_are_there(api: System, services: Services) -> None:
    """A logout with how it went."""
    instance = seed_instance(api.deployment, "audited leaving")
    api.gateways[0].connect("audited leaving", instance.id, "open")
    api.send("DELETE", "/instance/logout/audited%20leaving")
    api.call("POST", "/deletions", json={"instanceName": "audited leaving", "dryRun": True})

    assert lines(services, instance_id=instance.id) == [
        ("logout", "accepted"), ("logout", "succeeded"), ("preview", "accepted"),
    ]  # fmt: skip


def test_a_flood_without_a_key_is_one_line(api: System, services: Services) -> None:
    """Two hundred attempts hold the chain once, and are counted."""
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: api.delete("anybody", key="wrong").status, range(200)))
    before = lines(services)
    written = refusals.write_lines(services.own, services.redis)

    (line,) = audit_search.search(services.own, Filters()).lines
    assert set(statuses) == {401}
    assert (before, written) == ([], 1)
    assert (line.times, line.role, line.address, line.reason) == (200, "nobody", "127.0.0.1", "no known key")
    assert refusals.write_lines(services.own, services.redis) == 0


def test_many_addresses_cost_a_bounded_number_of_lines(services: Services) -> None:
    """The first are told apart, all others are one."""
    for number in range(500):
        refusals.count(services.redis, Action.DELETE, Actor("nobody", address=f"198.51.100.{number}"))
    refusals.write_lines(services.own, services.redis)

    found = audit_search.search(services.own, Filters(limit=200)).lines
    assert len(found) <= 51
    assert sum(line.times for line in found) == 500


def test_a_known_keys_refusals_have_lines_up_to_a_bound(services: Services) -> None:
    """Further ones are counted, so that a customer who loops fills no disk."""
    answers = [refusals.count(services.redis, Action.LOGOUT, SOMEBODY) for _ in range(130)]
    refusals.write_lines(services.own, services.redis)

    (line,) = audit_search.search(services.own, Filters()).lines
    assert answers == [True] * 100 + [False] * 30
    assert (line.times, line.key_id, line.reason) == (30, "k1", "more of the same")


def test_counted_refusals_are_written_down_by_the_reconciler(system: System, services: Services) -> None:
    """Without a call of a client."""
    system.start("web", "worker", "beat")
    system.delete("anybody", key="wrong")

    wait_until(lambda: lines(services) == [("delete", "refused")], 20, "the line")
    system.stop()


def test_webhooks_that_expire_and_those_that_are_delivered_are_there(
    make_system: Callable[..., System],
) -> None:
    """With their receiver's kind and how often it was tried, never with an address."""
    system = make_system(webhook_keep_seconds=0.001)
    services = system.make_services()
    url = system.receiver.url
    told = seed_instance(system.deployment, "audited told", webhook_url=f"{url}/own")
    run_all(services, accept(services, told.id, "audited told"))
    deaf = seed_instance(system.deployment, "audited deaf", webhook_url="http://127.0.0.1:9/nobody")
    run_all(services, accept(services, deaf.id, "audited deaf"))
    outbox.expire(services.own, services.settings)

    assert ("webhook", "delivered") in lines(services, instance_id=told.id)
    assert lines(services, instance_id=deaf.id, action=Action.WEBHOOK) == [("webhook", "expired")]
    services.close()


def test_lines_are_filtered_and_paged(api: System, services: Services) -> None:
    """By time, action, decision, key, deletion and instance; newest first, a page at a time."""
    deletion_id = uuid4()
    first = write(services, Entry(Action.KEYS, Decision.ACCEPTED, Actor("server", "os:root")))
    for number in range(5):
        write(services, Entry(Action.SWEEP, Decision.REFUSED, Actor("admin", "k9"), f"i{number}", deletion_id))

    def ask(query: str) -> list[int]:
        answer = api.send("GET", f"/audit?{query}")
        assert answer.status == 200, answer.text
        return [line["seq"] for line in answer.body["lines"]]

    page = api.send("GET", "/audit?limit=2&action=sweep").body
    assert [line["seq"] for line in page["lines"]] == [6, 5]
    assert ask(f"limit=2&action=sweep&cursor={page['next']}") == [4, 3]
    assert api.send("GET", f"/audit?limit=2&action=sweep&cursor={4 - 1}").body["next"] is None
    assert ask("action=keys") == ask("decision=accepted&action=keys") == ask("keyId=os:root") == [first.seq]
    assert ask("decision=accepted")[-1] == first.seq
    assert ask("instanceId=i3") == [5]
    assert ask(f"deletionId={deletion_id}&limit=1") == [6]
    at = api.send("GET", "/audit?action=keys").body["lines"][0]["at"].replace("+", "%2B")
    assert first.seq in ask(f"since={at}")
    assert ask(f"until={at}") == []


@pytest.mark.parametrize(
    "query", ["action=odd", "limit=0", "limit=201", "cursor=x", "cursor=0", "cursor=99999999999999999999",
              "since=yesterday", "since=2026-01-01T00:00:00", "deletionId=x", "keyId=%00", "odd=1"]
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_a_400(shared_system: System, query: str) -> None:
    """In the documented shape."""
    answer = shared_system.send("GET", f"/audit?{query}")

    assert (answer.status, answer.body["error"]) == (400, True)


def test_only_admins_and_auditors_read_it(shared_system: System) -> None:
    """An instance's token does not, and a call without a key neither."""
    mine = seed_instance(shared_system.deployment, "curious")

    answers = [shared_system.send("GET", "/audit", key=key) for key in (mine.token, "wrong", None)]

    assert {(answer.status, answer.text) for answer in answers} == {(401, '{"error":true,"message":"Unauthorized"}')}


def test_nothing_personal_and_no_secret_is_in_any_column(make_system: Callable[..., System]) -> None:
    """Planted everywhere a caller can write: names, numbers, keys and tokens."""
    system = make_system()
    services = system.make_services()
    system.start("web")
    number, token = "5511987654321", "TOKEN-of-a-customer-0123456789"
    seed_instance(system.deployment, number, token=token)
    agent = f"curl/8.5.0 {number} {token} bot/{number}"
    for key in (None, "wrong-key-of-somebody", token, system.settings.admin_key.get_secret_value()):
        for name in (f"{number}9", number):
            system.send("DELETE", f"/instance/logout/{name}", key=key, User_Agent=agent)
            system.send("DELETE", f"/instance/delete/{name}?{number}", key=key, User_Agent=agent)
            system.send("DELETE", f"/instance/delete/{name}", key=key, User_Agent=agent, Prefer="respond-async")
        for body in ({"instanceId": number}, {"instanceName": number, "more": token}):
            system.call("POST", "/deletions", key=key or "x", json=body, headers={"User-Agent": agent})
    refusals.write_lines(services.own, services.redis)
    with services.own.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM audit").mappings().all()

    dump = json.dumps([{name: str(value) for name, value in row.items()} for row in rows])
    assert len(rows) > 10
    for planted in (number, token, "wrong-key", system.settings.admin_key.get_secret_value(), "98765432"):
        assert planted not in dump
    services.close()
    system.close()


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_a_callers_address_is_believed_from_trusted_proxies_only(
    make_system: Callable[..., System], proxies: int, address: str
) -> None:
    """The last proxy's word counts, what the caller has put before it does not."""
    system = make_system(trusted_proxies=proxies)
    services = system.make_services()
    system.start("web")
    system.send("DELETE", "/instance/logout/nobody", X_Forwarded_For="198.51.100.1, 203.0.113.9")

    assert [line.address for line in audit_search.search(services.own, Filters()).lines] == [address]
    services.close()
    system.close()


def test_a_dead_database_costs_an_error(make_system: Callable[..., System], postgres_part: Postgres) -> None:
    """The documented one, also without the permission; and the process goes on."""
    url = copy_database(postgres_part, "own_template")
    system = make_system(database_url=url)
    system.start("web")
    with psycopg.connect(postgres_part.url, autocommit=True) as connection:
        name = url.rsplit("/", 1)[1]
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')

    answers = [system.delete("nobody", key=key).status for key in ("wrong", "admin-key-for-tests-only")]

    assert answers == [500, 500]
    assert system.send("GET", "/health/live").status == 200
    system.close()
