"""What a person types to confirm a deletion."""

import pytest

from shared.access.confirmation import text_to_type


@pytest.mark.parametrize("name", ["a", "hotel lakeside", "<b>", "ümlaut 🙂", "a  b"])
def test_the_name_is_typed(name: str) -> None:
    """Any text that can be typed."""
    assert text_to_type("the id", name) == name


@pytest.mark.parametrize("name", ["", " ", "a ", " a", "a\nb", "a\tb", "a\u200bb", "a\u00a0b"])
def test_the_id_is_typed_where_the_name_cannot_be(name: str) -> None:
    """Invisible characters, or spaces that a form field removes."""
    assert text_to_type("the id", name) == "the id"
