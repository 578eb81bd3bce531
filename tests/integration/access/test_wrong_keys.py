"""An address that sends many wrong keys gets 429 for a while; nobody else notices."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.evolution.seed import seed_instance
from shared.database.enums import Role
from tests.integration.keyring import make_key
from tests.system import ADMIN_KEY, Answer, System

LIMIT = 5


@pytest.fixture
def system(make_system: Callable[..., System]) -> Callable[..., System]:
    """An API in two processes with a low limit."""

    def start(**settings: object) -> System:
        made = make_system(wrong_keys_per_minute=LIMIT, api_processes=2, **settings)
        made.start("web")
        return made

    return start


def logout(system: System, key: str | None, **headers: str) -> Answer:
    """A call that changes nothing, for nobody has that name."""
    return system.send("DELETE", "/instance/logout/nobody", key=key, **headers)


def test_many_wrong_keys_are_429_at_once(system: Callable[..., System]) -> None:
    """Exactly, also in parallel and on every endpoint; whatever the keys are, and answered without a pause."""
    running = system()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: logout(running, f"wrong {number}"), range(20)))
    began = time.monotonic()
    others = [
        running.send(method, path, key=key)
        for method, path in (("GET", "/deletions"), ("GET", "/audit"), ("DELETE", "/instance/delete/nobody"))
        for key in ("wrong", "\xfc", "x" * 4000)
    ]
    seconds = time.monotonic() - began

    assert Counter(answer.status for answer in answers) == {401: LIMIT, 429: 20 - LIMIT}
    assert {answer.status for answer in others} == {429}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in others)
    assert list(others[0].body) == ["error", "message"]
    assert seconds < 5


def test_right_keys_are_not_affected(system: Callable[..., System]) -> None:
    """From the same address, also those of instances and those without a permission; nor a call without a key."""
    running = system()
    services = running.make_services()
    instance = seed_instance(running.deployment, "not affected")
    viewer = make_key(services, Role.VIEWER).key
    for _ in range(LIMIT + 1):
        limited = logout(running, "wrong")

    assert limited.status == 429
    assert logout(running, ADMIN_KEY).status == 400
    assert logout(running, None).status == logout(running, "").status == logout(running, viewer).status == 401
    assert running.send("GET", "/deletions", key=viewer).status == 200
    assert running.delete("not affected", key=instance.token, Prefer="respond-async").status == 202


@pytest.mark.parametrize(
    "header",
    [
        {"X_Forwarded_For": "198.51.100.1"},
        {"Forwarded": "for=198.51.100.1"},
        {"X_Real_IP": "198.51.100.1"},
        {"Via": "1.1 proxy"},
        {"X_Forwarded_Proto": "https"},
    ],
)
def test_the_address_of_a_proxy_is_not_counted(system: Callable[..., System], header: dict[str, str]) -> None:
    """Without LETHE_TRUSTED_PROXIES nobody knows whose the address behind it is."""
    running = system()

    assert {logout(running, "wrong", **header).status for _ in range(LIMIT + 3)} == {401}


def test_behind_trusted_proxies_each_caller_is_counted(system: Callable[..., System]) -> None:
    """By the address that the proxy has seen; of IPv6 by the network, whatever port is added."""
    running = system(trusted_proxies=1)

    def statuses(addresses: list[str]) -> list[int]:
        return [logout(running, "wrong", X_Forwarded_For=address).status for address in addresses]

    full = [401] * LIMIT + [429]
    assert statuses([f"10.0.0.{number}, 203.0.113.1" for number in range(LIMIT + 1)]) == full
    assert statuses([f"203.0.113.2:{4711 + number}" for number in range(LIMIT + 1)]) == full
    assert statuses([f"2001:db8::{number}" for number in range(LIMIT + 1)]) == full
    assert statuses([f"[2001:db8:1::1]:{number}" for number in range(1, LIMIT + 2)]) == full
    assert statuses([f"203.0.114.{number}" for number in range(LIMIT + 1)]) == [401] * (LIMIT + 1)
    assert [logout(running, "wrong").status for _ in range(LIMIT + 1)] == [401] * (LIMIT + 1)  # the proxy itself


def test_without_redis_a_wrong_key_is_401(system: Callable[..., System]) -> None:
    """It cannot be counted, and is wrong all the same."""
    running = system(redis_url="redis://127.0.0.1:1/0")

    assert {logout(running, "wrong").status for _ in range(LIMIT + 3)} == {401}
