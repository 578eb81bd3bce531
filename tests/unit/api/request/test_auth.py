"""Each endpoint needs a permission, or is open on purpose."""

from collections.abc import Callable

from api.app import create
from api.console import blueprint
from api.request import auth
from shared import services
from shared.access.permissions import Permission
from shared.settings import Settings

OPEN = {
    "operations.live",
    "operations.ready",
    "operations.show_keys",
    "operations.show_metrics",
    "contract.show_openapi",
    "contract.show_docs",
    "contract.start",
    "contract.show_part",
}


def test_every_endpoint_is_guarded_or_open_on_purpose(make_settings: Callable[..., Settings]) -> None:
    """An endpoint that is missing in the table refuses every caller."""
    app = create(services.create(make_settings()))
    ours = {rule.endpoint for rule in app.url_map.iter_rules()}
    doors = (auth.authenticate, blueprint.admit)
    guarded = {name for name, checks in app.before_request_funcs.items() if any(door in checks for door in doors)}
    ours -= blueprint.OPEN  # its door lets these through

    assert {endpoint for endpoint in ours if endpoint.split(".")[0] in guarded} == set(auth.REQUIRED)
    assert ours - set(auth.REQUIRED) == OPEN


def test_every_permission_is_needed_by_an_endpoint() -> None:
    """Otherwise it would have no use."""
    assert set(auth.REQUIRED.values()) == set(Permission)
