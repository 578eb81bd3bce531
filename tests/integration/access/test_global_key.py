"""Clients that were written for Evolution go on with its global key, where the operator allows that."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from demo.evolution.seed import seed_instance
from tests.integration.inline import run_all, run_steps
from tests.system import GATEWAY_KEY, System


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """An API for which Evolution's global key is a client's."""
    made = make_system(gateway_key_may_delete=True)
    made.start("web")
    yield made
    made.close()


def test_it_lists_logs_out_and_deletes_and_no_more(system: System) -> None:
    """What a client of Evolution does; audit, receipts and retry are for Lethe's own keys."""
    seed_instance(system.deployment, "global")
    key = {"key": GATEWAY_KEY, "Prefer": "respond-async"}

    logout = system.send("DELETE", "/instance/logout/global", **key)
    deletion_id = system.delete("global", **key).body["response"]["deletionId"]
    run_all(system.make_services(), UUID(deletion_id))

    shown = system.call("GET", f"/deletions/{deletion_id}", key=GATEWAY_KEY).json()
    others = [
        system.call(method, path, key=GATEWAY_KEY).status_code
        for method, path in [
            ("GET", "/audit"),
            ("GET", f"/deletions/{deletion_id}/receipt"),
            ("POST", f"/deletions/{deletion_id}/retry"),
        ]
    ]
    assert logout.status == 200
    assert shown["status"] == "succeeded"
    assert others == [401] * 3


def test_it_is_checked_again_whether_it_may(system: System) -> None:
    """Before logout, as for every key."""
    seed_instance(system.deployment, "taken away")
    answer = system.delete("taken away", key=GATEWAY_KEY, Prefer="respond-async")
    deletion_id = answer.body["response"]["deletionId"]

    run_steps(system.make_services(gateway_key_may_delete=False), UUID(deletion_id), "logout")

    shown = system.show(deletion_id)
    assert (shown["status"], "global key" in shown["reason"]) == ("cancelled", True)
