"""One-time codes (TOTP, RFC 6238) of API keys: each is valid once, and wrong codes lock the key."""

import time
from enum import StrEnum
from hmac import compare_digest

import pyotp
from sqlalchemy import Connection, Engine, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared import logs
from shared.access import api_keys
from shared.access.permissions import KEY_ROLES, PERMISSIONS, Permission
from shared.database import encryption
from shared.database.connections import own_transaction
from shared.database.models import ApiKey, OneTimeCodes
from shared.database.timing import from_now
from shared.settings import Settings

log = logs.get(__name__)
MAX_WRONG_CODES = 5  # in a row; then the key is locked for LETHE_CODE_LOCK_SECONDS
_STEP_SECONDS = 30
_DRIFT_STEPS = 1  # how far the clock of the holder may be wrong, in both directions


class CodeResult(StrEnum):
    """Result of a code."""

    GOOD = "good"
    WRONG = "wrong"
    USED = "used"  # valid, but used before
    LOCKED = "locked"  # after too many wrong codes; this one was not checked
    NOT_ENROLLED = "not enrolled"


def enroll(connection: Connection, settings: Settings, key_id: str) -> str | None:
    """Give the key a new TOTP secret. Returns its otpauth URI; None when the key is not active."""
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
    """How many active keys with this permission have one-time codes."""
    roles = [role for role in KEY_ROLES if permission in PERMISSIONS[role]]
    query = select(func.count()).select_from(OneTimeCodes).join(ApiKey, ApiKey.id == OneTimeCodes.key_id)
    return connection.scalar(query.where(ApiKey.role.in_(roles), api_keys.is_active())) or 0


def check(engine: Engine, settings: Settings, key_id: str, code: str) -> tuple[CodeResult, int]:
    """Check a code, and commit that it was wrong. A good one is used up by use(); its time step is returned."""
    found = select(OneTimeCodes.__table__, (OneTimeCodes.locked_until > func.now()).label("locked"))
    with own_transaction(engine) as connection:
        # One code at a time: of many parallel guesses, only MAX_WRONG_CODES are checked.
        row = connection.execute(found.where(OneTimeCodes.key_id == key_id).with_for_update()).one_or_none()
        if row is None:
            return CodeResult.NOT_ENROLLED, 0
        if row.locked:
            return CodeResult.LOCKED, 0
        step = time_step(encryption.cipher(settings).decrypt(row.sealed).decode(), code, time.time())
        if step is None:
            return _count_wrong(connection, row, settings.code_lock_seconds), 0
    return CodeResult.USED if step <= row.last_step else CodeResult.GOOD, step


def use(connection: Connection, key_id: str, step: int) -> bool:
    """Use up the code of this time step, and all earlier ones; False when another call did so meanwhile."""
    unused = update(OneTimeCodes).where(OneTimeCodes.key_id == key_id, OneTimeCodes.last_step < step)
    return bool(connection.execute(unused.values(last_step=step, wrong=0)).rowcount)


def time_step(secret: str, code: str, now: float) -> int | None:
    """The time step of a code; None when it is no code of the present or a neighbouring step."""
    totp, present = pyotp.TOTP(secret, interval=_STEP_SECONDS), int(now) // _STEP_SECONDS
    near = range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1)
    # All steps are compared, so that the time it takes tells nothing.
    good = [step for step in near if compare_digest(totp.generate_otp(step).encode(), code.encode())]
    return max(good, default=None)


def _count_wrong(connection: Connection, row: Row[tuple[object, ...]], lock_seconds: float) -> CodeResult:
    if row.wrong + 1 < MAX_WRONG_CODES:
        _write(connection, row.key_id, wrong=row.wrong + 1)
        return CodeResult.WRONG
    _write(connection, row.key_id, wrong=0, locked_until=from_now(lock_seconds))
    log.warning("confirmations locked", key_id=row.key_id)
    return CodeResult.LOCKED


def _write(connection: Connection, key_id: str, **values: object) -> None:
    connection.execute(update(OneTimeCodes).where(OneTimeCodes.key_id == key_id).values(**values))
