"""Whose queue is <name>.<event> or <name>_<event>? A prefix proves nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evolution.event_names import DOTTED_FORMS, EVENT_FORMS
from shared.evolution.queues.queues import possible_names
from tests.unit.shared.evolution.names import NAMES, shown


@pytest.mark.parametrize("event", ["messages.upsert", "group-participants.update", "group.participants.update", "call"])
@pytest.mark.parametrize("name", [name for name in NAMES if name], ids=shown)
def test_a_queue_is_its_names_alone(name: str, event: str) -> None:
    """However the event is written."""
    assert set(possible_names(f"{name}.{event}", ".", DOTTED_FORMS)) == {name}


def test_a_name_is_not_the_owner_of_a_longer_ones_queue() -> None:
    """`a` is a prefix of `a_b` and of `a.b`."""
    assert "a" not in set(possible_names("a_b_messages_upsert", "_", EVENT_FORMS))
    assert "a" not in set(possible_names("a.b.messages.upsert", ".", DOTTED_FORMS))


@given(st.text(min_size=1), st.sampled_from(sorted(EVENT_FORMS)))
def test_any_name_owns_its_queues(name: str, event: str) -> None:
    """Underscores and events in the name included."""
    assert name in set(possible_names(f"{name}_{event}", "_", EVENT_FORMS))


@given(st.text())
def test_taking_a_queue_apart_never_raises(text: str) -> None:
    """And every owner is a prefix."""
    assert all(text.startswith(f"{name}.") for name in possible_names(text, ".", DOTTED_FORMS))
