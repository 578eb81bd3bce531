"""Lines of the audit: their canonical form, and what never gets into them."""

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from shared.audit import chain, entries

ROW: dict[str, Any] = {
    "seq": 7,
    "at": datetime(2026, 3, 1, 12, 0, 0, 5, timezone(timedelta(hours=-3))),
    "action": "delete",
    "decision": "accepted",
    "role": "admin",
    "key_id": "k1",
    "address": "192.0.2.1",
    "user_agent": None,
    "request_id": "r",
    "instance_id": "é",
    "deletion_id": UUID(int=1),
    "reason": None,
    "times": 1,
    "previous": chain.START,
}


def test_a_lines_hash_can_be_computed_by_anybody() -> None:
    """SHA-256 of JSON with sorted keys, no spaces, UTF-8, and times in UTC with microseconds."""
    plain = ROW | {"at": "2026-03-01T15:00:00.000005+00:00", "deletion_id": str(UUID(int=1))}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert chain.digest(ROW) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", sorted(ROW))
def test_every_column_is_sealed(name: str) -> None:
    """A change of any of them changes the hash."""
    changed = ROW | {name: ROW[name] + 1 if isinstance(ROW[name], int) else datetime(2027, 1, 1).astimezone()}

    assert chain.digest(changed) != chain.digest(ROW)


def test_the_hash_of_a_line_is_not_in_its_own_hash() -> None:
    """It could not be."""
    assert chain.digest(ROW | {"hash": "x"}) == chain.digest(ROW)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, None),
        ("", None),
        ("curl/8.5.0", "curl/8.5.0"),
        ("python-requests/2.32.3 axios/1.6.0", "python-requests/2.32.3 axios/1.6.0"),
        ("Mozilla/5.0 (X11; Linux) Chrome/120.0.6099.129", "Mozilla/5.0 Chrome/120.0.6099.129"),
        ("5511999887766", None),
        ("curl/8.5.0 (maria 5511999887766)", "curl/8.5.0"),
        ("bot/5511999887766", "bot/#"),
        ("5511999887766/1.0", None),
        ("my instance's name", None),
        ("lethe_k1_c2VjcmV0", None),
        ("x\r\ny: z", None),
        ("a/1 " * 100, ("a/1 " * 30).strip()),
    ],
)
def test_only_products_are_kept_of_a_user_agent(sent: str | None, kept: str | None) -> None:
    """Whatever else is written into it may be a name, a number or a key."""
    assert entries.products(sent) == kept


def test_a_failed_deletions_line_names_the_step_and_not_the_error() -> None:
    """Errors may name what no audit should."""
    line = entries.deletion_ended(entries.Decision.FAILED, UUID(int=1), "i", "delete_records")

    assert line.reason == "at delete_records"
    assert entries.deletion_ended(entries.Decision.SUCCEEDED, UUID(int=1), "i").reason is None
