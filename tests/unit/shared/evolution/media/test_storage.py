"""Whose oversize payload is <name>_<event>_<ms>.json? A prefix proves nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evolution.media.storage import EVENT_FORMS, names_of_payload
from tests.unit.shared.evolution.names import NAMES, shown


@pytest.mark.parametrize("event", ["messages.upsert", "messages_upsert", "connection.update", "call"])
@pytest.mark.parametrize("name", [name for name in NAMES if name], ids=shown)
def test_a_payload_is_its_names_alone(name: str, event: str) -> None:
    """However the event is written."""
    assert names_of_payload(f"{name}_{event}_1712345678901.json") == {name}


def test_a_name_is_not_the_owner_of_a_longer_one() -> None:
    """`a` is a prefix of `a_b`."""
    assert "a" not in names_of_payload("a_b_messages.upsert_1.json")


@pytest.mark.parametrize("name", ["a_call", "a_messages.upsert", "a_send", "call", "a_1.json", "a_call_1"])
def test_an_event_at_the_end_of_a_name_is_part_of_it(name: str) -> None:
    """`a` sent nothing of what `a_call` sent."""
    assert names_of_payload(f"{name}_call_1.json") == {name}


@pytest.mark.parametrize(
    "event", ["group-participants.update", "group-participants_update", "group_participants_update"]
)
def test_an_event_with_a_hyphen_is_known_in_each_form(event: str) -> None:
    """As it was sent, with its dot replaced, with both replaced."""
    assert names_of_payload(f"a_{event}_1.json") == {"a"}


@pytest.mark.parametrize(
    "other",
    [
        "a_1.json", "a_unknown.event_1.json", "a_messages.upsert_.json", "a_messages.upsert_1x.json",
        "a_messages.upsert_1.jso", "amessages.upsert_1.json", "a_messages.upsert.json", "messages.upsert_1.json", "",
        "a_messages.upsert_1.json.json", "a_MESSAGES.UPSERT_1.json",
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_nobodys(other: str) -> None:
    """Nothing of it is removed."""
    assert names_of_payload(other) == set()


@given(st.text(min_size=1), st.sampled_from(sorted(EVENT_FORMS)), st.integers(min_value=0))
def test_any_name_owns_its_payloads(name: str, event: str, ms: int) -> None:
    """Line breaks, underscores and events in the name included."""
    assert name in names_of_payload(f"{name}_{event}_{ms}.json")


@given(st.text())
def test_taking_a_file_name_apart_never_raises(text: str) -> None:
    """And every owner is a prefix."""
    assert all(text.startswith(f"{name}_") for name in names_of_payload(text))
