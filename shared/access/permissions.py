"""Permissions of each role."""

from enum import StrEnum

from shared.database.enums import Role


class Permission(StrEnum):
    """What a caller may do; each endpoint needs one permission."""

    DELETE = "delete"  # and to preview, which is part of a deletion and reads all stores; to run a scheduled one now
    LOGOUT = "logout"
    READ = "read"
    RETRY = "retry"
    CANCEL = "cancel"
    AUDIT = "audit"
    RECEIPTS = "receipts"


SERVER = "server"  # requester of a deletion that the command line ordered: no role, for it needs no permission
KEY_ROLES = (Role.ADMIN, Role.CLIENT, Role.OPERATOR, Role.VIEWER, Role.AUDITOR)
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.CLIENT: frozenset({Permission.DELETE, Permission.CANCEL, Permission.LOGOUT, Permission.READ}),
    Role.OPERATOR: frozenset({Permission.LOGOUT, Permission.READ}),
    Role.VIEWER: frozenset({Permission.READ}),
    Role.AUDITOR: frozenset({Permission.READ, Permission.AUDIT, Permission.RECEIPTS}),
    Role.INSTANCE: frozenset(Permission) - {Permission.AUDIT},
}
_DELETING = frozenset({Permission.DELETE, Permission.RETRY})


def permissions_of(role: Role, *, instances_may_delete: bool = True) -> frozenset[Permission]:
    """Permissions of the role; instances_may_delete is LETHE_INSTANCE_TOKENS_MAY_DELETE."""
    if role is Role.INSTANCE and not instances_may_delete:
        return PERMISSIONS[role] - _DELETING
    return PERMISSIONS[role]
