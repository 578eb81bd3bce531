"""How many deletions one key may order: exact under parallel calls, and only what is accepted counts."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from shared.database.enums import Role
from shared.services import Services
from tests.integration.keyring import make_key, rotate
from tests.system import Answer, System


@pytest.fixture(scope="module")
def limited(make_system: Callable[..., System]) -> Callable[..., Any]:
    """An API in two processes and without a worker, with these limits: accepted deletions stay queued."""

    @contextmanager
    def start(minute: int, hour: int) -> Iterator[tuple[System, Services]]:
        system = make_system(limit_per_minute=minute, limit_per_hour=hour, api_processes=2)
        system.start("web")
        services = system.make_services()
        yield system, services
        services.close()
        system.stop()

    return start


def seed(system: System, prefix: str, number: int) -> list[str]:
    """Some small instances; their names."""
    names = [f"{prefix} {each}" for each in range(number)]
    for name in names:
        seed_instance(system.deployment, name, messages=1)
    return names


def order(system: System, name: str, key: str) -> Answer:
    """Order a deletion, and do not wait for it."""
    return system.delete(name, key=key, Prefer="respond-async")


def count(services: Services, query: str) -> int:
    """One number of the own database."""
    with services.own.connect() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def test_forty_calls_at_once_are_ten_deletions(limited: Callable[..., Any]) -> None:
    """Exactly; what was refused left neither a deletion nor a lock, and another key may order it at once."""
    with limited(10, 100) as (system, services):
        names = seed(system, "parallel", 40)
        key, other = (make_key(services, Role.ADMIN).key for _ in range(2))
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda name: order(system, name, key), names))

        refused = [name for name, answer in zip(names, answers, strict=True) if answer.status == 429]
        assert Counter(answer.status for answer in answers) == {202: 10, 429: 30}
        assert count(services, "SELECT count(*) FROM deletions") == 10
        assert count(services, "SELECT count(*) FROM steps") == 70
        assert len(list(services.redis.scan_iter("lethe:lock:*"))) == 10
        assert count(services, "SELECT count(*) FROM audit WHERE reason = 'limit reached'") == 30
        assert [order(system, name, other).status for name in refused[:10]] == [202] * 10
        assert order(system, refused[10], other).status == 429


def test_a_refusal_says_how_long(limited: Callable[..., Any]) -> None:
    """In the documented shape, with Retry-After and the RateLimit headers; and that is the truth."""
    with limited(1, 100) as (system, services):
        first, second = seed(system, "told", 2)
        key = make_key(services, Role.ADMIN).key
        order(system, first, key)

        answer = order(system, second, key)

        seconds = int(answer.headers["Retry-After"])
        assert (answer.status, answer.body) == (
            429,
            {"error": True, "message": f"No more than 1 deletions per minute and key: try again in {seconds} s"},
        )
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert {name: value for name, value in answer.headers.items() if name.startswith("RateLimit-")} == {
            "RateLimit-Limit": "1",
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
        }
        assert 50 <= seconds <= 60
        (window,) = services.redis.keys("lethe:limit*minute")
        services.redis.lset(window, 0, str(time.time() - 61))  # as if the minute were over
        assert order(system, second, key).status == 202


def test_what_is_not_accepted_does_not_count(limited: Callable[..., Any]) -> None:
    """Previews, unknown and malformed ones, duplicates, a role that may not, and refusals themselves."""
    with limited(3, 100) as (system, services):
        names = seed(system, "uncounted", 4)
        key, viewer = make_key(services, Role.ADMIN).key, make_key(services, Role.VIEWER).key
        before = [
            order(system, names[0], key).status,
            order(system, names[0], key).status,
            order(system, "nobody", key).status,
            system.send("DELETE", "/instance/delete/a?b", key=key).status,
            order(system, names[0], viewer).status,
            *(
                system.call("POST", "/deletions", key=key, json=body).status_code
                for body in ({"instanceName": names[1], "dryRun": True}, {"instanceName": "nobody"}, {"odd": 1})
            ),
        ]

        assert before == [202, 409, 400, 400, 401, 200, 400, 400]
        assert [order(system, name, key).status for name in names[1:]] == [202, 202, 429]


def test_all_ways_to_order_share_the_limit(limited: Callable[..., Any]) -> None:
    """DELETE by name, POST by name and by id, and the retry of one that failed."""
    with limited(4, 100) as (system, services):
        names = seed(system, "shared", 4)
        key = make_key(services, Role.ADMIN).key
        first = order(system, names[0], key).body["response"]["deletionId"]
        with services.own.begin() as connection:
            connection.exec_driver_sql("UPDATE deletions SET status = 'failed'")

        def post(path: str, **body: str) -> int:
            return system.call("POST", path, key=key, json=body).status_code

        by_id = services.tenant.find(name=names[2])
        assert by_id
        assert post("/deletions", instanceName=names[1]) == post("/deletions", instanceId=by_id.id) == 202
        assert post(f"/deletions/{first}/retry") == 202
        assert post(f"/deletions/{first}/retry") == 409
        assert order(system, names[3], key).status == 429


def test_a_failed_deletion_is_not_resumed_above_the_limit(limited: Callable[..., Any]) -> None:
    """Neither by the same call nor by retry; it stays failed, and its lock is free."""
    with limited(1, 100) as (system, services):
        (name,) = seed(system, "stays", 1)
        key = make_key(services, Role.ADMIN).key
        deletion_id = order(system, name, key).body["response"]["deletionId"]
        services.redis.delete(*services.redis.keys("lethe:lock:*"))
        with services.own.begin() as connection:
            connection.exec_driver_sql("UPDATE deletions SET status = 'failed'")

        by_name = order(system, name, key)
        by_retry = system.call("POST", f"/deletions/{deletion_id}/retry", key=key, json={})

        assert (by_name.status, by_retry.status_code) == (429, 429)
        assert count(services, "SELECT attempt FROM deletions WHERE status = 'failed'") == 1
        assert services.redis.keys("lethe:lock:*") == []


def test_a_full_hour_uses_up_no_minute(limited: Callable[..., Any]) -> None:
    """What is refused for the hour's sake is not counted in the minute; the answer names the hour."""
    with limited(50, 2) as (system, services):
        names = seed(system, "hourly", 3)
        key = make_key(services, Role.ADMIN).key
        accepted = [order(system, name, key).status for name in names[:2]]

        refused = [order(system, names[2], key) for _ in range(5)]

        (minute,) = services.redis.keys("lethe:limit*minute")
        assert accepted == [202, 202]
        assert {answer.status for answer in refused} == {429}
        assert 3500 < int(refused[0].headers["Retry-After"]) <= 3600
        assert refused[0].headers["RateLimit-Limit"] == "2"
        assert services.redis.llen(minute) == 2


def test_a_new_secret_is_no_new_limit(limited: Callable[..., Any]) -> None:
    """The key is the same; and neither secret is in Redis."""
    with limited(1, 100) as (system, services):
        names = seed(system, "rotated", 2)
        key = make_key(services, Role.ADMIN)
        order(system, names[0], key.key)
        rotated = rotate(services, key)

        answer = order(system, names[1], rotated.key)

        assert answer.status == 429
        assert not any(each.key.encode() in name for each in (key, rotated) for name in services.redis.keys("*"))


def test_each_instance_has_a_limit_of_its_own(limited: Callable[..., Any]) -> None:
    """It orders and takes back, again and again; its neighbour is not held up, and no token is in Redis."""
    with limited(2, 100) as (system, services):
        first, second = (seed_instance(system.deployment, name) for name in ("wavering", "neighbour"))

        def order_and_cancel() -> int:
            answer = order(system, "wavering", first.token)
            if answer.status == 202:
                system.call("POST", f"{answer.headers['Location']}/cancel", key=first.token)
            return answer.status

        assert [order_and_cancel() for _ in range(4)] == [202, 202, 429, 429]
        assert order(system, "neighbour", second.token).status == 202
        assert not any(first.token.encode() in name for name in services.redis.keys("*"))


def test_a_dead_redis_refuses_deletions_quickly(make_system: Callable[..., System]) -> None:
    """With the documented 500; nothing is promised that could not be counted."""
    system = make_system(redis_url=f"redis://127.0.0.1:{server_port()}/0")
    seed_instance(system.deployment, "not counted")
    services = system.make_services()
    system.start("web")
    began = time.monotonic()
    answer: requests.Response = system.call("DELETE", "/instance/delete/not%20counted")
    seconds = time.monotonic() - began
    system.stop()

    assert (answer.status_code, answer.text) == (500, '{"error":true,"message":"Internal server error"}')
    assert seconds < 5
    assert count(services, "SELECT count(*) FROM deletions") == 0
    services.close()
