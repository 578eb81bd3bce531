"""Verifies a time stamp (RFC 3161): the document, the nonce, and the chain of certificates up to given roots."""

import re
import warnings
from collections.abc import Sequence
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
from shared.translations.marks import N_

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


def verify(
    answer: bytes,
    document: bytes,
    roots: Sequence[Certificate],
    *,
    between: Sequence[Certificate] = (),
    nonce: int | None = None,
) -> Verified:
    """Verify an authority's whole answer, as it came; raises InvalidStamp, with the reason.

    between: certificates of unknown origin that may lead to a root. None of them is trusted.
    """
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
        included = [load_der_x509_certificate(each) for each in response.signed_data.certificates]
        path = _path(_leaf(response, included), [*roots, *included, *between], roots)
        # The verifier trusts its intermediates as well, where OpenSSL takes one for a root: only those of the path.
        used = [each for each in path[1:-1] if each in between]
        builder = VerifierBuilder(roots=list(roots), intermediates=used, nonce=nonce)
        builder.build().verify_message(response, document)
    except (VerificationError, UnsupportedAlgorithm, ValueError) as error:
        raise InvalidStamp(_why(error)) from error
    above = path[1:] or path  # an authority may be a root itself
    chain = "".join(each.public_bytes(Encoding.PEM).decode() for each in above)
    return Verified(response.tst_info.gen_time.astimezone(UTC), path[0].subject.rfc4514_string(), chain)


def _why(error: Exception) -> str:
    said = str(error)
    if "Mismatch between messages" in said:
        return N_("it is of another document, or the document was changed")
    if "Nonce mismatch" in said:
        return N_("it answers another request: its nonce is not ours")
    if found := _NOT_TRUSTED.search(said):
        return N_(f"the authority's certificate leads to none of the roots that are trusted ({found[1]})")
    if "pkcs7" in said:
        return N_("the authority's signature does not fit: something was changed after it was signed")
    return said


def _leaf(response: TimeStampResponse, included: Sequence[Certificate]) -> Certificate:
    """The authority's own certificate."""
    for signer in response.signed_data.signer_infos:
        for each in included:
            if (each.issuer, each.serial_number) == (signer.issuer, signer.serial_number):
                return each
    raise InvalidStamp("it does not have the authority's certificate")


def _path(leaf: Certificate, known: Sequence[Certificate], roots: Sequence[Certificate]) -> list[Certificate]:
    """The certificates from this one up to a root, both included; raises InvalidStamp if none is found."""
    paths, seen = [[leaf]], {leaf}
    for path in paths:  # which grows
        top = path[-1]
        if top.issuer == top.subject and top in roots:
            return path
        for above in known:
            if above not in seen and above.subject == top.issuer and _has_signed(above, top):
                seen.add(above)
                paths.append([*path, above])
    raise InvalidStamp("the authority's certificate leads to none of the roots that are trusted")


def _has_signed(above: Certificate, below: Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
