"""What whoever calls may do: the table of roles."""

from enum import StrEnum

from shared.database.enums import Role


class Permission(StrEnum):
    """Something that is asked for; each endpoint needs one."""

    DELETE = "delete"  # a preview too: it is the first half of a deletion, and costs a pass over the stores
    LOGOUT = "logout"
    READ = "read"
    RETRY = "retry"
    CANCEL = "cancel"
    AUDIT = "audit"
    RECEIPTS = "receipts"


SERVER = "server"  # the requester of what is ordered on the server: no role, for it is asked for none
KEY_ROLES = (Role.ADMIN, Role.OPERATOR, Role.VIEWER, Role.AUDITOR)
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: frozenset({Permission.LOGOUT, Permission.READ}),
    Role.VIEWER: frozenset({Permission.READ}),
    Role.AUDITOR: frozenset({Permission.READ, Permission.AUDIT, Permission.RECEIPTS}),
    Role.INSTANCE: frozenset(Permission) - {Permission.AUDIT},
}
_DELETING = frozenset({Permission.DELETE, Permission.RETRY})


def permissions_of(role: Role, *, instances_may_delete: bool = True) -> frozenset[Permission]:
    """What the role may do in this deployment, where instances may be kept from deleting themselves."""
    if role is Role.INSTANCE and not instances_may_delete:
        return PERMISSIONS[role] - _DELETING
    return PERMISSIONS[role]
