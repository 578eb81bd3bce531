"""What tests of a module that has a system of its own share."""

from collections.abc import Iterator

import pytest

from shared.services import Services
from tests.system import System


@pytest.fixture(scope="module")
def services(system: System) -> Iterator[Services]:
    """Services on the module's system, for what runs in the test."""
    made = system.make_services()
    yield made
    made.close()
