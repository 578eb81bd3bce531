"""Verifies a bundle without settings, database and network: all in it fits together, and nothing else is in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificates

from shared import signing
from shared.audit import tree
from shared.audit.chain import HASHED
from shared.evidence import attestation, audit_head, members
from shared.evidence.audit_head import Head
from shared.evidence.bundle import KIND
from shared.evidence.members import InvalidBundle
from shared.receipts import receipt
from shared.stamps import token
from shared.stamps.token import Verified

_MOST_CERTIFICATES = 50


@dataclass(frozen=True)
class Proved:
    """What a verified bundle proves."""

    deletion_id: str
    instance_id: str
    finished_at: str
    made_at: str
    lines: int
    lines_of: str  # "all", or "worker": only those that name no key and no address
    attestation: Mapping[str, Any] | None
    stamps: Mapping[str, Verified]  # by the document's name
    key_ids: tuple[str, ...]  # that have signed something


def verify(content: bytes, *, keys: Sequence[str] = (), roots: Sequence[Certificate] = ()) -> Proved:
    """Verify the file of a bundle; raises InvalidBundle, InvalidDocument, InvalidKeySet or InvalidStamp.

    keys: thumbprints that alone are trusted; without any, the keys in the bundle are. roots: of time-stamp
    authorities; without any, those in the bundle.
    """
    files = members.unpack(content)
    try:
        return _verify(files, keys, roots)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, UnsupportedAlgorithm) as error:
        raise InvalidBundle("its documents are not as Lethe writes them") from error


def _verify(files: Mapping[str, bytes], keys: Sequence[str], roots: Sequence[Certificate]) -> Proved:
    known = signing.read_key_set(files[members.KEYS])
    _check_pems(files, known)
    signed = {name: signing.check(files[name], known) for name in _documents(files)}
    used = tuple(dict.fromkeys(str(each["keyId"]) for each in signed.values()))
    if keys and (stranger := next((each for each in used if each not in keys), None)):
        raise InvalidBundle(f"it is signed with the key {stranger}, which is none of those that you trust")
    about = _check_contents(files, signed[members.CONTENTS])
    proved = receipt.proved(signed[members.RECEIPT])
    if (proved["deletionId"], proved["instanceId"]) != (about["deletionId"], about["instanceId"]):
        raise InvalidBundle("its receipt is of another deletion")
    attested = _check_attestation(files, signed, about)
    heads = {name: audit_head.read(signed[name]) for name in (members.HEAD, members.STAMPED_HEAD) if name in signed}
    lines = _check_lines(files, heads, about)
    line = signed[members.RECEIPT]["receipt"].get("auditLine")
    if line and lines.get(line["seq"]) != line["hash"]:
        raise InvalidBundle(f"line {line['seq']} of the audit, which the receipt names, is missing or another one")
    stamps = _check_stamps(files, roots)
    return Proved(
        about["deletionId"],
        about["instanceId"],
        proved["finishedAt"],
        about["madeAt"],
        len(lines),
        about["lines"],
        attested,
        stamps,
        used,
    )


def _documents(files: Mapping[str, bytes]) -> list[str]:
    names = (members.CONTENTS, members.RECEIPT, members.ATTESTATION, members.HEAD, members.STAMPED_HEAD)
    return [name for name in names if name in files]


def _check_pems(files: Mapping[str, bytes], known: Mapping[str, Ed25519PublicKey]) -> None:
    if {name for name in files if name.startswith("keys/")} != set(map(members.pem, known)):
        raise InvalidBundle("its keys are not those of keys.json")
    for key_id, key in known.items():
        try:
            same = load_pem_public_key(files[members.pem(key_id)])
        except ValueError as error:
            raise InvalidBundle(f"{members.pem(key_id)} is no public key") from error
        if not isinstance(same, Ed25519PublicKey) or same.public_bytes_raw() != key.public_bytes_raw():
            raise InvalidBundle(f"{members.pem(key_id)} is another key than keys.json has")


def _check_contents(files: Mapping[str, bytes], document: Mapping[str, Any]) -> dict[str, Any]:
    about = document.get("evidence")
    if not isinstance(about, dict) or about.get("kind") != KIND:
        raise InvalidBundle("its list of contents is of a kind that this version does not know")
    present = {name: sha256(text).hexdigest() for name, text in files.items() if name != members.CONTENTS}
    if about["members"] != present:
        names = about["members"].keys() | present.keys()
        wrong = sorted(name for name in names if about["members"].get(name) != present.get(name))
        raise InvalidBundle(f"{wrong[0]} is not what was signed")
    return about


def _check_attestation(
    files: Mapping[str, bytes], signed: Mapping[str, Mapping[str, Any]], about: Mapping[str, Any]
) -> dict[str, Any] | None:
    if members.ATTESTATION not in signed:
        return None
    attested = attestation.read(signed[members.ATTESTATION])
    if attested["deletionId"] != about["deletionId"] or attested["instanceId"] != about["instanceId"]:
        raise InvalidBundle("its attestation is of another deletion")
    if attested["receipt"]["sha256"] != sha256(files[members.RECEIPT]).hexdigest():
        raise InvalidBundle("its attestation names another receipt")
    if attested["found"] != len(attested["findings"]) or type(attested["instanceExists"]) is not bool:
        raise InvalidBundle("its attestation does not say what was found")
    return attested


def _check_lines(files: Mapping[str, bytes], heads: Mapping[str, Head], about: Mapping[str, Any]) -> dict[int, str]:
    """The hashes of the lines by number, each of them in the chain of every head that is not older."""
    lines: dict[int, str] = {}
    expected = set()
    for name in sorted(each for each in files if each.startswith("lines/") and each.endswith(".json")):
        line = _read_line(name, files[name])
        if about["deletionId"] != line["deletion_id"] and about["instanceId"] != line["instance_id"]:
            raise InvalidBundle(f"{name} is about another deletion")
        seq = int(line["seq"])
        lines[seq] = sha256(files[name]).hexdigest()
        for head_name, head in heads.items():
            if seq <= head.place.seq:
                expected |= {name, (path := members.path(name, head_name))}
                if tree.root_of(lines[seq], _read_path(path, files.get(path))) != head.root:
                    raise InvalidBundle(f"{name} is not in the chain of {head_name}")
    if expected != {name for name in files if name.startswith("lines/")}:
        raise InvalidBundle("it has a line of the audit that no head covers")
    return lines


def _read_line(name: str, text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text)
        if set(line) != set(HASHED) or members.line(int(line["seq"])) != name:
            raise ValueError(name)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidBundle(f"{name} is no line of the audit") from error
    return dict(line)


def _read_path(name: str, text: bytes | None) -> list[tuple[str, str]]:
    steps = [tuple(each.split(" ")) for each in (text or b"").decode("ascii", "replace").splitlines()]
    if text is None or any(len(each) != 2 or each[0] not in ("left", "right") for each in steps):
        raise InvalidBundle(f"{name} is missing, or is no list of hashes")
    return [(each[0], each[1]) for each in steps]


def _check_stamps(files: Mapping[str, bytes], roots: Sequence[Certificate]) -> dict[str, Verified]:
    stamps = [name for name in files if name.endswith(".tsr")]
    if not stamps:
        return {}
    try:
        included = load_pem_x509_certificates(files.get(members.AUTHORITY, b""))
    except ValueError as error:
        raise InvalidBundle("the certificates of the time-stamp authority are missing") from error
    if len(included) > _MOST_CERTIFICATES:
        raise InvalidBundle("it has too many certificates")
    # With roots that the reader trusts, those of the bundle are only certificates in between.
    between = included if roots else ()
    documents = {name.removesuffix("tsr") + "json": name for name in stamps}
    if absent := sorted(documents.keys() - files.keys()):
        raise InvalidBundle(f"{absent[0]} is missing, of which there is a time stamp")
    return {
        name: token.verify(files[stamp], files[name], roots or included, between=between)
        for name, stamp in documents.items()
    }
