"""Sees before a deletion that every server which may hold the instance can be asked to forget it."""

from shared.errors import Refused
from shared.evolution.rows import servers
from tasks.context import Target


def check(target: Target) -> None:
    """Raise Refused or Unreachable when a gateway is none, or when the instance's server is no gateway."""
    for gateway in target.gateways:
        gateway.probe()
    some_are_given_up = len(target.gateways) < len(target.services.gateways)
    if target.gateways and not some_are_given_up:  # else its server may be one of those
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
