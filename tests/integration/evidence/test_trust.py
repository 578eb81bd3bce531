"""Whom a time stamp is believed: certificates that come with it lead to a reader's root, and are none themselves."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.stamps import token
from tests.authority import Authority

DOCUMENT = b"a document"


def certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, signs: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> x509.Certificate:
    """One that is valid for a day."""
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    )
    if not is_ca:
        purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.TIME_STAMPING])
        made = made.add_extension(purpose, critical=True)
    return made.sign(signs, hashes.SHA256())


def stamped(authority: Authority, leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The answer of an authority with this certificate."""
    (authority.folder / "tsa.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (authority.folder / "tsa.key").write_bytes(pem)
    (authority.folder / "document").write_bytes(DOCUMENT)
    words = ["openssl", "ts", "-query", "-data", "document", "-sha256", "-cert"]
    return authority.reply(subprocess.run(words, cwd=authority.folder, check=True, capture_output=True).stdout)


def new_keys() -> tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePrivateKey]:
    """A root's and an authority's."""
    return ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def test_a_root_that_comes_with_the_stamp_is_none(authority: Authority, spare: Authority) -> None:
    """Also if its two names differ as OpenSSL does not see: it takes them for one, and the certificate for a root."""
    root_key, key = new_keys()
    roots = token.read_roots(authority.root)
    for issuer in ("My Root", "MY  ROOT"):
        mine = certificate("My Root", root_key, issuer, root_key, is_ca=True)
        answer = stamped(spare, certificate("mine", key, "My Root", root_key, is_ca=False), key)

        with pytest.raises(token.InvalidStamp, match="leads to none of the roots"):
            token.verify(answer, DOCUMENT, roots, between=[mine])


def test_a_certificate_between_leads_to_a_readers_root(spare: Authority) -> None:
    """It may be missing in the stamp; without it there is no way to the root."""
    root_key, key = new_keys()
    between_key, _ = new_keys()
    root = certificate("Root", root_key, "Root", root_key, is_ca=True)
    between = certificate("Between", between_key, "Root", root_key, is_ca=True)
    answer = stamped(spare, certificate("leaf", key, "Between", between_key, is_ca=False), key)

    verified = token.verify(answer, DOCUMENT, [root], between=[between])

    assert x509.load_pem_x509_certificates(verified.chain.encode()) == [between, root]
    with pytest.raises(token.InvalidStamp, match="leads to none of the roots"):
        token.verify(answer, DOCUMENT, [root])


def test_an_authority_may_be_a_root_itself(spare: Authority) -> None:
    """Its certificate is then the chain that a bundle has."""
    _, key = new_keys()
    alone = certificate("alone", key, "alone", key, is_ca=False)

    verified = token.verify(stamped(spare, alone, key), DOCUMENT, [alone])

    assert x509.load_pem_x509_certificates(verified.chain.encode()) == [alone]


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority whose certificate a test replaces; it is asked without HTTP."""
    made = Authority(tmp_path_factory.mktemp("spare"))
    made._server.server_close()
    return made
