"""Receipts, attestations and the audit's head are stamped by a real authority; one that is away delays stamps only."""

import json
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from shared.database.models import Stamp
from shared.receipts import receipt
from shared.services import Services
from shared.stamps import outbox
from shared.stamps.outbox import Subject
from tests.authority import Authority
from tests.integration.inline import erase
from tests.system import System
from worker.stamping import stamp


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], authority: Authority) -> Iterator[System]:
    """A deployment whose receipts are stamped by the authority."""
    made = make_system(timestamp_url=authority.url, timestamp_ca_file=authority.root)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _mended(authority: Authority, services: Services) -> None:
    """Each test begins with an authority that answers, and nothing that waits."""
    authority.status, authority.change = 200, lambda answer: answer
    make_due(services)
    stamp(services)


def make_due(services: Services) -> None:
    """End all pauses."""
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE stamps SET next_try_at = now() WHERE token IS NULL")


def stamp_of(services: Services, deletion_id: UUID) -> Stamp:
    """What is known of the stamp of a receipt."""
    found = outbox.find(services.own, Subject.RECEIPT, deletion_id)
    assert found is not None
    return found


def test_openssl_verifies_the_stamp_of_a_receipt_and_of_the_audit(
    system: System, services: Services, authority: Authority, tmp_path: Path
) -> None:
    """With the authority's root alone; once more nothing is asked for."""
    deletion_id, _ = erase(services, system, "stamped")

    first = stamp(services)
    again = stamp(services)
    head, mine = outbox.newest_head(services.own), stamp_of(services, deletion_id)

    assert (first >= 1, again) == (True, 0)
    assert head is not None
    assert json.loads(head.document)["auditHead"]["seq"] > 0
    for document, token in ((receipt.load(services.own, deletion_id), mine.token), (head.document, head.token)):
        (tmp_path / "document").write_text(document or "")
        (tmp_path / "stamp").write_bytes(token or b"")
        subprocess.run(
            ["openssl", "ts", "-verify", "-data", "document", "-in", "stamp", "-CAfile", str(authority.root)],
            cwd=tmp_path,
            check=True,
        )


def test_an_authority_that_is_away_delays_the_stamp_alone(
    system: System, services: Services, authority: Authority
) -> None:
    """The deletion succeeds with its receipt; the pause grows; the stamp comes when the authority is back."""
    authority.status = 503
    deletion_id, _ = erase(services, system, "late")
    stamp(services)
    away = stamp_of(services, deletion_id)
    at_once = stamp(services)
    authority.status = 200
    make_due(services)

    stamped = stamp(services)

    assert receipt.load(services.own, deletion_id)
    assert (away.token, away.tries, away.error) == (
        None,
        1,
        "the time-stamp authority cannot be reached: it answers with status 503",
    )
    assert (at_once, stamped >= 1) == (0, True)
    assert stamp_of(services, deletion_id).token


def test_an_authority_that_hangs_is_given_up_in_time(
    system: System, services: Services, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the timeout of each read is: a worker has other things to do."""
    deletion_id, _ = erase(services, system, "hanging")
    with monkeypatch.context() as shortened:
        shortened.setattr("shared.stamps.authority._LONGEST_SECONDS", 0.3)
        authority.may_answer.clear()
        stamped = stamp(services)
        authority.may_answer.set()

    assert stamped == 0
    assert stamp_of(services, deletion_id).error == "the time-stamp authority cannot be reached: it took too long"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("other document", "the document was changed"),
        ("replay", "answers another request"),
        ("cut", "no answer of a time-stamp authority"),
        ("long", "its answer has more than"),
        ("page", "no answer of a time-stamp authority"),
        ("changed", "signature does not fit"),
    ],
)
def test_an_answer_that_is_wrong_is_not_stored(
    system: System, services: Services, authority: Authority, spoil: str, why: str
) -> None:
    """Of another document, of an earlier request, cut off, too long, no stamp at all, or changed on its way."""
    deletion_id, _ = erase(services, system, spoil)
    document = (receipt.load(services.own, deletion_id) or "").encode()
    spoiled = {
        "other document": lambda answer: authority.reply(authority.asked[-1].replace(hash_of(document), hash_of(b"x"))),
        "replay": lambda answer: authority.reply(query_for(document, authority)),
        "cut": lambda answer: answer[:-20],
        "long": lambda answer: answer + b"x" * 70_000,
        "page": lambda answer: b"<html>",
        "changed": lambda answer: answer[:-9] + bytes([answer[-9] ^ 1]) + answer[-8:],
    }
    authority.change = spoiled[spoil]

    stamped = stamp(services)
    mine = stamp_of(services, deletion_id)

    assert stamped == 0
    assert mine.token is None
    assert why in (mine.error or "")


def hash_of(document: bytes) -> bytes:
    """The hash of a document, as a request has it."""
    return sha256(document).digest()


def query_for(document: bytes, authority: Authority) -> bytes:
    """A request of another nonce."""
    (authority.folder / "other").write_bytes(document)
    words = ["openssl", "ts", "-query", "-data", "other", "-sha256", "-cert"]
    return subprocess.run(words, cwd=authority.folder, check=True, capture_output=True).stdout


def test_a_root_that_is_not_the_authoritys_is_not_trusted(system: System, services: Services, tmp_path: Path) -> None:
    """An authority of that name, with another key."""
    other = Authority(tmp_path / "other")
    strange = system.make_services(timestamp_ca_file=other.root)
    public = system.make_services(timestamp_ca_file=None)
    deletion_id, _ = erase(services, system, "strange")

    errors = []
    for made in (strange, public):
        make_due(services)
        stamp(made)
        errors.append(stamp_of(services, deletion_id).error)
    other._server.server_close()

    assert all("leads to none of the roots" in (error or "") for error in errors), errors
    assert stamp_of(services, deletion_id).token is None


def test_nobody_changes_a_stamp(system: System, services: Services) -> None:
    """Not even a superuser, as long as the trigger is there; one that waits may change."""
    erase(services, system, "kept")
    stamp(services)

    for statement in ("UPDATE stamps SET stamped_at = now()", "DELETE FROM stamps", "TRUNCATE stamps"):
        with (
            psycopg.connect(services.settings.database_url.get_secret_value()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="can only be added to"),
        ):
            connection.execute(statement)


def test_without_an_authority_nothing_waits(services: Services, system: System) -> None:
    """No row is written for a stamp that nobody gives."""
    off = system.make_services(timestamp_url=None)

    deletion_id, _ = erase(off, system, "without")

    assert outbox.find(off.own, Subject.RECEIPT, deletion_id) is None
    assert stamp(off) == 0
