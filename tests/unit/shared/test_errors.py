"""What a client reads of an error, and which of them are tried again."""

import pytest

from shared.errors import LetheError, LostClaim, Refused, TransientError, Unreachable
from shared.evolution.gateway import Stuck
from tasks.confirm import StillThere


@pytest.mark.parametrize("kind", [LetheError, TransientError, Refused, LostClaim, Stuck, StillThere])
def test_an_error_without_a_message_says_its_docstring(kind: type[LetheError]) -> None:
    """Its first line."""
    assert kind().title == (kind.__doc__ or "").splitlines()[0]
    assert kind().title.endswith(".")


def test_a_message_comes_before_the_docstring() -> None:
    """What went wrong this time."""
    assert Refused("the bucket does not exist").title == "the bucket does not exist"


def test_only_the_first_line_of_a_docstring_is_read() -> None:
    """The rest is for readers of the code."""

    class Long(LetheError):
        """One line.

        And more.
        """

    assert Long().title == "One line."


@pytest.mark.parametrize("kind", [Stuck, StillThere])
def test_what_may_change_by_itself_is_transient(kind: type[LetheError]) -> None:
    """It is tried again, and counted."""
    assert issubclass(kind, TransientError)
    assert not issubclass(kind, Unreachable)


@pytest.mark.parametrize("kind", [Refused, LostClaim])
def test_what_stays_as_it_is_is_not_transient(kind: type[LetheError]) -> None:
    """Trying again would only cost time."""
    assert not issubclass(kind, TransientError)


def test_what_cannot_be_reached_is_named() -> None:
    """With the reason, where there is one."""
    assert Unreachable("the cache").title == "the cache cannot be reached"
    assert Unreachable("the cache", "TimeoutError").title == "the cache cannot be reached: TimeoutError"
    assert isinstance(Unreachable("x"), TransientError)
