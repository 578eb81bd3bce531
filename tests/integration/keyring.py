"""API keys and their one-time codes for tests, made as `lethe keys` makes them."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp

from shared.access import api_keys, one_time_codes
from shared.access.api_keys import NewKey
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.services import Services


def make_key(
    services: Services, role: Role, *, instances: Sequence[str] | None = None, lifetime: timedelta | None = None
) -> NewKey:
    """A key of this role, limited to these instances or to none."""
    with own_transaction(services.own) as connection:
        return api_keys.create(
            connection, services.settings, name=role.value, role=role, instances=instances, lifetime=lifetime
        )


def revoke(services: Services, key: NewKey) -> None:
    """Let it open nothing any more."""
    with own_transaction(services.own) as connection:
        assert api_keys.revoke(connection, key.id)


def rotate(services: Services, key: NewKey) -> NewKey:
    """The same key with a new secret."""
    with own_transaction(services.own) as connection:
        rotated = api_keys.rotate(connection, services.settings, key.id)
    assert rotated
    return rotated


def change(services: Services, key: NewKey, assignment: str) -> None:
    """Change the key's row, as no command does."""
    with services.own.begin() as connection:
        connection.exec_driver_sql(f"UPDATE api_keys SET {assignment} WHERE id = %s", (key.id,))


def enroll(services: Services, key: NewKey) -> pyotp.TOTP:
    """What its holder's authenticator does."""
    with own_transaction(services.own) as connection:
        uri = one_time_codes.enroll(connection, services.settings, key.id)
    assert uri is not None
    return pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0])


def wrong_for(totp: pyotp.TOTP, now: float) -> str:
    """A code that is not good now, nor a minute before or after."""
    near = {totp.at(int(now) + 30 * step) for step in range(-3, 4)}
    return next(code for code in (f"{number:06}" for number in range(10)) if code not in near)
