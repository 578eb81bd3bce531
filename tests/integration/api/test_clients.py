"""Published clients of Evolution's API work unchanged against Lethe."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
import requests
from evolutionapi.client import EvolutionClient
from evolutionapi.exceptions import EvolutionAPIError, EvolutionAuthenticationError

from demo.evolution.census import census
from demo.evolution.seed import seed_instance
from tests.system import ADMIN_KEY, GATEWAY_KEY, System

DELETED = {"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}}
LOGGED_OUT = {"status": "SUCCESS", "error": False, "response": {"message": "Instance logged out"}}


def test_the_python_client_logs_out_and_deletes(shared_system: System) -> None:
    """With the instance's own token, as it does by itself, and with the global one."""
    instance = seed_instance(shared_system.deployment, "python client")
    shared_system.gateways[0].load()
    client = EvolutionClient(shared_system.url, ADMIN_KEY)

    logged_out = client.instance_operations.logout("python client", instance.token)
    deleted = client.instance_operations.delete("python client", ADMIN_KEY)

    assert (logged_out, deleted) == (LOGGED_OUT, DELETED)
    left = census(shared_system.deployment, instance.id, "python client")
    assert not any(count for counts in left.values() for count in counts.values())


def test_evolutions_global_key_deletes_where_it_may(make_system: Callable[..., System]) -> None:
    """Then nothing changes for a client; where it may not, the log says why it gets 401."""
    same, other = make_system(gateway_key_may_delete=True), make_system()
    for system in (same, other):
        system.start("web", "worker")
        seed_instance(system.deployment, "global key")
        system.gateways[0].load()

    clients = [EvolutionClient(system.url, GATEWAY_KEY).instance_operations for system in (same, other)]
    logged_out = clients[0].logout("global key", GATEWAY_KEY)
    deleted = clients[0].delete("global key", GATEWAY_KEY)
    with pytest.raises(EvolutionAuthenticationError):
        clients[1].delete("global key", GATEWAY_KEY)
    other.send("DELETE", "/instance/delete/global%20key", key="another wrong key")

    assert (logged_out, deleted) == (LOGGED_OUT, DELETED)
    log = (other.folder / "web.log").read_text()
    lines = [line for line in log.splitlines() if "unknown key refused" in line]
    assert ["Evolution's global key" in line for line in lines] == [True, False]
    assert GATEWAY_KEY not in log
    for system in (same, other):
        system.close()


def test_the_python_client_understands_a_refusal(shared_system: System) -> None:
    """It tells a wrong key from an unknown instance by the status, and shows the message."""
    seed_instance(shared_system.deployment, "python refused")
    client = EvolutionClient(shared_system.url, ADMIN_KEY)

    with pytest.raises(EvolutionAuthenticationError):
        client.instance_operations.delete("python refused", "a wrong key")
    with pytest.raises(EvolutionAPIError, match='The "nobody" instance does not exist'):
        client.instance_operations.delete("nobody", ADMIN_KEY)


@pytest.mark.parametrize("name", ["n8n", "n8n with spaces", "n8n-çedilha"])
def test_the_n8n_node_logs_out_and_deletes(shared_system: System, name: str) -> None:
    """It sends a bare DELETE: the key, a wish for JSON, no body and no content type."""
    instance = seed_instance(shared_system.deployment, name)
    shared_system.gateways[0].load()
    # encodeURI of the whole address is what its HTTP client does to the name it was given.
    headers = {"apikey": instance.token, "accept": "application/json,text/*;q=0.99", "user-agent": "n8n"}
    address = quote(f"{shared_system.url}/instance/{{}}/{name}", safe=":/{}")

    logged_out, deleted = (
        requests.delete(address.format(order), headers=headers, timeout=60) for order in ("logout", "delete")
    )

    assert (logged_out.status_code, logged_out.json()) == (200, LOGGED_OUT)
    assert (deleted.status_code, deleted.json()) == (200, DELETED)
