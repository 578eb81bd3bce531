"""The output of `lethe show`, for a deletion in each status."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cli import deletion_view
from cli.deletion_view import DeletionWithKeyName
from shared import formatting
from shared.database.enums import ConfirmationMethod
from shared.database.models import Deletion, DeletionStatus, Step, StepStatus, WebhookEvent, WebhookStatus
from shared.translations import language

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("3f0c0000-0000-4000-8000-000000000000")


def before(seconds: float) -> datetime:
    """This time, so many seconds before NOW."""
    return NOW - timedelta(seconds=seconds)


def step(name: str = "delete_records", status: StepStatus = StepStatus.DONE, **changes: Any) -> Step:
    """A step that removed something within two seconds."""
    usual: dict[str, Any] = {
        "planned": {"Chat": 5, "Message": 20_000},
        "removed": {"Chat": 5, "Message": 20_000},
        "at_least": False,
        "started_at": before(60),
        "finished_at": before(58),
    }
    return Step(name=name, status=status, **{**usual, **changes})


def known(status: DeletionStatus = DeletionStatus.SUCCEEDED, *steps: Step, **changes: Any) -> DeletionWithKeyName:
    """A deletion that an admin's key ordered five minutes ago."""
    usual: dict[str, Any] = {
        "id": ID,
        "instance_id": "the id",
        "instance_name": "acme",
        "requester": "admin",
        "requester_key_id": "1f0c5e2a9b7d",
        "accepted_at": before(300),
        "without_gateways": [],
    }
    key_name = changes.pop("key_name", "shop")
    return DeletionWithKeyName(Deletion(status=status, steps=list(steps), **{**usual, **changes}), key_name)


def shown(of: DeletionWithKeyName, width: int = 200) -> str:
    """All lines."""
    return "\n".join(deletion_view.lines(of, NOW, width=width, deadline_seconds=86_400, max_failures=5))


def event(status: WebhookStatus, **changes: Any) -> WebhookEvent:
    """The customer's webhook."""
    return WebhookEvent(target="instance", status=status, **{"tries": 0, **changes})


def test_it_says_when_and_how_long() -> None:
    """As a whole and for each step; the largest count comes first."""
    text = shown(known(DeletionStatus.SUCCEEDED, step(), started_at=before(120), finished_at=before(58)))

    assert "(5 min ago)" in text
    assert "after 62 s" in text
    assert "delete_records  done      2.0 s  Message 20,000, Chat 5" in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "admin, key 1f0c5e2a9b7d 'shop'"),
        ({"key_name": "\x1b[2J"}, r"'\x1b[2J'"),
        ({"requester_key_id": "bootstrap", "key_name": None}, "admin, LETHE_ADMIN_KEY"),
        ({"requester": "instance", "requester_key_id": "abc", "key_name": None}, "the instance's token"),
        ({"requester": "server", "requester_key_id": "os:root", "key_name": None}, "server os:root"),
        ({"requester": "server", "requester_key_id": None, "key_name": None}, "server"),
    ],
)
def test_it_shows_the_requester(changes: dict[str, Any], says: str) -> None:
    """By role, and by id and name of the key."""
    (line,) = (line for line in shown(known(**changes)).splitlines() if "requested by" in line)

    assert line.endswith(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"confirmed_with": ConfirmationMethod.CODE, "confirmed_by": "1f0c5e2a9b7d"}, "with a one-time code, 20"),
        (
            {"confirmed_with": ConfirmationMethod.TOKEN, "confirmed_by": "another"},
            "with the token of a preview, by another, 20",
        ),
        (
            {"confirmed_with": ConfirmationMethod.TERMINAL, "confirmed_by": "os:root"},
            "typed on the server, by os:root, 20",
        ),
    ],
)
def test_it_says_how_it_was_confirmed(changes: dict[str, Any], says: str) -> None:
    """And by which key, if that is not the requester's."""
    assert says in shown(known(confirmed_at=before(301), **changes))
    assert "confirmed" not in shown(known())


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"files": 2, "keys": 1}, "LETHE_GATEWAYS still holds the instance"),
        ({"instances": 1}, "`lethe tombstones replay` erases it"),
    ],
)
def test_it_says_what_came_back(found: dict[str, int], says: str) -> None:
    """With the likely cause, and the time of the next check."""
    of = known(came_back=found, came_back_at=before(60), next_look_at=NOW + timedelta(seconds=30))
    text, facts = shown(of, width=1000), deletion_view.to_json(of)

    assert re.search(rf"came back +{formatting.counts_in_line(found)}, 20.* \(60 s ago\)\. .*{says}", text)
    assert "(in 30 s)" in text
    assert (facts["cameBack"]["found"], facts["nextLookAt"]) == (found, NOW + timedelta(seconds=30))
    assert "came back" not in shown(known())
    assert deletion_view.to_json(known())["cameBack"] is None


def test_a_waiting_one_says_why_and_until_when() -> None:
    """The next try, its reason, and the deadline."""
    text = shown(
        known(
            DeletionStatus.WAITING,
            step("logout", StepStatus.PENDING, removed={}, finished_at=None, error="cannot be reached"),
            reason="the gateway cannot be reached",
            next_attempt_at=NOW + timedelta(seconds=42),
            waiting_since=before(3_600),
        )
    )

    assert "reason        the gateway cannot be reached" in text
    assert "(in 42 s)" in text
    assert "without progress it fails" in text
    assert "(in 23 h)" in text
    assert "0 of 20,005 cannot be reached" in text


def test_a_waiting_one_whose_step_fails_shows_the_number_of_failures() -> None:
    """It may fail long before the deadline; a dependency that cannot be reached is not a failure."""
    waiting = {"reason": "refused", "next_attempt_at": NOW, "waiting_since": before(60)}

    assert "failures      3 in a row of the step itself; after 5" in shown(
        known(DeletionStatus.WAITING, failures=3, **waiting)
    )
    assert "failures" not in shown(known(DeletionStatus.WAITING, failures=0, **waiting))


def test_a_failed_one_shows_the_command_that_resumes_it() -> None:
    """With the deletion's id."""
    failed = known(DeletionStatus.FAILED, reason="a right is missing", failed_at=before(120))
    text = shown(failed)

    assert "(2 min ago)\n" in text
    assert deletion_view.to_json(failed)["failedAt"] == before(120)
    assert f"reason        a right is missing\n  next          fix that, then `lethe retry {ID}`" in text


def test_a_queued_one_says_that_no_worker_has_claimed_it() -> None:
    """And when it is published again."""
    text = shown(known(DeletionStatus.QUEUED, next_attempt_at=NOW + timedelta(seconds=30)))

    assert "no worker has claimed it yet" in text
    assert "(in 30 s)" in text


def test_a_running_one_shows_its_heartbeat_and_progress() -> None:
    """The duration of a running step lasts until now."""
    half = step(status=StepStatus.RUNNING, removed={"Message": 10_000}, finished_at=None, at_least=True)

    text = shown(known(DeletionStatus.RUNNING, half, heartbeat_at=before(3)))

    assert "heartbeat     3.0 s ago" in text
    assert "running    60 s  at least 10,000 of 20,005; Message 10,000" in text


def test_a_refused_webhook_shows_the_reason_and_the_setting() -> None:
    """Also for a row of an earlier version, which has no reason."""
    refused = known(webhooks=[event(WebhookStatus.REFUSED)])

    assert "instance: refused, its address is not allowed (LETHE_WEBHOOK_ALLOW allows" in shown(refused)
    assert deletion_view.to_json(refused)["webhooks"][0]["error"] == "its address is not allowed"


def test_a_webhook_with_an_invalid_url_says_so() -> None:
    """No setting is suggested."""
    refused = known(webhooks=[event(WebhookStatus.REFUSED, error="its URL is none")])

    assert of_webhooks(shown(refused)) == ["instance: refused, its URL is none"]


def test_a_pending_webhook_says_what_is_wrong_and_when_it_is_tried_again() -> None:
    """A delivered webhook has only the number of tries."""
    pending = event(WebhookStatus.PENDING, tries=2, error="status 502", next_try_at=NOW + timedelta(seconds=60))

    text = shown(known(webhooks=[pending, event(WebhookStatus.DELIVERED, tries=1)]))

    assert of_webhooks(text) == ["instance: pending after 2 tries, status 502, next", "instance: delivered after 1 try"]


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (WebhookStatus.DELIVERED, None, "instance: delivered after 3 tries, 20"),
        (WebhookStatus.EXPIRED, "status 502", "instance: given up after 3 tries, status 502, 20"),
        (WebhookStatus.EXPIRED, "withdrawn", "instance: withdrawn after 3 tries, 20"),
    ],
)
def test_a_webhook_that_was_kept_says_how_and_when_it_ended(status: WebhookStatus, error: str, says: str) -> None:
    """For people and for scripts."""
    ended = known(webhooks=[event(status, tries=3, error=error, ended_at=before(60))])

    assert says in shown(ended)
    assert "(60 s ago)" in shown(ended)
    assert deletion_view.to_json(ended)["webhooks"][0]["endedAt"] == before(60)


def of_webhooks(text: str) -> list[str]:
    """The lines of webhooks, without times."""
    return [line.split("webhook", 1)[1].split(" 20")[0].strip() for line in text.splitlines() if "  webhook" in line]


def test_no_line_is_longer_than_the_terminal() -> None:
    """Also with long names, reasons and errors."""
    long = known(
        DeletionStatus.FAILED,
        step(error="why " * 60),
        instance_name="long " * 50,
        reason="because " * 40,
        webhooks=[event(WebhookStatus.PENDING, error="x " * 90)],
    )

    assert max(map(len, shown(long, width=80).splitlines())) <= 80


def test_a_script_reads_the_same() -> None:
    """JSON has the same facts; times are ISO 8601."""
    of = known(
        DeletionStatus.SUCCEEDED,
        step(),
        finished_at=before(58),
        confirmed_with=ConfirmationMethod.CODE,
        confirmed_by="k",
    )

    facts = json.loads(json.dumps(deletion_view.to_json(of), default=str))

    assert (facts["id"], facts["status"], facts["reason"]) == (str(ID), "succeeded", None)
    assert facts["steps"]["delete_records"]["removed"] == {"Chat": 5, "Message": 20_000}
    assert datetime.fromisoformat(facts["acceptedAt"]) == before(300)
    assert datetime.fromisoformat(facts["steps"]["delete_records"]["finishedAt"]) == before(58)
    assert facts["requestedBy"] == {"role": "admin", "keyId": "1f0c5e2a9b7d", "keyName": "shop"}
    assert facts["confirmedBy"] == {"keyId": "k", "means": "code", "at": None}


def test_a_deletion_in_portuguese() -> None:
    """Labels, times, numbers and the reason; names of steps and statuses stay, and so does all of the JSON."""
    reason = "the own database cannot be reached: no free connection"
    deletion = known(
        DeletionStatus.WAITING,
        step(status=StepStatus.RUNNING, removed={"Message": 4_000}, finished_at=None, at_least=True),
        reason=reason,
        confirmed_with=ConfirmationMethod.CODE,
        confirmed_by="1f0c5e2a9b7d",
    )
    english = deletion_view.to_json(deletion)

    with language.only_here(language.PORTUGUESE):
        lines, as_json = " ".join(shown(deletion).split()), deletion_view.to_json(deletion)

    assert "motivo o banco do próprio Lethe não responde: nenhuma conexão livre" in lines
    assert "pedida por admin, chave 1f0c5e2a9b7d 'shop'" in lines
    assert "confirmada com um código de uso único" in lines
    assert "(há 5 min)" in lines
    assert "delete_records running 60 s pelo menos 4.000 de 20.005; Message 4.000" in lines
    assert as_json == english
    assert as_json["reason"] == reason
