"""Checks before a deletion that Lethe can reach every server which may have the instance in its memory."""

from shared.errors import Refused
from shared.evolution.rows import servers
from tasks.context import Target


def check(target: Target) -> None:
    """Raise Unreachable for a gateway without an answer, Refused when LETHE_GATEWAYS lacks the instance's server."""
    for gateway in target.gateways:
        gateway.probe()
    if target.gateways and target.gateways == target.services.gateways:  # else its server may be one that is given up
        _check_server(target)


def _check_server(target: Target) -> None:
    name = servers.name_of(target.services.tenant, target.instance_id)
    if name is None or name in target.without_gateways:
        return
    others = []
    for gateway in target.gateways:
        told = gateway.client_name()
        if told in (name, None):  # one that does not tell may be it
            return
        others.append(f'"{told}"')
    raise Refused(
        f'the instance is of the server "{name}" (its clientName), and LETHE_GATEWAYS names only {", ".join(others)}:'
        f' name that one too, or give "{name}" up as a gateway that is gone for good'
    )
