"""API keys for tests, made as `lethe keys` makes them."""

from collections.abc import Sequence
from datetime import timedelta

from shared import api_keys
from shared.api_keys import NewKey
from shared.database import own_transaction
from shared.permissions import Role
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
