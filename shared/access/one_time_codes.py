"""One-time codes (RFC 6238) of API keys: enrolled on the server, each good once, and no place to guess them."""

import time
from enum import StrEnum
from hmac import compare_digest

import pyotp
from sqlalchemy import Connection, Engine, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared import encryption, logs
from shared.access import api_keys
from shared.access.permissions import KEY_ROLES, PERMISSIONS, Permission
from shared.database.connections import own_transaction
from shared.database.models import ApiKey, OneTimeCodes
from shared.database.timing import from_now
from shared.settings import Settings

log = logs.get(__name__)
WRONG_ONES = 5  # in a row, then the key confirms nothing for a while
_STEP_SECONDS = 30
_DRIFT_STEPS = 1  # how far the holder's clock may be off, either way


class CodeResult(StrEnum):
    """What a code is."""

    GOOD = "good"
    WRONG = "wrong"
    USED = "used"  # it was good, once
    LOCKED = "locked"  # after too many wrong ones: nothing was looked at
    NOT_ENROLLED = "not enrolled"


def enroll(connection: Connection, settings: Settings, key_id: str) -> str | None:
    """Give the key a new secret in place of any other; its otpauth URI, or None when the key is not alive."""
    if connection.scalar(select(ApiKey.id).where(ApiKey.id == key_id, api_keys.is_active())) is None:
        return None
    secret = pyotp.random_base32()
    fresh = {
        "sealed": encryption.cipher(settings).encrypt(secret.encode()),
        "last_step": 0,
        "wrong": 0,
        "locked_until": None,
        "enrolled_at": func.now(),
    }
    row = insert(OneTimeCodes).values(key_id=key_id, **fresh)
    connection.execute(row.on_conflict_do_update(index_elements=[OneTimeCodes.key_id], set_=fresh))
    return pyotp.TOTP(secret, interval=_STEP_SECONDS).provisioning_uri(name=key_id, issuer_name="Lethe")


def count_enrolled(connection: Connection, permission: Permission) -> int:
    """How many living keys that may do this have codes."""
    roles = [role for role in KEY_ROLES if permission in PERMISSIONS[role]]
    query = select(func.count()).select_from(OneTimeCodes).join(ApiKey, ApiKey.id == OneTimeCodes.key_id)
    return connection.scalar(query.where(ApiKey.role.in_(roles), api_keys.is_active())) or 0


def use(engine: Engine, settings: Settings, key_id: str, code: str) -> CodeResult:
    """Use the code up; when this returns, it is written down that it was used, or that it was wrong."""
    found = select(OneTimeCodes.__table__, (OneTimeCodes.locked_until > func.now()).label("locked"))
    with own_transaction(engine) as connection:
        # Taken in turns: of many guesses at once, no more than five come before the lock.
        row = connection.execute(found.where(OneTimeCodes.key_id == key_id).with_for_update()).one_or_none()
        if row is None:
            return CodeResult.NOT_ENROLLED
        if row.locked:
            return CodeResult.LOCKED
        step = step_of(encryption.cipher(settings).decrypt(row.sealed).decode(), code, time.time())
        if step is None:
            return _count_wrong(connection, row, settings.code_lock_seconds)
        if step <= row.last_step:
            return CodeResult.USED
        _write(connection, key_id, last_step=step, wrong=0)
    return CodeResult.GOOD


def step_of(secret: str, code: str, now: float) -> int | None:
    """The time step whose code it is, of those that are near enough; None when it is of none."""
    totp, present = pyotp.TOTP(secret, interval=_STEP_SECONDS), int(now) // _STEP_SECONDS
    near = range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1)
    # All are looked at: how long it takes tells nothing.
    good = [step for step in near if compare_digest(totp.generate_otp(step).encode(), code.encode())]
    return max(good, default=None)


def _count_wrong(connection: Connection, row: Row[tuple[object, ...]], lock_seconds: float) -> CodeResult:
    if row.wrong + 1 < WRONG_ONES:
        _write(connection, row.key_id, wrong=row.wrong + 1)
        return CodeResult.WRONG
    _write(connection, row.key_id, wrong=0, locked_until=from_now(lock_seconds))
    log.warning("confirmations locked", key_id=row.key_id)
    return CodeResult.LOCKED


def _write(connection: Connection, key_id: str, **values: object) -> None:
    connection.execute(update(OneTimeCodes).where(OneTimeCodes.key_id == key_id).values(**values))
