"""What an instance has is counted, and that it can be erased is checked first."""

import pytest

from shared.errors import Refused
from shared.evolution.rows import counting
from shared.evolution.rows.schema import Crossing, Owned, Plan
from tests.unit.shared.evolution.rows.fake_tenant import BOUND, KEY, WEBHOOK, FakeTenant


def test_a_count_leaves_empty_tables_out() -> None:
    """They would only fill the preview."""
    tenant = FakeTenant([[("Chat", 0), ("Media", 4)]])

    counts = counting.count(tenant, Plan((BOUND, Owned("Media", "x = :id", False)), ()), "the-id")

    assert counts == {"Media": 4}


@pytest.mark.parametrize(
    ("table", "right"),
    [
        ("Chat", "SELECT"),
        ("Chat", "DELETE"),
        ("Webhook", "UPDATE"),
        *[("Instance", right) for right in ("SELECT", "DELETE", "UPDATE", "INSERT")],
    ],
)
def test_a_missing_right_is_refused_with_its_table(table: str, right: str) -> None:
    """Before anything is removed; the Instance row is also fenced, and its name reserved."""
    tenant = FakeTenant(denied={(f'"public"."{table}"', right)})

    with pytest.raises(Refused, match=f'lacks {right} on "{table}"'):
        counting.check_rights(tenant, Plan((BOUND, WEBHOOK, Owned("Instance", '"id" = :id', True)), ()))


def test_a_right_that_is_not_needed_is_not_asked_for() -> None:
    """Least privilege: no UPDATE on tables whose rows only go."""
    tenant = FakeTenant(denied={('"public"."Chat"', "UPDATE"), ('"public"."Chat"', "INSERT")})

    counting.check_rights(tenant, Plan((BOUND,), ()))

    ((_, values),) = tenant.statements
    assert set(values["rights"]) == {"SELECT", "DELETE"}


def test_a_row_of_another_instance_on_ours_is_refused() -> None:
    """Erasing the parent would take it along."""
    crossing = Crossing(
        KEY, Owned("Reaction", '"instanceId" = :id', True), Owned("Message", '"instanceId" = :id', True)
    )

    with pytest.raises(Refused, match='"Reaction" refers to this instance\'s "Message"'):
        counting.check_crossings(FakeTenant([[(0,)]]), Plan((), (crossing,)), "the-id", {"Message": 5})


@pytest.mark.parametrize("parents", [0, 10_001])
def test_a_crossing_is_not_looked_for_among_none_or_too_many(parents: int) -> None:
    """The look would cost more than it is worth."""
    tenant = FakeTenant()
    crossing = Crossing(KEY, BOUND, Owned("Message", '"instanceId" = :id', True))

    counting.check_crossings(tenant, Plan((), (crossing,)), "the-id", {"Message": parents})

    assert tenant.statements == []
