"""Composes the bundle of all that proves a deletion: documents, stamps, lines of the audit, keys, and a page."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Engine, or_, select

from shared import signing
from shared.audit import chain
from shared.audit.tree import Path
from shared.database import timing
from shared.database.connections import own_statement, own_transaction
from shared.database.models import AuditLine
from shared.errors import LetheError
from shared.evidence import attestation, audit_head, members, page
from shared.evidence.audit_head import Head
from shared.receipts import keys as receipt_keys
from shared.receipts import receipt
from shared.settings import Settings
from shared.stamps import outbox
from shared.stamps.outbox import Subject

KIND = "lethe.evidence.v1"
_MOST_LINES = 5000
_WORKER = "worker"


class NoReceipt(LetheError):
    """There is no receipt: the deletion does not exist, or has not succeeded."""


class AuditChanged(LetheError):
    """The audit is not what was signed or stamped: `lethe audit verify` says where it was changed."""


def compose(engine: Engine, settings: Settings, deletion_id: UUID, *, with_callers: bool) -> bytes:
    """The file of the bundle. with_callers: with the lines that name keys and addresses, not only those of workers.

    Raises NoReceipt, ReceiptChanged, InvalidDocument, AuditChanged or AuditIncomplete.
    """
    proof = receipt.load(engine, deletion_id)
    if proof is None:
        raise NoReceipt
    proved = json.loads(proof)["receipt"]
    instance_id, named = proved["instanceId"], proved.get("auditLine")
    made = _Made(engine, settings)
    made.add_document(members.RECEIPT, proof, Subject.RECEIPT, deletion_id)
    if attested := attestation.newest(engine, deletion_id):
        made.add_document(members.ATTESTATION, attested[1], Subject.ATTESTATION, attested[0])
    end = audit_head.end(engine)
    found = _lines(engine, deletion_id, instance_id, end.seq, named and named["seq"], with_callers=with_callers)
    lines = dict(list(found.items())[:_MOST_LINES])
    if named and sha256(lines.get(named["seq"], "").encode()).hexdigest() != named["hash"]:
        raise AuditChanged
    for seq, text in lines.items():
        made.files[members.line(seq)] = text.encode()
    root, paths = audit_head.proofs(engine, end.seq, lines.keys())
    made.files[members.HEAD] = audit_head.sign(engine, settings, Head(end, root)).encode()
    made.add_paths(members.HEAD, paths)
    made.add_stamped_head(list(lines))
    made.add_keys()
    about = {
        "deletionId": str(deletion_id),
        "instanceId": instance_id,
        "lines": "all" if with_callers else _WORKER,
        "linesLeftOut": len(found) > len(lines),  # the newest of very many
    }
    return members.pack(made.finish(about))


class _Made:
    """The members so far."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.files: dict[str, bytes] = {}
        self._engine, self._settings = engine, settings
        self._certificates: dict[str, None] = {}  # PEM, in order and each once

    def add_document(self, name: str, document: str, subject: Subject, of: object) -> None:
        self.files[name] = document.encode()
        stamp = outbox.find(self._engine, subject, of)
        if stamp and stamp.token:
            self._add_stamp(name, stamp.token, stamp.chain or "")

    def _add_stamp(self, name: str, token: bytes, chain_pem: str) -> None:
        self.files[members.stamp_of(name)] = token
        end = "-----END CERTIFICATE-----\n"
        self._certificates |= dict.fromkeys(f"{each}{end}" for each in chain_pem.split(end) if each.strip())

    def add_paths(self, head: str, paths: Mapping[int, Path]) -> None:
        for seq, path in paths.items():
            text = "".join(f"{side} {other}\n" for side, other in path)
            self.files[members.path(members.line(seq), head)] = text.encode()

    def add_stamped_head(self, lines: Sequence[int]) -> None:
        """The newest head that was stamped, and what leads to it from the lines before it, if there are any."""
        stamped = outbox.newest_head(self._engine)
        if stamped is None:
            return
        head = audit_head.read(json.loads(stamped.document))
        before = [seq for seq in lines if seq <= head.place.seq]
        if not before:
            return
        root, paths = audit_head.proofs(self._engine, head.place.seq, before)
        if root != head.root:
            raise AuditChanged
        self.files[members.STAMPED_HEAD] = stamped.document.encode()
        self._add_stamp(members.STAMPED_HEAD, stamped.token, stamped.chain)
        self.add_paths(members.STAMPED_HEAD, paths)

    def add_keys(self) -> None:
        """The keys that have signed something in here; the newest one signs the list of contents."""
        with own_transaction(self._engine) as connection:
            signs = receipt_keys.current(connection, self._settings)  # first: it may be a new one
            known = receipt_keys.all_public(connection)
        self._key = signs
        used = {signing.as_jwk(signs.public_key())["kid"], *map(_key_of, self._documents().values())}
        keys = {key_id: key for key_id, key in known.items() if key_id in used}
        self.files[members.KEYS] = json.dumps({"keys": [signing.as_jwk(key) for key in keys.values()]}).encode()
        for key_id, key in keys.items():
            self.files[members.pem(key_id)] = _as_pem(key)
        if self._certificates:
            self.files[members.AUTHORITY] = "".join(self._certificates).encode()

    def finish(self, about: dict[str, Any]) -> dict[str, bytes]:
        """All members, with the page and the signed list of them."""
        at = timing.now(self._engine).astimezone(UTC).isoformat(timespec="milliseconds")
        key_ids = {name: _key_of(text) for name, text in self._documents().items()}
        key_ids[members.CONTENTS] = signing.as_jwk(self._key.public_key())["kid"]
        self.files[members.PAGE] = page.render(self.files, at, key_ids).encode()
        listed = {name: sha256(content).hexdigest() for name, content in self.files.items()}
        said = {"kind": KIND, "madeAt": at, "members": listed, **about}
        self.files[members.CONTENTS] = signing.sign({"evidence": said}, self._key).encode()
        return self.files

    def _documents(self) -> dict[str, bytes]:
        names = (members.RECEIPT, members.ATTESTATION, members.HEAD, members.STAMPED_HEAD)
        return {name: self.files[name] for name in names if name in self.files}


def _lines(
    engine: Engine, deletion_id: UUID, instance_id: str, last: int, named: int | None, *, with_callers: bool
) -> dict[int, str]:
    """The lines on the deletion and its instance, by number: their texts as they are hashed. First the named one.

    Raises AuditChanged for a line that has another hash.
    """
    query = select(AuditLine.__table__).where(
        or_(AuditLine.deletion_id == deletion_id, AuditLine.instance_id == instance_id), AuditLine.seq <= last
    )
    if not with_callers:
        query = query.where(AuditLine.role == _WORKER)
    with own_statement(engine) as connection:
        ordered = query.order_by(AuditLine.seq != named, AuditLine.seq)
        rows = connection.execute(ordered.limit(_MOST_LINES + 1)).mappings().all()
    if any(chain.digest(dict(row)) != row["hash"] for row in rows):
        raise AuditChanged
    return {row["seq"]: chain.canonical(dict(row)) for row in rows}


def _key_of(document: bytes) -> str:
    return str(json.loads(document)["keyId"])


def _as_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
