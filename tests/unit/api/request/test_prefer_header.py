"""How the Prefer header is parsed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.request import prefer_header
from api.request.prefer_header import LONGEST_WAIT_SECONDS, WaitPreference

PARTS = ["respond-async", "wait=", "wait", "=", ",", " ", "5", "99999999", "-1", "٣", "²", ";", '"', "\x00", "1.5"]


@pytest.mark.parametrize("header", ["respond-async", " Respond-Async ", "RESPOND-ASYNC", "foo, respond-async"])
def test_respond_async_does_not_wait(header: str) -> None:
    """In upper or lower case, also with unknown preferences."""
    assert prefer_header.parse(header, 25) == WaitPreference(0, "respond-async")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("wait=5", 5), ("WAIT=5", 5), (" wait = 5 ", 5), ("foo,wait=5,bar", 5), ("wait=0", 0), ("wait=7, wait=8", 7)],
)
def test_a_wait_is_applied(header: str, seconds: int) -> None:
    """The first one, when there are several."""
    assert prefer_header.parse(header, 25) == WaitPreference(seconds, f"wait={seconds}")


@pytest.mark.parametrize("header", ["wait=301", "wait=999999"])
def test_a_long_wait_is_cut_and_the_caller_is_told(header: str) -> None:
    """The applied time is in the result."""
    assert prefer_header.parse(header, 25) == WaitPreference(60, "wait=60")


@pytest.mark.parametrize(
    "header",
    [None, "", " ", ",", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "wait=1e3", "wait=9999999", "waits=5",
     "respond", "respond-asynchronously", "xwait=5", "wait=5x", "wait=²"],
)  # fmt: skip
def test_unknown_preferences_are_ignored(header: str | None) -> None:
    """The default applies, and the result names no preference."""
    assert prefer_header.parse(header, 25) == WaitPreference(25, None)


@given(st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("".join)), st.integers(0, 300))
def test_no_header_raises(header: str, default: int) -> None:
    """And no preference waits longer than is allowed, or shows a header what it may not hold."""
    preference = prefer_header.parse(header, default)

    assert 0 <= preference.wait_seconds <= max(LONGEST_WAIT_SECONDS, default)
    assert preference.applied is None or preference.applied.isascii()
