"""INSTANCE_DELETE is sent as documented; a dead receiver costs seconds and not the deletion."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from demo.evolution.receiver import Receiver
from demo.evolution.seed import seed_instance
from shared.services import Services
from shared.settings import WebhookForm
from shared.webhooks import delivery
from tests.integration.inline import accept, run_all
from tests.system import System


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A system without processes, with a global webhook."""
    receiver = Receiver()
    receiver.start()
    made = make_system(webhook_global_url=f"{receiver.url}/global", webhook_global_by_events=True)
    made.receiver.stop()
    made.receiver = receiver
    yield made
    made.close()


@pytest.fixture
def services(fresh_services: Services) -> Services:
    """Services for steps that run in the test."""
    return fresh_services


def erase(system: System, services: Services, name: str, **webhook: Any) -> dict[str, Any]:
    """Erase an instance with this webhook; the step's removed counts and notes."""
    instance = seed_instance(system.deployment, name, **webhook)
    deletion_id = accept(services, instance.id, name)
    system.receiver.received.clear()
    run_all(services, deletion_id)
    with services.own.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT removed, notes FROM steps WHERE deletion_id = %s AND name = 'send_webhook'", (deletion_id,)
        ).one()
        status = connection.exec_driver_sql("SELECT status FROM deletions WHERE id = %s", (deletion_id,)).scalar()
    assert status == "succeeded"
    return {"id": instance.id, "removed": row[0], "notes": row[1]}


def kept(services: Services, instance_id: str) -> tuple[Any, ...]:
    """Status, seal and error of the instance's own webhook, and how many lines of the audit refuse it."""
    with services.own.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT w.status, w.sealed, w.error FROM webhook_events w JOIN deletions d ON d.id = w.deletion_id"
            " WHERE d.instance_id = %s AND w.target = 'instance'",
            (instance_id,),
        ).one()
        lines = connection.exec_driver_sql(
            "SELECT count(*) FROM audit WHERE action = 'webhook' AND decision = 'refused' AND instance_id = %s",
            (instance_id,),
        ).scalar_one()
    return (*row, lines)


def test_both_webhooks_get_the_documented_body(system: System, services: Services) -> None:
    """The instance's own with its headers, and the global one with the event in its path."""
    erased = erase(
        system, services, "told", webhook_url=f"{system.receiver.url}/own", webhook_headers={"X-Customer": "42"}
    )

    own, everyone = sorted(system.receiver.received, key=lambda received: received.path, reverse=True)
    assert (own.path, everyone.path) == ("/own", "/global/instance-delete")
    assert (
        own.body
        == everyone.body
        == {
            "event": "INSTANCE_DELETE",
            "instance": "told",
            "data": {"instanceName": "told", "instanceId": erased["id"]},
        }
    )
    assert own.headers["x-customer"] == "42"
    assert "x-customer" not in everyone.headers
    assert erased["removed"] == {"delivered": 2}


def test_a_webhook_that_leads_inside_is_refused_for_good(system: System) -> None:
    """The customer's is not called and not kept, and the deletion succeeds; the operator's own may be inside."""
    services = system.make_services(webhook_allow=())

    erased = erase(system, services, "led inside", webhook_url=f"{system.receiver.url}/own")

    found = kept(services, erased["id"])
    services.close()
    assert [received.path for received in system.receiver.received] == ["/global/instance-delete"]
    assert erased["removed"] == {"refused": 1, "delivered": 1}
    assert found == ("refused", None, delivery.NOT_ALLOWED, 1)


def test_by_events_and_a_jwt_key(system: System, services: Services) -> None:
    """/instance-delete is appended, and jwt_key becomes a signed bearer instead of a header."""
    key = "a key of at least thirty-two bytes"
    erase(
        system,
        services,
        "signed",
        webhook_url=f"{system.receiver.url}/own",
        webhook_by_events=True,
        webhook_headers={"jwt_key": key},
    )

    own = next(received for received in system.receiver.received if received.path.startswith("/own"))
    claims = jwt.decode(own.headers["authorization"].removeprefix("Bearer "), key, algorithms=["HS256"])
    assert own.path == "/own/instance-delete"
    assert (claims["app"], claims["action"], claims["exp"] - claims["iat"]) == ("evolution", "webhook", 600)
    assert "jwt_key" not in own.headers


@pytest.mark.parametrize(("events", "sent"), [((), 1), (("INSTANCE_DELETE", "CALL"), 1), (("MESSAGES_UPSERT",), 0)])
def test_only_who_asked_for_the_event_gets_it(
    system: System, services: Services, events: tuple[str, ...], sent: int
) -> None:
    """An empty list means all."""
    erase(system, services, f"events {events}", webhook_url=f"{system.receiver.url}/own", webhook_events=events)

    assert sum(received.path == "/own" for received in system.receiver.received) == sent


def test_a_dead_receiver_costs_the_webhook_only(system: System, services: Services) -> None:
    """No server listens there: the deletion succeeds and says what was not delivered and why."""
    erased = erase(system, services, "unheard", webhook_url="http://127.0.0.1:1/dead")

    assert erased["removed"] == {"delivered": 1, "pending": 1}
    assert erased["notes"]["instance"] == "pending: ConnectionError"


@pytest.mark.parametrize("url", ["not a url", "http://", "ftp://127.0.0.1/x", "http://[::1"])
def test_an_address_that_is_none_is_given_up_at_once(system: System, services: Services, url: str) -> None:
    """Whatever a customer has typed into the field: it costs the webhook only, and the reason stays."""
    erased = erase(system, services, f"typo {url}", webhook_url=url)

    assert erased["removed"] == {"delivered": 1, "refused": 1}
    assert erased["notes"]["instance"] == f"refused: {delivery.NO_URL}"
    assert kept(services, erased["id"]) == ("refused", None, delivery.NO_URL, 1)


def test_a_name_that_leads_into_an_opened_network_is_called(system: System, services: Services) -> None:
    """As a container's name does; by that name."""
    url = system.receiver.url.replace("127.0.0.1", "localhost")

    erased = erase(system, services, "by name", webhook_url=f"{url}/own")

    (own,) = (received for received in system.receiver.received if received.path == "/own")
    assert erased["removed"] == {"delivered": 2}
    assert own.headers["host"] == url.removeprefix("http://")


def test_a_receiver_that_hangs_or_refuses_costs_seconds(system: System, services: Services) -> None:
    """Tried twice, each with a time-out, then recorded."""
    dead = Receiver()
    dead.start()
    dead.hang_seconds = 30
    hung = erase(system, services, "hung", webhook_url=dead.url)
    dead.hang_seconds = 0
    dead.answer_status = 500
    refused = erase(system, services, "refusing", webhook_url=dead.url)
    dead.stop()

    assert hung["notes"]["instance"] == "pending: ReadTimeout"
    assert refused["notes"]["instance"] == "pending: status 500"


@pytest.mark.parametrize(
    "headers", [{"Bad\nHeader": "x"}, {"X-Name": "line\r\nInjected: yes"}, {"": ""}, {"X": "ü 🦊"}]
)
def test_headers_that_cannot_be_sent_cost_the_webhook_only(
    system: System, services: Services, headers: dict[str, str]
) -> None:
    """And inject nothing."""
    erased = erase(
        system, services, f"headers {headers}", webhook_url=f"{system.receiver.url}/own", webhook_headers=headers
    )

    assert sum(erased["removed"].values()) == 2
    assert not any("injected" in received.headers for received in system.receiver.received)


def test_the_servers_form_is_what_a_running_server_sends(system: System) -> None:
    """Two events to the instance's webhook, in their order and with its keys in theirs; one to the global one."""
    server = "https://wa.example.com"
    services = system.make_services(webhook_form=WebhookForm.SERVER, webhook_server_url=server)
    url = f"{system.receiver.url}/own"

    erased = erase(system, services, "as the server", webhook_url=url, webhook_by_events=True, webhook_events=())
    services.close()

    received = list(system.receiver.received)
    bodies = [each.body for each in received]
    times = [body.pop("date_time") for body in bodies]
    data = {"instanceName": "as the server", "instanceId": erased["id"]}
    common = {"instance": "as the server", "destination": url, "server_url": server, "apikey": None}
    deleted = {"event": "instance.delete", "data": data} | common
    assert [each.path for each in received] == [
        "/own/remove-instance",
        "/own/instance-delete",
        "/global/instance-delete",
    ]
    assert bodies == [{"event": "remove.instance", "data": None} | common, deleted, deleted]
    assert list(received[1].body) == ["event", "instance", "data", "destination", "server_url", "apikey"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each) for each in times)
    assert len({each.headers["webhook-id"] for each in received}) == 3
    assert erased["removed"] == {"delivered": 3}
