"""An instance whose server is no gateway of the settings is refused: nobody could ask that server to forget it."""

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from demo.evolution.census import fingerprint
from demo.evolution.gateway import Gateway
from demo.evolution.seed import CLIENT_NAME, seed_instance
from shared.services import Services
from tasks import pipeline
from tasks.context import Target
from tests.integration.inline import accept, run_all, run_steps
from tests.integration.shell import lethe
from tests.system import GATEWAY_KEY, System

ELSEWHERE = "another_server"


@pytest.fixture
def services(fresh_services: Services) -> Services:
    """For code that runs here."""
    return fresh_services


@pytest.fixture
def serve(system: System) -> Iterator[Callable[[str], Gateway]]:
    """Start one more server on the same database: serve(client_name)."""
    started: list[Gateway] = []

    def start(client_name: str) -> Gateway:
        server = Gateway(system.deployment.database_url, GATEWAY_KEY, client_name)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def ending(system: System, deletion_id: UUID) -> tuple[str, str | None, str]:
    """Status, failed step and reason."""
    shown = system.show(str(deletion_id))
    return shown["status"], shown["failedStep"], str(shown["reason"])


def call_it(system: System, name: str, client_name: str | None) -> None:
    """Change whose an instance is."""
    with system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET "clientName" = %s WHERE name = %s', (client_name, name))


def test_an_instance_of_another_server_is_refused_before_anything_is_touched(
    system: System, services: Services
) -> None:
    """With the names of its server and of those that are listed."""
    instance = seed_instance(system.deployment, "elsewhere", client_name=ELSEWHERE)
    system.gateways[0].connect("elsewhere", instance.id)
    before = fingerprint(system.deployment)
    deletion_id = accept(services, instance.id, "elsewhere")

    run_all(services, deletion_id)

    status, step, reason = ending(system, deletion_id)
    assert (status, step) == ("failed", "logout")
    assert f'"{ELSEWHERE}"' in reason
    assert f'"{CLIENT_NAME}"' in reason
    assert system.gateways[0].sessions["elsewhere"] == "open"
    assert fingerprint(system.deployment) == before


def test_a_preview_is_refused_as_well(system: System) -> None:
    """Over HTTP and on the server, unless the server is given up."""
    seed_instance(system.deployment, "unseen", client_name=ELSEWHERE)
    order = {"instanceName": "unseen", "dryRun": True}

    asked = system.call("POST", "/deletions", json=order)
    without = system.call("POST", "/deletions", json=order | {"withoutGateway": [ELSEWHERE]})
    on_the_server = lethe(system, "preview", "unseen")
    there_without = lethe(system, "preview", "unseen", "--without-gateway", ELSEWHERE)

    assert (asked.status_code, without.status_code) == (400, 200)
    assert (on_the_server.returncode, there_without.returncode) == (1, 0)
    for said in (asked.json()["message"], on_the_server.stderr):
        assert ELSEWHERE in said
        assert CLIENT_NAME in said


def test_a_server_that_is_gone_for_good_is_given_up_by_its_name(system: System, services: Services) -> None:
    """It is recorded; the name of a server that no instance has is none."""
    instance = seed_instance(system.deployment, "stranded", client_name=ELSEWHERE)
    deletion_id = accept(services, instance.id, "stranded")
    run_all(services, deletion_id)
    path = f"/deletions/{deletion_id}/retry"

    wrong = system.call("POST", path, json={"withoutGateway": ["nobodys_server"]})
    wrong_there = lethe(system, "retry", str(deletion_id), "--without-gateway", "nobodys_server")
    accepted = system.call("POST", path, json={"withoutGateway": [ELSEWHERE]})
    run_steps(services, deletion_id, *pipeline.NAMES, attempt=2)

    assert (wrong.status_code, wrong_there.returncode, accepted.status_code) == (400, 1, 202)
    assert ending(system, deletion_id)[0] == "succeeded"
    assert system.show(str(deletion_id))["withoutGateways"] == [ELSEWHERE]


def test_giving_one_server_up_gives_up_no_other(system: System, services: Services) -> None:
    """Of two that are not listed."""
    instance = seed_instance(system.deployment, "third", client_name="a_third_server")

    with pytest.raises(Exception, match="a_third_server"):
        pipeline.preview(Target(services, instance.id, "third", (ELSEWHERE,)))


def test_a_gateway_that_was_given_up_may_be_its_server(system: System, serve: Callable[[str], Gateway]) -> None:
    """Nobody can ask it for its name any more."""
    instance = seed_instance(system.deployment, "orphan", client_name=ELSEWHERE)
    gone = serve(ELSEWHERE)
    gone.stop()
    services = system.make_services(gateways=(system.gateways[0].url, gone.url))

    planned = pipeline.preview(Target(services, instance.id, "orphan", (gone.url,)))

    services.close()
    assert planned["delete_records"]["Message"]


def test_an_instance_of_any_listed_server_is_deleted(system: System, serve: Callable[[str], Gateway]) -> None:
    """Each is asked once for its name, and the second not at all when it is the first's."""
    instance = seed_instance(system.deployment, "second's", client_name=ELSEWHERE)
    second = serve(ELSEWHERE)
    services = system.make_services(gateways=(second.url, system.gateways[0].url))
    system.gateways[0].calls.clear()
    deletion_id = accept(services, instance.id, "second's")

    run_all(services, deletion_id)

    services.close()
    assert ending(system, deletion_id)[0] == "succeeded"
    assert [gateway.calls.count(("GET", "/")) for gateway in (second, system.gateways[0])] == [1, 0]


@pytest.mark.parametrize("client_name", [None, ""])
def test_an_instance_whose_server_is_not_known_is_not_refused(
    system: System, services: Services, client_name: str | None
) -> None:
    """Rows of older servers have no clientName."""
    instance = seed_instance(system.deployment, f"nameless {client_name}")
    call_it(system, f"nameless {client_name}", client_name)

    assert pipeline.preview(Target(services, instance.id, f"nameless {client_name}"))


def test_a_gateway_that_does_not_tell_its_name_may_be_its_server(
    system: System, serve: Callable[[str], Gateway]
) -> None:
    """Older and newer servers, and proxies that hide what GET / says."""
    instance = seed_instance(system.deployment, "of a silent one", client_name=ELSEWHERE)
    services = system.make_services(gateways=(system.gateways[0].url, serve("").url))

    assert pipeline.preview(Target(services, instance.id, "of a silent one"))
    services.close()


def test_a_fenced_instance_is_nobodys(system: System, services: Services) -> None:
    """A deletion that has passed its point of no return goes on, also when it is planned anew."""
    instance = seed_instance(system.deployment, "half gone")
    services.tenant.fence(instance.id, UUID(int=7))

    assert pipeline.preview(Target(services, instance.id, "half gone"))


@pytest.mark.parametrize(
    ("client_name", "told", "verdict", "says"),
    [
        (CLIENT_NAME, CLIENT_NAME, "ok", f'"{CLIENT_NAME}"'),
        (ELSEWHERE, CLIENT_NAME, "broken", f'"{ELSEWHERE}": 2'),
        (ELSEWHERE, "", "warning", f'"{ELSEWHERE}": 2'),
        (None, CLIENT_NAME, "warning", "no clientName: 2"),
    ],
    ids=["listed", "not listed", "a silent gateway", "nameless rows"],
)
def test_doctor_counts_the_instances_of_servers_that_are_not_listed(
    make_system: Callable[..., System],
    serve: Callable[[str], Gateway],
    client_name: str | None,
    told: str,
    verdict: str,
    says: str,
) -> None:
    """By the name of their server; what it cannot see it names."""
    system, server = make_system(), serve(told)
    for number in range(2):
        seed_instance(system.deployment, f"counted {number}")
        call_it(system, f"counted {number}", client_name)

    found = json.loads(lethe(system, "doctor", "--json", LETHE_GATEWAYS=server.url).stdout)

    (row,) = (row for row in found if row["part"] == "servers")
    assert row["verdict"] == verdict
    assert says in row["says"]
    assert ("second server" in row["says"]) is (verdict == "ok")
    assert bool(row["advice"]) is (verdict != "ok")
