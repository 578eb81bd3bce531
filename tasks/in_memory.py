"""An instance that only a gateway's memory holds: its row was deleted by hand, or went with a restored backup."""

from uuid import NAMESPACE_URL, uuid5

from shared import logs
from shared.errors import LetheError
from shared.gateway import Gateway, can_be_addressed
from shared.services import Services
from shared.tenant import Instance

log = logs.get(__name__)
_ANSWER_SECONDS = 3.0  # a caller waits: what is not known by then is not known


def stand_in(name: str) -> Instance:
    """What such an instance is called: its id is known to no store, so nothing is kept by this one."""
    return Instance(f"in-memory-{uuid5(NAMESPACE_URL, name)}", name, None)


def is_held(services: Services, name: str) -> bool:
    """Whether a gateway holds the name; one that does not answer says nothing."""
    return can_be_addressed(name) and any(_holds(gateway, name) for gateway in services.gateways)


def _holds(gateway: Gateway, name: str) -> bool:
    try:
        return gateway.state(name, timeout_seconds=_ANSWER_SECONDS) is not None
    except LetheError as error:
        log.warning("a gateway could not be asked for a name without a row", gateway=gateway.url, reason=error.title)
        return False
