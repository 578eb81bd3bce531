"""What a list of instances says of each: nothing that is not so."""

import pytest

from demo.evolution.seed import seed_instance
from shared.evolution.rows import listing
from shared.services import Services
from tests.system import System

pytestmark = pytest.mark.system()


def messages_of(services: Services, wanted: str) -> list[int | None]:
    """As the list has them, by name."""
    return [listed.messages for listed in listing.find_page(services.tenant, wanted=wanted)]


def test_messages_are_counted_however_fresh_the_table(system: System, services: Services) -> None:
    """Also before any ANALYZE, when the planner knows nothing."""
    for name, messages in (("fresh a", 0), ("fresh b", 7), ("fresh c", 31)):
        seed_instance(system.deployment, name, messages=messages)

    assert messages_of(services, "fresh") == [0, 7, 31]


def test_of_many_messages_it_only_says_that_they_are_many(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are counted up to one more than that, and no further."""
    seed_instance(system.deployment, "large", messages=40)
    monkeypatch.setattr(listing, "MANY", 10)

    assert messages_of(services, "large") == [11]


def test_what_cannot_be_counted_in_time_is_unknown(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is there all the same."""
    seed_instance(system.deployment, "slow", messages=3)
    monkeypatch.setattr(listing, "_COUNT_SECONDS", 0.1)

    with services.tenant.transaction() as connection:
        connection.exec_driver_sql('LOCK TABLE "Message" IN ACCESS EXCLUSIVE MODE')

        assert messages_of(services, "slow") == [None]
