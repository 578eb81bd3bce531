"""Verifies a time stamp (RFC 3161): the document, the nonce, and the chain of certificates up to given roots."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import certifi
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from shared.errors import LetheError

_LONGEST_CHAIN = 10
_NOT_TRUSTED = re.compile(r'Verify error: ([^"]+)')  # OpenSSL's words


class InvalidStamp(LetheError):
    """The time stamp is not one of this document by a known authority."""


@dataclass(frozen=True)
class Verified:
    """What a verified time stamp says."""

    at: datetime  # by the authority's clock
    authority: str  # the subject of its certificate
    chain: str  # PEM: the certificates above the authority's, the root last


def read_roots(path: Path | None) -> list[Certificate]:
    """The certificates of a PEM file, or the public roots without one; raises ValueError or OSError."""
    if path:
        return load_pem_x509_certificates(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # some public roots are older than RFC 5280
        return load_pem_x509_certificates(Path(certifi.where()).read_bytes())


def verify(answer: bytes, document: bytes, roots: Sequence[Certificate], *, nonce: int | None = None) -> Verified:
    """Verify an authority's whole answer, as it came; raises InvalidStamp, with the reason."""
    try:
        response = decode_timestamp_response(answer)
    except ValueError as error:
        raise InvalidStamp("it is no answer of a time-stamp authority (RFC 3161)") from error
    if response.status != 0:
        said = "; ".join(response.status_string) or "without a reason"
        raise InvalidStamp(f"the authority has refused the request (status {response.status}): {said}")
    if response.as_bytes() != answer:
        raise InvalidStamp("it is not written as the authority writes it")
    try:
        VerifierBuilder(roots=list(roots), nonce=nonce).build().verify_message(response, document)
        return _read(response, roots)
    except (VerificationError, UnsupportedAlgorithm, ValueError) as error:
        raise InvalidStamp(_why(error)) from error


def _why(error: Exception) -> str:
    said = str(error)
    if "Mismatch between messages" in said:
        return "it is of another document, or the document was changed"
    if "Nonce mismatch" in said:
        return "it answers another request: its nonce is not ours"
    if found := _NOT_TRUSTED.search(said):
        return f"the authority's certificate leads to none of the roots that are trusted ({found[1]})"
    if "pkcs7" in said:
        return "the authority's signature does not fit: something was changed after it was signed"
    return said


def _read(response: TimeStampResponse, roots: Iterable[Certificate]) -> Verified:
    signer = next(iter(response.signed_data.signer_infos))
    included = [load_der_x509_certificate(each) for each in response.signed_data.certificates]
    leaf = next(each for each in included if (each.issuer, each.serial_number) == (signer.issuer, signer.serial_number))
    chain = _above(leaf, [*included, *roots])
    return Verified(
        response.tst_info.gen_time.astimezone(UTC),
        leaf.subject.rfc4514_string(),
        "".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
    )


def _above(leaf: Certificate, known: Sequence[Certificate]) -> Iterator[Certificate]:
    """The certificates above this one."""
    below = leaf
    for _ in range(_LONGEST_CHAIN):
        if below.issuer == below.subject:
            return
        above = next((each for each in known if each.subject == below.issuer and _has_signed(each, below)), None)
        if above is None:
            return
        yield above
        below = above


def _has_signed(above: Certificate, below: Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
