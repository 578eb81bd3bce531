"""Keys that sign receipts: LETHE_RECEIPT_KEY, else a generated key, which is stored encrypted."""

from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from shared import signing
from shared.database import encryption
from shared.database.models import ReceiptKey
from shared.settings import Settings

_LOCK = 0x1E74E5  # any number, the same in every process, so that two processes do not both generate the first key


def current(connection: Connection, settings: Settings) -> Ed25519PrivateKey:
    """The key to sign with now. Its public part is stored before it is used."""
    if settings.receipt_key:
        key = signing.read_private_key(settings.receipt_key.get_secret_value())
        _store(connection, key, sealed=None)
        return key
    return _newest(connection, settings) or _generate(connection, settings)


def published(connection: Connection, settings: Settings) -> list[dict[str, str]]:
    """All public keys as JSON Web Keys, newest first: old receipts stay valid after a change of the key."""
    current(connection, settings)
    return [signing.as_jwk(key) for key in all_public(connection).values()]


def all_public(connection: Connection) -> dict[str, Ed25519PublicKey]:
    """All public keys by their thumbprints, newest first."""
    rows = connection.scalars(select(ReceiptKey.public).order_by(ReceiptKey.created_at.desc(), ReceiptKey.id))
    keys = map(Ed25519PublicKey.from_public_bytes, rows)
    return {signing.as_jwk(key)["kid"]: key for key in keys}


def _newest(connection: Connection, settings: Settings) -> Ed25519PrivateKey | None:
    sealed = select(ReceiptKey.sealed).where(ReceiptKey.sealed.is_not(None)).order_by(ReceiptKey.created_at.desc())
    for row in connection.scalars(sealed):
        try:
            return Ed25519PrivateKey.from_private_bytes(encryption.cipher(settings).decrypt(row or b""))
        except InvalidToken:  # encrypted with another secret_key: it cannot sign any more
            continue
    return None


def _generate(connection: Connection, settings: Settings) -> Ed25519PrivateKey:
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    if made_meanwhile := _newest(connection, settings):
        return made_meanwhile
    key = Ed25519PrivateKey.generate()
    _store(connection, key, sealed=encryption.cipher(settings).encrypt(key.private_bytes_raw()))
    return key


def _store(connection: Connection, key: Ed25519PrivateKey, *, sealed: bytes | None) -> None:
    public = key.public_key()
    row = insert(ReceiptKey).values(id=signing.as_jwk(public)["kid"], public=public.public_bytes_raw(), sealed=sealed)
    connection.execute(row.on_conflict_do_nothing())
