"""The running API keeps the OpenAPI document, whatever it is sent; tests/fuzz/test_links.py has the order of calls."""

from typing import Any

import pytest

from tests import contract
from tests.system import ADMIN_KEY, System

KEY = {"apikey": ADMIN_KEY}
# What is ordered here is nobody else's.
pytestmark = pytest.mark.system("web", "worker", wait_seconds=2)


@pytest.fixture(scope="module")
def described(system: System) -> Any:
    """The document as the running API shows it."""
    import schemathesis  # takes a second, which processes without this module save

    return schemathesis.openapi.from_url(f"{system.url}/openapi.json")


@pytest.mark.parametrize(
    "operation", contract.operations(), ids=lambda operation: f"{operation.method} {operation.path}"
)
def test_every_answer_is_as_documented(described: Any, operation: contract.Operation) -> None:
    """Status, headers, media type and body, for right and wrong requests at every boundary, and for random ones."""
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis import Case, GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    # A name or an id can fit the document and still be of no instance: a 400, as Evolution's documentation has it.
    not_ours = [positive_data_acceptance]
    called = described[operation.path][operation.method]

    @given(case=called.as_strategy(generation_mode=GenerationMode.POSITIVE))
    @settings(
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
        max_examples=10,
    )
    def send(case: Case) -> None:
        case.call_and_validate(headers=KEY, excluded_checks=not_ours)

    send()
    for case in described.iter_coverage_cases(
        called, generation_modes=list(GenerationMode), generation_config=described.config.generation
    ):
        case.call_and_validate(headers=KEY, excluded_checks=not_ours)
