"""An instance that only a gateway's memory holds: its row was deleted by hand, or went with a restored backup."""

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from uuid import NAMESPACE_URL, uuid5

from shared import logs
from shared.errors import LetheError
from shared.evolution.gateway import Gateway, can_be_addressed
from shared.evolution.rows.tenant import Instance
from shared.services import Services

log = logs.get(__name__)
_PREFIX = "in-memory-"
_ANSWER_SECONDS = 3.0  # for all gateways together, because the caller waits
_MANY_ANSWER_SECONDS = 10.0  # for all gateways and names together
_ASKED_AT_ONCE = 8


def placeholder(name: str) -> Instance:
    """A placeholder for such an instance; no store has anything under its id."""
    return Instance(f"{_PREFIX}{uuid5(NAMESPACE_URL, name)}", name, None)


def is_placeholder(instance_id: str) -> bool:
    """Whether the id is one of a placeholder."""
    return instance_id.startswith(_PREFIX)


def is_known(services: Services, name: str) -> bool:
    """Whether a gateway has the name in memory; a gateway that does not answer counts as no."""
    return _is_known(services, name, time.monotonic() + _ANSWER_SECONDS)


def find_known(services: Services, names: Collection[str]) -> set[str]:
    """Those of the names that a gateway has in memory; several are asked for at once."""
    ends = time.monotonic() + _MANY_ANSWER_SECONDS
    with ThreadPoolExecutor(_ASKED_AT_ONCE, "in-memory") as pool:
        known = pool.map(lambda name: _is_known(services, name, ends), names)
        return {name for name, is_held in zip(names, known, strict=True) if is_held}


def _is_known(services: Services, name: str, ends: float) -> bool:
    return can_be_addressed(name) and any(_holds(gateway, name, ends) for gateway in services.gateways)


def _holds(gateway: Gateway, name: str, ends: float) -> bool:
    left = ends - time.monotonic()
    try:
        return left > 0 and gateway.state(name, timeout_seconds=left) is not None
    except LetheError as error:
        log.warning("a gateway could not be asked for a name without a row", gateway=gateway.url, reason=error.title)
        return False
