"""The key that receipts are signed with, and all that ever were: from the settings, else made here and sealed."""

from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from shared import encryption, signing
from shared.database.models import ReceiptKey
from shared.settings import Settings

_LOCK = 0x1E74E5  # any number, the same in every process: two that need a first key at once make one


def current(connection: Connection, settings: Settings) -> Ed25519PrivateKey:
    """The key to sign with now; its public part is kept before anything is signed with it."""
    if settings.receipt_key:
        key = signing.read_private_key(settings.receipt_key.get_secret_value())
        _keep(connection, key, sealed=None)
        return key
    return _newest(connection, settings) or _make(connection, settings)


def published(connection: Connection, settings: Settings) -> list[dict[str, str]]:
    """The public keys as JSON Web Keys, newest first: a receipt stays good after a change of key."""
    current(connection, settings)
    rows = connection.scalars(select(ReceiptKey.public).order_by(ReceiptKey.created_at.desc(), ReceiptKey.id))
    return [signing.as_jwk(signing.read_public_key(public)) for public in rows]


def _newest(connection: Connection, settings: Settings) -> Ed25519PrivateKey | None:
    sealed = select(ReceiptKey.sealed).where(ReceiptKey.sealed.is_not(None)).order_by(ReceiptKey.created_at.desc())
    for row in connection.scalars(sealed):
        try:
            return Ed25519PrivateKey.from_private_bytes(encryption.cipher(settings).decrypt(row or b""))
        except InvalidToken:  # sealed with another secret_key: good for checking, not for signing
            continue
    return None


def _make(connection: Connection, settings: Settings) -> Ed25519PrivateKey:
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    if made_meanwhile := _newest(connection, settings):
        return made_meanwhile
    key = Ed25519PrivateKey.generate()
    _keep(connection, key, sealed=encryption.cipher(settings).encrypt(key.private_bytes_raw()))
    return key


def _keep(connection: Connection, key: Ed25519PrivateKey, *, sealed: bytes | None) -> None:
    public = key.public_key()
    row = insert(ReceiptKey).values(id=signing.as_jwk(public)["kid"], public=public.public_bytes_raw(), sealed=sealed)
    connection.execute(row.on_conflict_do_nothing())
