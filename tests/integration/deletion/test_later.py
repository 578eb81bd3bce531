"""What comes after a step is shown as well: a webhook that is delivered or given up, the moment of a failure."""

import re
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from typing import Any
from uuid import UUID

import pytest

from demo.evolution.seed import seed_instance
from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.deletions import claims
from shared.services import Services
from shared.webhooks import outbox
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, run_all
from tests.integration.shell import lethe
from tests.system import System


@pytest.fixture
def deaf(system: System, services: Services) -> Iterator[UUID]:
    """A deletion that has succeeded, and whose webhook was not delivered: the receiver can be mended."""
    system.receiver.answer_status = 500
    url = f"{system.receiver.url}/own"
    instance = seed_instance(system.deployment, "told later", webhook_url=url)
    deletion_id = accept(services, instance.id, instance.name)
    run_all(services, deletion_id)
    yield deletion_id
    system.receiver.answer_status = 200


def webhook(system: System, deletion_id: UUID) -> dict[str, Any]:
    """The one webhook, over the API."""
    deletion = system.send("GET", f"/deletions/{deletion_id}").body
    (found,) = deletion["webhooks"]
    assert system.send("GET", "/deletions").body["deletions"][0]["webhooks"] == [found]
    return dict(found)


def page(system: System, deletion_id: UUID) -> str:
    """The text of the console's page."""
    html = signed_in(system).get(f"/deletions/{deletion_id}").text
    return " ".join(unescape(re.sub("<[^>]+>", " ", html)).split())


def test_a_webhook_that_is_still_tried_says_when(system: System, deaf: UUID) -> None:
    """The deletion has succeeded long before."""
    kept = webhook(system, deaf)

    assert (kept["status"], kept["tries"], kept["error"], kept["endedAt"]) == ("pending", 2, "status 500", None)
    assert kept["nextTryAt"]
    assert "instance: pending after 2 tries, status 500, next try 20" in page(system, deaf)


def test_a_webhook_that_was_delivered_later_says_so(system: System, services: Services, deaf: UUID) -> None:
    """And not that it is kept."""
    system.receiver.answer_status = 200
    (event_id,) = outbox.pending_ids(services.own, deaf)
    outbox.try_to_deliver(services.own, services.settings, event_id)

    delivered, text = webhook(system, deaf), page(system, deaf)

    assert (delivered["status"], delivered["tries"], delivered["nextTryAt"]) == ("delivered", 3, None)
    assert delivered["endedAt"]
    assert "1 delivered instance: delivered after 3 tries, 20" in text
    assert "pending" not in text
    assert "kept for later" not in text
    assert "instance: delivered after 3 tries, 20" in lethe(system, "show", str(deaf)).stdout


def test_a_webhook_that_was_never_delivered_says_when_it_was_given_up(
    system: System, services: Services, deaf: UUID
) -> None:
    """With what the last try met."""
    outbox.expire(services.own, services.settings.model_copy(update={"webhook_keep_seconds": 0}))

    given_up = webhook(system, deaf)

    assert (given_up["status"], given_up["nextTryAt"], given_up["error"]) == ("expired", None, "status 500")
    assert given_up["endedAt"]
    assert "1 given up instance: given up after 2 tries, status 500, 20" in page(system, deaf)
    assert "given up after 2 tries, status 500, 20" in lethe(system, "show", str(deaf)).stdout


def test_a_failed_deletion_says_when_it_failed(system: System, services: Services) -> None:
    """As long as it is failed; a call about it that met an error later is not its end."""
    instance = seed_instance(system.deployment, "failing")
    deletion_id = accept(services, instance.id, instance.name)
    claimed = claims.claim(services.own, deletion_id, 1, "logout", stale_seconds=30)
    assert claimed
    claims.fail(services.own, claimed, "a right is missing")
    with own_transaction(services.own) as connection:
        ended = connection.exec_driver_sql("SELECT at FROM audit WHERE deletion_id = %s", (deletion_id,)).scalar_one()
        chain.append(
            connection, Entry(Action.DELETE, Decision.FAILED, Actor("admin"), instance.id, deletion_id, "error")
        )

    failed, text = system.send("GET", f"/deletions/{deletion_id}").body, page(system, deletion_id)
    listed = system.send("GET", "/deletions?status=failed").body["deletions"][0]
    said = lethe(system, "show", str(deletion_id)).stdout
    system.call("POST", f"/deletions/{deletion_id}/retry", json={})
    resumed = system.send("GET", f"/deletions/{deletion_id}").body

    assert datetime.fromisoformat(failed["failedAt"]) == ended
    assert listed == failed
    assert f"Failed {ended:%Y-%m-%d %H:%M:%S} UTC" in text
    assert re.search(r"^  failed +20.* ago\)$", said, re.MULTILINE)
    assert resumed["failedAt"] is None
