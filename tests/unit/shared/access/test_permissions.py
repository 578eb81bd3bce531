"""The table of roles."""

import pytest

from shared.access.permissions import KEY_ROLES, PERMISSIONS, Permission, permissions_of
from shared.database.enums import Role


@pytest.mark.parametrize("role", [role for role in KEY_ROLES if role not in (Role.ADMIN, Role.CLIENT)])
def test_admins_and_clients_alone_change_the_fate_of_an_instance(role: Role) -> None:
    """Of all who have a key."""
    assert not {Permission.DELETE, Permission.RETRY, Permission.CANCEL} & PERMISSIONS[role]


def test_a_client_does_what_it_did_with_evolution() -> None:
    """Not what Evolution has no call for."""
    assert PERMISSIONS[Role.CLIENT] == {Permission.DELETE, Permission.CANCEL, Permission.LOGOUT, Permission.READ}


def test_an_admin_may_do_everything() -> None:
    """Whatever comes to the table."""
    assert PERMISSIONS[Role.ADMIN] == set(Permission)


def test_every_role_is_in_the_table() -> None:
    """And may at least look."""
    assert set(PERMISSIONS) == set(Role)
    assert all(Permission.READ in allowed for allowed in PERMISSIONS.values())


def test_an_instance_reads_no_audit_and_is_no_role_of_a_key() -> None:
    """The audit tells of all others as well."""
    assert Permission.AUDIT not in PERMISSIONS[Role.INSTANCE]
    assert set(KEY_ROLES) == set(Role) - {Role.INSTANCE}


def test_instances_that_may_not_delete_may_not_resume_either() -> None:
    """They may still log out, look and cancel; nobody else loses anything."""
    kept = permissions_of(Role.INSTANCE, instances_may_delete=False)

    assert PERMISSIONS[Role.INSTANCE] - kept == {Permission.DELETE, Permission.RETRY}
    assert permissions_of(Role.ADMIN, instances_may_delete=False) == PERMISSIONS[Role.ADMIN]
