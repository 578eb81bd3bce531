"""What the logout step asks of the gateways before anything is removed."""

from typing import Any, cast

import pytest

from shared.errors import Refused, Unreachable
from shared.evolution.gateway import Gateway
from tasks import logout
from tasks.context import Target
from tests.unit.shared.fake_http import FakeAdapter

UNKNOWN = '{"response":{"message":["The \\"a\\" instance does not exist"]}}'


def target(name: str, adapter: FakeAdapter) -> Target:
    """An instance of this name, and one gateway that answers so."""
    gateway = Gateway("http://gateway.invalid:8080", "the-global-key", 10)
    gateway._session.mount("http://", adapter)

    class OneGateway:
        gateways = (gateway,)

    return Target(cast(Any, OneGateway), "the-id", name)


@pytest.mark.parametrize(("status", "error"), [(401, Refused), (503, Unreachable)])
def test_a_gateway_that_is_away_or_refuses_the_key_is_noticed(status: int, error: type[Exception]) -> None:
    """A deletion could not be finished."""
    with pytest.raises(error):
        logout.preview(target("a", FakeAdapter(status)))


@pytest.mark.parametrize(("name", "requests"), [("a", 1), (".", 0)])
def test_a_gateway_is_asked_once_and_only_for_a_name_that_a_url_carries(name: str, requests: int) -> None:
    """The check of the gateways sends its own request before."""
    adapter = FakeAdapter(404, UNKNOWN)

    counts = logout.preview(target(name, adapter))

    assert (sum(counts.values()), len(adapter.sent)) == (0, requests)
