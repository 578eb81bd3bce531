"""A gateway's address that leads back to Lethe is found out before anything is done."""

import json
from collections.abc import Callable, Iterator

import pytest
import requests

from demo.evolution.census import fingerprint
from demo.evolution.seed import seed_instance
from shared.evolution.gateway import Gateway
from tests.integration.inline import accept, run_all
from tests.integration.proxy import Proxy, nginx_before
from tests.integration.shell import lethe
from tests.system import ADMIN_KEY, GATEWAY_KEY, System

SENTENCE = "this address leads back to Lethe"


@pytest.fixture(scope="module", params=[ADMIN_KEY, GATEWAY_KEY], ids=["two keys", "one key for both"])
def system(make_system: Callable[..., System], request: pytest.FixtureRequest) -> Iterator[System]:
    """An API without a worker, whose admin key is Evolution's own or another."""
    made = make_system(admin_key=request.param)
    made.start("web")
    yield made
    made.close()


@pytest.fixture(scope="module")
def proxy(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The public address: deletes go to Lethe, all else to Evolution."""
    with nginx_before(tmp_path_factory.mktemp("nginx"), system.url, system.gateways[0].url) as running:
        yield running


def counts(system: System) -> list[int]:
    """How many lines the audit has, and how many deletions were accepted."""
    services = system.make_services()
    with services.own.connect() as connection:
        tables = ("audit", "deletions")
        found = [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables]
    services.close()
    return found


def test_doctor_finds_the_public_address_out(system: System, proxy: Proxy) -> None:
    """With the setting's name, and without a trace in the audit."""
    before = counts(system)

    found = json.loads(lethe(system, "doctor", "--json", LETHE_GATEWAYS=proxy.url).stdout)

    (row,) = (row for row in found if row["part"] == f"gateway {proxy.url}")
    assert (row["verdict"], counts(system)) == ("broken", before)
    assert SENTENCE in row["says"]
    assert "LETHE_GATEWAYS" in row["advice"]


def test_a_deletion_is_refused_before_anything_is_touched(system: System, proxy: Proxy) -> None:
    """By its first step, with the gateway's address and the setting's name."""
    instance = seed_instance(system.deployment, "kept")
    system.gateways[0].load()
    before, services = fingerprint(system.deployment), system.make_services(gateways=(proxy.url,))
    deletion_id = accept(services, instance.id, "kept")

    run_all(services, deletion_id)

    with services.own.connect() as connection:
        query = "SELECT status, failed_step, reason FROM deletions WHERE id = %s"
        status, step, reason = connection.exec_driver_sql(query, (deletion_id,)).one()
    services.close()
    assert (status, step) == ("failed", "logout")
    assert all(part in reason for part in (SENTENCE, proxy.url, "LETHE_GATEWAYS"))
    assert system.gateways[0].sessions["kept"] == "open"
    assert fingerprint(system.deployment) == before


def test_what_lethe_has_sent_to_a_gateway_orders_nothing(system: System) -> None:
    """Should it reach Lethe itself, with whatever key: no deletion, no logout, and no line in the audit."""
    instance = seed_instance(system.deployment, "spared")
    before = counts(system)

    with pytest.raises(Exception, match=SENTENCE):
        Gateway(system.url, system.settings.admin_key.get_secret_value(), 5).drop(instance.name)
    with pytest.raises(Exception, match=SENTENCE):
        Gateway(system.url, system.settings.admin_key.get_secret_value(), 5).log_out(instance.name)

    assert counts(system) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/live"),
        ("GET", "/nothing"),
        ("DELETE", "/instance/delete/a"),
        ("GET", "/console"),
        ("POST", "/"),
    ],
)
def test_every_answer_is_known_as_lethes(system: System, method: str, path: str) -> None:
    """An error's too, and that of a server that could not read the request."""
    answers = [
        requests.request(method, f"{system.url}{path}", headers=headers, timeout=10)
        for headers in ({}, {"apikey": "wrong"}, {"X-Long": "x" * 9000})
    ]

    assert [answer.headers.get("X-Lethe") for answer in answers] == ["1"] * 3
