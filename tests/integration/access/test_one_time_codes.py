"""Deletions that have to be confirmed with one-time codes."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pyotp
import pytest
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from demo.evolution.seed import seed_instance
from shared.access import one_time_codes
from shared.access.api_keys import NewKey
from shared.access.one_time_codes import CodeResult
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.services import Services
from tests.integration.inline import run_all
from tests.integration.keyring import enroll, make_key, revoke, wrong_for
from tests.integration.shell import lethe
from tests.system import ADMIN_KEY, Answer, System

AT_ONCE = 10  # as many as there are connections


pytestmark = pytest.mark.system("web", confirmation="totp")


@pytest.fixture
def key(services: Services) -> NewKey:
    """A key without codes yet."""
    return make_key(services, Role.ADMIN)


def delete(system: System, name: str, key: str, code: str | None = None) -> Answer:
    """The documented call, without a wait."""
    headers = {} if code is None else {"X_Confirmation_Code": code}
    return system.delete(name, key=key, Prefer="respond-async", **headers)


def use_code(services: Services, key: NewKey, code: str) -> CodeResult:
    """Check a code and use it up, as an accepted deletion does."""
    result, step = one_time_codes.check(services.own, services.settings, key.id, code)
    if result is not CodeResult.GOOD:
        return result
    with own_transaction(services.own) as connection:
        return result if one_time_codes.use(connection, key.id, step) else CodeResult.USED


def use_at_once(services: Services, key: NewKey, code: str) -> list[CodeResult]:
    """What many calls hear that come together, each on a connection that is open already."""
    together = Barrier(AT_ONCE, timeout=20)

    def use(_: int) -> CodeResult:
        with services.own.connect():
            together.wait()
        return use_code(services, key, code)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(use, range(AT_ONCE)))


def fill_limit(services: Services, key: NewKey, amount: int) -> list[bytes]:
    """As if the key had ordered its deletions of this minute; the keys of Redis that say so."""
    limiter = MovingWindowRateLimiter(
        RedisStorage("redis://", connection_pool=services.redis.connection_pool, key_prefix="lethe:limit")
    )
    assert limiter.hit(RateLimitItemPerMinute(amount), key.id, cost=amount)
    return list(services.redis.scan_iter(f"lethe:limit*{key.id}*"))


def exists_deletion(services: Services, instance_id: str) -> bool:
    """Whether a deletion of it was accepted."""
    with services.own.connect() as connection:
        row = connection.exec_driver_sql("SELECT 1 FROM deletions WHERE instance_id = %s", (instance_id,)).first()
    return row is not None


def test_a_code_confirms_and_the_receipt_says_so(system: System, services: Services, key: NewKey) -> None:
    """Which key, and that it was a code; the code stands nowhere."""
    seed_instance(system.deployment, "coded")
    system.gateways[0].load()
    code = enroll(services, key).now()

    answer = delete(system, "coded", key.key, code)
    deletion_id = UUID(answer.body["response"]["deletionId"])
    run_all(services, deletion_id)
    confirmed = system.send("GET", f"/deletions/{deletion_id}/receipt").body["receipt"]["confirmedBy"]

    assert answer.status == 202
    assert (confirmed["keyId"], confirmed["means"], confirmed["preview"]) == (key.id, "code", None)
    assert confirmed["at"] is not None


def test_a_code_works_once(system: System, services: Services, key: NewKey) -> None:
    """Not for another instance either."""
    seed_instance(system.deployment, "first use")
    second = seed_instance(system.deployment, "second use")
    code = enroll(services, key).now()

    first, again = delete(system, "first use", key.key, code), delete(system, "second use", key.key, code)

    assert (first.status, again.status) == (202, 428)
    assert "already used" in again.body["message"]
    assert not exists_deletion(services, second.id)


def test_a_refused_order_leaves_the_code_usable(system: System, services: Services, key: NewKey) -> None:
    """409 and 429 accept nothing, and so they use up nothing."""
    for name in ("taken", "limited", "free"):
        seed_instance(system.deployment, name)
    other = make_key(services, Role.ADMIN)
    delete(system, "taken", other.key, enroll(services, other).now())
    code = enroll(services, key).now()
    rate_limit = system.settings.limit_per_minute

    taken = delete(system, "taken", key.key, code)
    filled = fill_limit(services, key, rate_limit)
    limited = delete(system, "limited", key.key, code)
    services.redis.delete(*filled)
    free, again = (delete(system, name, key.key, code) for name in ("free", "limited"))

    assert (taken.status, limited.status, free.status, again.status) == (409, 429, 202, 428)


def test_one_code_of_many_calls_at_once_confirms_one(services: Services, key: NewKey) -> None:
    """A code that another person has seen is of no use."""
    code = enroll(services, key).now()
    verdicts = use_at_once(services, key, code)

    assert sorted(verdicts) == sorted([CodeResult.GOOD] + [CodeResult.USED] * (AT_ONCE - 1))


def test_an_earlier_code_is_not_good_after_a_later_one(
    services: Services, key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while its time is not over; the next one is."""
    totp, now = enroll(services, key), time.time()
    monkeypatch.setattr("shared.access.one_time_codes.time.time", lambda: now)
    verdicts = [use_code(services, key, totp.at(int(now) + seconds)) for seconds in (0, -30, 30)]

    assert verdicts == [CodeResult.GOOD, CodeResult.USED, CodeResult.GOOD]


@pytest.mark.parametrize("code", [None, "", "000000 ", "abcdef", "ü", "1" * 500])
def test_without_a_good_code_nothing_is_accepted(
    system: System, services: Services, key: NewKey, code: str | None
) -> None:
    """428 in the documented shape, and a preview's token does not help."""
    instance = seed_instance(system.deployment, f"codeless {(code or repr(code))[:9]}")
    enroll(services, key)
    name = f"codeless {(code or repr(code))[:9]}"
    preview = system.call("POST", "/deletions", key=key.key, json={"instanceName": name, "dryRun": True}).json()
    given = {} if code is None else {"X-Confirmation-Code": code.encode().decode("latin-1")}
    order = {"instanceId": instance.id}
    token = {"X-Confirmation-Token": preview["confirmationToken"]}

    answer = system.call("POST", "/deletions", key=key.key, json=order, headers={**given, **token})

    assert (answer.status_code, sorted(answer.json())) == (428, ["error", "message"])
    assert not exists_deletion(services, instance.id)


def test_five_wrong_codes_lock_the_key(system: System, services: Services, key: NewKey) -> None:
    """A good one does not help then; another key is as free as before, and the time ends the lock."""
    instance = seed_instance(system.deployment, "locked")
    totp, other = enroll(services, key), make_key(services, Role.ADMIN)
    others_totp, wrong = enroll(services, other), wrong_for(totp, time.time())
    wrong_ones = [delete(system, "locked", key.key, wrong) for _ in range(5)]
    good = delete(system, "locked", key.key, totp.now())
    accepted = exists_deletion(services, instance.id)
    lines = system.send("GET", f"/audit?keyId={key.id}").body["lines"]

    assert {answer.status for answer in (*wrong_ones, good)} == {428}
    assert ["wrong" in answer.body["message"].split(":")[0] for answer in wrong_ones] == [True] * 5
    assert "cannot confirm for up to 900 s" in good.body["message"]
    assert not accepted
    assert [line["reason"] for line in lines[:3]] == [
        "confirmation locked",
        "confirmation locked",
        "wrong confirmation",
    ]
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE one_time_codes SET locked_until = now() WHERE key_id = %s", (key.id,))
    assert use_code(services, key, totp.now()) is CodeResult.GOOD
    assert delete(system, "locked", other.key, others_totp.now()).status == 202


def test_of_many_guesses_at_once_five_are_looked_at(services: Services, key: NewKey) -> None:
    """The sixth comes to a locked door, however many knock together."""
    wrong = wrong_for(enroll(services, key), time.time())
    verdicts = use_at_once(services, key, wrong)

    assert sorted(verdicts) == sorted([CodeResult.WRONG] * 4 + [CodeResult.LOCKED] * (AT_ONCE - 4))


def test_a_good_code_forgives_the_wrong_ones_before(services: Services, key: NewKey) -> None:
    """Five in a row lock, not five ever."""
    totp = enroll(services, key)
    wrong = wrong_for(totp, time.time())
    codes = [wrong] * 4 + [totp.now()] + [wrong] * 4
    verdicts = [use_code(services, key, code) for code in codes]

    assert verdicts == [CodeResult.WRONG] * 4 + [CodeResult.GOOD] + [CodeResult.WRONG] * 4


def test_who_has_no_codes_confirms_nothing(system: System, services: Services, key: NewKey) -> None:
    """A key that was not enrolled, the admin key of the settings, an instance's own token; another key's code."""
    instance = seed_instance(system.deployment, "no codes")
    code = enroll(services, make_key(services, Role.ADMIN)).now()

    answers = [delete(system, "no codes", each, code) for each in (key.key, ADMIN_KEY, instance.token)]

    assert {answer.status for answer in answers} == {428}
    assert all("enroll-totp" in answer.body["message"] for answer in answers)
    assert not exists_deletion(services, instance.id)


def test_the_command_enrolls(system: System, services: Services, key: NewKey) -> None:
    """A QR and its URI, this once; sealed in the database; the codes before it end, and so does a lock."""
    earlier = enroll(services, key)
    shown = lethe(system, "keys", "enroll-totp", key.id)
    script = json.loads(lethe(system, "keys", "enroll-totp", key.id, "--json").stdout)
    totp = pyotp.TOTP(parse_qs(urlsplit(script["uri"]).query)["secret"][0])
    listed = lethe(system, "keys", "list", "--json").stdout
    with services.own.connect() as connection:
        sealed = bytes(
            connection.exec_driver_sql("SELECT sealed FROM one_time_codes WHERE key_id = %s", (key.id,)).scalar_one()
        )

    assert shown.returncode == 0, shown.stderr
    assert {"█", "▀", "▄"} <= set(shown.stdout)
    assert f"otpauth://totp/Lethe:{key.id}?secret=" in shown.stdout
    assert totp.secret.encode() not in sealed
    assert totp.secret not in listed
    lines = system.send("GET", "/audit?action=keys").body["lines"]
    assert lines[0]["reason"] == f"enrolled {key.id} for one-time codes"
    verdicts = [use_code(services, key, code) for code in (earlier.now(), totp.now())]
    assert verdicts == [CodeResult.WRONG, CodeResult.GOOD]


def test_a_key_that_is_not_alive_cannot_be_enrolled(system: System, services: Services, key: NewKey) -> None:
    """Nor one that does not exist."""
    revoke(services, key)

    answers = [lethe(system, "keys", "enroll-totp", each) for each in (key.id, "bootstrap")]

    assert [answer.returncode for answer in answers] == [1, 1]
    assert {answer.stdout for answer in answers} == {""}
