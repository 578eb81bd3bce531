"""What is signed can be checked by anybody, and no byte of it can be changed unseen."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from shared import signing
from shared.signing import InvalidDocument, InvalidKeySet

# RFC 8037, appendix A: a key, its JSON Web Key and its thumbprint.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

KEY = Ed25519PrivateKey.from_private_bytes(SEED)
KEYS = {THUMBPRINT: KEY.public_key()}
CONTENT = {"receipt": {"name": "Zoë 🦊", "counts": {"Message": 500_000, "Chat": 0}, "kept": None, "atLeast": True}}
_PEM = Encoding.PEM, PrivateFormat.PKCS8
_DER_BEFORE_THE_KEY = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: SubjectPublicKeyInfo of Ed25519


def test_a_key_is_published_as_the_standard_has_it() -> None:
    """The example of RFC 8037."""
    jwk = signing.as_jwk(KEY.public_key())

    assert jwk == {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": THUMBPRINT, "alg": "EdDSA", "use": "sig"}


def test_what_is_signed_is_valid() -> None:
    """And comes back as it was."""
    document = signing.check(signing.sign(CONTENT, KEY).encode(), KEYS)

    assert document["receipt"] == CONTENT["receipt"]
    assert (document["algorithm"], document["keyId"]) == ("Ed25519", THUMBPRINT)


def test_a_newline_at_the_end_changes_nothing() -> None:
    """Shells and editors add one."""
    assert signing.check(signing.sign(CONTENT, KEY).encode() + b"\n", KEYS)


def test_every_changed_byte_is_found() -> None:
    """Each one in turn, in the key's id and in the signature too; each one taken away or put in twice as well."""
    signed = signing.sign(CONTENT, KEY).encode()

    for place, byte in enumerate(signed):
        for changed in (bytes([byte ^ 1]), b"", bytes([byte]) * 2, bytes([byte]) + b" "):
            with pytest.raises(InvalidDocument):
                signing.check(signed[:place] + changed + signed[place + 1 :], KEYS)


def test_the_last_letter_of_the_signature_cannot_be_another() -> None:
    """Base64 would read the same bytes from several letters."""
    signed = signing.sign(CONTENT, KEY)
    signature = json.loads(signed)["signature"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [signature[:-1] + letter for letter in letters if letter != signature[-1]]

    for other in others:
        with pytest.raises(InvalidDocument):
            signing.check(signed.replace(signature, other).encode(), KEYS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "no JSON object"),
        (b"{}", "not signed with Ed25519"),
        (b'{"algorithm":"Ed25519"}', "none of the keys"),
        (b'{"algorithm":"Ed25519","keyId":"%s"}' % THUMBPRINT.encode(), "does not fit"),
        (b'{"a": 1}', "edited or formatted"),
        (b'{"a":1,"a":1}', "edited or formatted"),
    ],
)
def test_what_is_wrong_is_said(text: bytes, words: str) -> None:
    """In a sentence."""
    with pytest.raises(InvalidDocument, match=words):
        signing.check(text, KEYS)


def test_another_key_of_the_same_id_is_not_believed() -> None:
    """A key set's own ids are not read: a key is called what its thumbprint says."""
    forger = Ed25519PrivateKey.generate()
    forged = {**signing.as_jwk(forger.public_key()), "kid": THUMBPRINT}

    assert THUMBPRINT not in signing.read_key_set(json.dumps({"keys": [forged]}))


def test_keys_of_other_kinds_are_passed_over() -> None:
    """A key set may hold more than ours."""
    keys = [{"kty": "RSA", "n": "x", "e": "AQAB"}, {"kty": "OKP", "crv": "X25519", "x": X}, {"kty": "OKP"}]

    assert set(signing.read_key_set(json.dumps({"keys": [*keys, signing.as_jwk(KEY.public_key())]}))) == {THUMBPRINT}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"keys":[]}', '{"keys":[1]}', '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}']
)
def test_what_is_no_key_set_is_refused(text: str) -> None:
    """Whatever is passed in its place."""
    with pytest.raises(InvalidKeySet):
        signing.read_key_set(text)


@pytest.mark.parametrize(
    "text", [base64.b64encode(SEED).decode(), KEY.private_bytes(*_PEM, NoEncryption()).decode()], ids=["base64", "pem"]
)
def test_a_private_key_is_read(text: str) -> None:
    """From both forms."""
    assert signing.read_private_key(text).private_bytes_raw() == SEED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        base64.b64encode(SEED[:31]).decode(),
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
        generate_private_key(SECP256R1()).private_bytes(*_PEM, NoEncryption()).decode(),
        KEY.private_bytes(*_PEM, BestAvailableEncryption(b"x")).decode(),
    ],
)
def test_what_is_no_private_key_is_refused(text: str) -> None:
    """Without repeating it."""
    with pytest.raises(ValueError, match="an Ed25519 private key is needed"):
        signing.read_private_key(text)


def test_openssl_agrees(tmp_path: Path) -> None:
    """With another program, another writer of JSON, and the published key: nothing of ours checks itself here."""
    document = json.loads(signing.sign(CONTENT, KEY))
    signature = document.pop("signature")
    signed = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "signature").write_bytes(base64.urlsafe_b64decode(f"{signature}=="))
    (tmp_path / "key").write_bytes(_DER_BEFORE_THE_KEY + base64.urlsafe_b64decode(f"{X}="))

    def verify() -> int:
        words = "pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in signed -sigfile signature"
        return subprocess.run(["openssl", *words.split()], cwd=tmp_path, capture_output=True).returncode

    assert verify() == 0
    (tmp_path / "signed").write_bytes(signed.replace(b"500000", b"500001"))
    assert verify() == 1
