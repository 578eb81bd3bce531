"""Who has read the audit or a receipt is in the audit; paging and polling fill no disk."""

from datetime import timedelta
from uuid import UUID

import pytest

from demo.evolution.seed import seed_instance
from shared.audit import chain
from shared.audit import reads as audit_reads
from shared.audit import search as audit_search
from shared.audit.entries import Action, Actor
from shared.audit.search import Filters
from shared.database.enums import Role
from shared.services import Services
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, run_all
from tests.integration.keyring import make_key
from tests.integration.shell import lethe
from tests.system import System


def reads(services: Services, action: Action, key_id: str | None = None) -> list[tuple[str, str | None]]:
    """Decision and reason of the lines of this action, oldest first."""
    found = audit_search.search(services.own, Filters(action=action, key_id=key_id, limit=200)).lines
    return [(line.decision, line.reason) for line in reversed(found)]


@pytest.fixture
def erased(system: System, services: Services) -> UUID:
    """A deletion with a receipt."""
    instance = seed_instance(system.deployment, "proved")
    deletion_id = accept(services, instance.id, instance.name)
    run_all(services, deletion_id)
    return deletion_id


def test_each_reader_of_the_audit_has_one_line(system: System, services: Services) -> None:
    """However many pages were read, over HTTP and in the console."""
    auditor, admin = make_key(services, Role.AUDITOR), make_key(services, Role.ADMIN)
    statuses = [system.send("GET", "/audit?limit=1", key=auditor.key).status for _ in range(3)]
    pages = [signed_in(system, admin.key).get("/audit").status_code for _ in range(2)]

    assert (statuses, pages) == ([200] * 3, [200] * 2)
    assert [reads(services, Action.READ, key.id) for key in (auditor, admin)] == [[("accepted", "audit")]] * 2
    assert chain.verify(services.own).broken is None


def test_a_reader_of_a_receipt_has_a_line_for_each(system: System, services: Services, erased: UUID) -> None:
    """In every form; one that could not be had is refused, as before."""
    key = make_key(services, Role.AUDITOR)
    instance = seed_instance(system.deployment, "to be proved")
    queued = accept(services, instance.id, instance.name)
    visitor = signed_in(system, key.key)
    statuses = [
        system.send("GET", f"/deletions/{erased}/receipt", key=key.key).status,
        system.send("GET", f"/deletions/{erased}/receipt?format=html", key=key.key).status,
        visitor.get(f"/deletions/{erased}/receipt").status_code,
        system.send("GET", f"/deletions/{queued}/receipt", key=key.key).status,
    ]

    (line,) = audit_search.search(services.own, Filters(action=Action.RECEIPT, deletion_id=erased)).lines
    assert statuses == [200, 200, 200, 409]
    assert reads(services, Action.RECEIPT, key.id) == [("accepted", None), ("refused", "conflict")]
    assert (line.key_id, line.role, line.address) == (key.id, "auditor", "127.0.0.1")
    assert line.instance_id


def test_who_reads_on_the_server_has_a_line_too(system: System, services: Services, erased: UUID) -> None:
    """With the account."""
    listed, shown = lethe(system, "audit", "list"), lethe(system, "receipt", "show", str(erased))
    account = audit_search.search(services.own, Filters(action=Action.READ)).lines[0].key_id
    (line,) = audit_search.search(services.own, Filters(action=Action.RECEIPT, deletion_id=erased)).lines

    assert (listed.returncode, shown.returncode) == (0, 0)
    assert (line.role, line.key_id) == ("server", account)
    assert str(account).startswith("os:")


def test_a_later_look_and_one_from_elsewhere_have_lines(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same key at another address may be another person."""
    here, there = Actor("admin", "k7", "192.0.2.1"), Actor("admin", "k7", "192.0.2.2")
    for reader in (here, here, there):
        audit_reads.record_audit_read(services.own, reader)
    at_once = len(reads(services, Action.READ, "k7"))
    monkeypatch.setattr(audit_reads, "_REPEAT_AFTER", timedelta(0))
    audit_reads.record_audit_read(services.own, here)

    assert (at_once, len(reads(services, Action.READ, "k7"))) == (2, 3)
