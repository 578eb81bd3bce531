"""Sees before a deletion that every server which may act on the instance can be asked to forget it."""

from tasks.context import Target


def check(target: Target) -> None:
    """Raise Refused or Unreachable when a gateway is none, or cannot be asked."""
    for gateway in target.gateways:
        gateway.probe()
