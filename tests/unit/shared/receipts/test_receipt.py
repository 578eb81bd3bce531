"""What a receipt says, and what it does not."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared import signing
from shared.audit.chain import Place
from shared.database.enums import ConfirmationMethod
from shared.database.models import Deletion, Step, WebhookEvent, WebhookStatus
from shared.deletions import scrubbing
from shared.receipts import page as receipt_page
from shared.receipts import receipt
from shared.signing import InvalidDocument

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
GATEWAYS = ("http://10.0.0.1:8080", "http://10.0.0.2:8080")


def step(name: str, **facts: Any) -> Step:
    """A step that is done."""
    return Step(**{"name": name, "planned": {}, "removed": {}, "notes": {}, "at_least": False} | facts)


def composed(*steps: Step, events: tuple[WebhookEvent, ...] = (), **facts: Any) -> dict[str, Any]:
    """The receipt of a deletion with these steps."""
    known: dict[str, Any] = {
        "id": UUID(int=7),
        "instance_id": "an-id",
        "instance_name": "a",
        "requester": "admin",
        "accepted_at": NOON,
        "irrevocable_at": NOON,
        "finished_at": NOON,
        "without_gateways": [],
    }
    return receipt.compose(Deletion(**known | facts), steps, events, GATEWAYS, Place(7, "0" * 64))


def test_it_says_whose_when_and_by_whom() -> None:
    """Times are in UTC, wherever the database lives."""
    made = composed(finished_at=datetime(2026, 11, 25, 14, tzinfo=timezone(timedelta(hours=2))))

    assert (made["instanceId"], made["instanceName"], made["requestedBy"]) == (
        "an-id",
        "a",
        {"role": "admin", "keyId": None},
    )
    assert made["finishedAt"] == made["acceptedAt"] == "2026-11-25T12:00:00.000+00:00"


def test_it_says_who_confirmed_and_how() -> None:
    """With the digest of what was shown; nobody is said to have confirmed what nobody did."""
    confirmed = composed(
        confirmed_by="1f0c", confirmed_with=ConfirmationMethod.TOKEN, confirmed_at=NOON, confirmed_preview="ab" * 32
    )

    assert composed()["confirmedBy"] is None
    assert confirmed["confirmedBy"] == {
        "keyId": "1f0c",
        "means": "token",
        "at": "2026-11-25T12:00:00.000+00:00",
        "preview": "ab" * 32,
    }
    page = receipt_page.render(signing.sign({"receipt": confirmed}, Ed25519PrivateKey.generate()))
    assert "by token, key <code>1f0c</code>, 2026-11-25 12:00:00 UTC, preview <code>abab" in page


def test_a_count_that_a_crash_has_cut_is_marked() -> None:
    """It is a lower bound."""
    made = composed(step("delete_records", planned={"Message": 5}, removed={"Message": 3}, at_least=True))

    assert made["steps"][0] == {
        "name": "delete_records",
        "planned": {"Message": 5},
        "removed": {"Message": 3},
        "atLeast": True,
        "finishedAt": None,
    }


def test_how_many_rows_went_is_said() -> None:
    """Without triggers, or why with them; few rows are not worth a word."""
    noted = {"triggers": {"Message": "it has a trigger: audit", "MessageUpdate": None, "Media": None}}
    made = composed(step("delete_records", notes=noted))

    assert made["rowTriggers"] == {"off": ["Media", "MessageUpdate"], "on": {"Message": "it has a trigger: audit"}}
    assert composed()["rowTriggers"] == {"off": [], "on": {}}
    page = receipt_page.render(signing.sign({"receipt": made}, Ed25519PrivateKey.generate()))
    assert "Media, MessageUpdate" in page
    assert "it has a trigger: audit" in page


def test_what_was_seen_of_objects_is_said() -> None:
    """A server that lists no versions shows the current ones only; a receipt of earlier versions says nothing."""
    made = composed(step("confirm", notes={"objects_seen": "current versions only", "verified_empty": ["objects"]}))

    assert made["verified"]["objects"] == "current versions only"
    assert composed()["verified"]["objects"] is None
    assert "of objects current versions only" in receipt_page.render(
        signing.sign({"receipt": made}, Ed25519PrivateKey.generate())
    )
    del made["verified"]["objects"]
    assert "of objects" not in receipt_page.render(signing.sign({"receipt": made}, Ed25519PrivateKey.generate()))


def test_no_gateway_is_named_by_its_address() -> None:
    """A customer reads the receipt too."""
    gateways = {GATEWAYS[0]: "dropped", GATEWAYS[1]: "not_dropped: restart needed", "http://10.0.0.3": "dropped"}
    made = composed(
        step("logout", notes={"unlinked": False, "stuck_gateways": [GATEWAYS[1]]}),
        step("deregister", notes={"gateways": gateways, "name_borne_again": True}),
        without_gateways=[GATEWAYS[1], GATEWAYS[1], "http://10.0.0.3"],
    )

    assert made["unlinked"] == {
        "session": "not logged out, its socket was dead: gateway 2",
        "gateways": [
            {"gateway": "gateway 1", "outcome": "dropped"},
            {"gateway": "gateway 2", "outcome": "not dropped: restart needed"},
            {"gateway": "a gateway of earlier settings", "outcome": "dropped"},
        ],
        "nameBorneAgain": True,
    }
    assert made["gatewaysGivenUp"] == ["gateway 2", "a gateway of earlier settings"]
    assert "10.0.0" not in json.dumps(made)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"removed": {"sessions": 1}}, "logged out"),
        ({}, "no session was open"),
        ({"notes": {"not_logged_out": "restart needed: why"}}, "restart needed: why"),
    ],
)
def test_how_the_session_ended_is_said(facts: dict[str, Any], words: str) -> None:
    """Where it did not end, too."""
    assert composed(step("logout", **facts))["unlinked"]["session"] == words


def test_a_webhook_that_nobody_took_yet_is_pending() -> None:
    """Where it goes is not said."""
    event = WebhookEvent(id="7.instance", target="instance", status=WebhookStatus.PENDING, tries=2, sealed=b"secret")

    assert composed(events=(event,))["webhooks"] == [
        {"id": "7.instance", "to": "instance", "status": "pending", "tries": 2, "endedAt": None}
    ]


def test_what_stayed_is_said() -> None:
    """Another living instance's name leads to it as well."""
    made = composed(step("purge_cache", notes={"kept_keys": 2}), step("deregister", notes={"kept_media": 1}))

    assert made["kept"] == {"keys": 2, "media": 1}


def test_only_a_receipt_is_one() -> None:
    """Something else that was signed proves no deletion."""
    assert receipt.proved({"receipt": composed(), "keyId": "k"})["deletionId"] == str(UUID(int=7))
    for other in ({}, {"receipt": "x"}, {"receipt": {"kind": "other"}}):
        with pytest.raises(InvalidDocument):
            receipt.proved(other)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "\u202eabc"]
)
def test_a_name_is_only_text_on_the_page(name: str) -> None:
    """Whatever a customer calls an instance."""
    page = receipt_page.render(signing.sign({"receipt": composed(instance_name=name)}, Ed25519PrivateKey.generate()))

    assert "<script" not in page
    assert "<img" not in page
    assert ">49<" not in page
    assert page.count('<bdi class="name">') == page.count("</bdi>") == 1


def test_the_page_says_what_the_receipt_says() -> None:
    """Counts, bounds, webhooks, gateways and the signature; nothing comes from elsewhere."""
    event = WebhookEvent(id="7.global", target="global", status=WebhookStatus.PENDING, tries=2)
    made = composed(
        step("delete_records", planned={"Message": 500_000}, removed={"Message": 400_000, "Chat": 0}, at_least=True),
        step("confirm", notes={"verified_empty": ["rows", "keys"], "verified_at": NOON.isoformat()}),
        events=(event,),
    )
    document = signing.sign({"receipt": made}, Ed25519PrivateKey.generate())

    page = receipt_page.render(document)

    for words in (
        "at least Message 400,000",
        "Message 500,000",
        "rows, keys, at 2026-11-25 12:00:00 UTC",
        "pending when",
    ):
        assert words in page
    assert json.loads(document)["signature"] in page
    assert "src=" not in page
    assert "href=" not in page
    assert "url(" not in page


def test_only_numbers_and_known_sentences_outlive_an_instance() -> None:
    """A note that nobody has looked at goes."""
    notes = {
        "kept_keys": 1,
        "fenced": True,
        "gateways": {},
        "asked": {"http://g": "noon"},
        "jid": "5511@s.whatsapp.net",
    }

    assert scrubbing.harmless(notes) == {"kept_keys": 1, "fenced": True, "gateways": {}}
