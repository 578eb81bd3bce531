"""Which time step a code belongs to."""

import pytest

from shared.access import one_time_codes

# RFC 6238, appendix B, the SHA-1 column by its last six digits; the secret is the ASCII text 12345678901234567890.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("now", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")],
)
def test_a_code_is_the_standards(now: int, code: str) -> None:
    """So that any authenticator makes it; zeros in front count."""
    assert one_time_codes.time_step(SECRET, code, now) == now // 30


@pytest.mark.parametrize(("late", "is_good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_off_by_one_step(late: int, is_good: bool) -> None:
    """Either way, and no more; the step is the code's, whatever the clock says."""
    step = one_time_codes.time_step(SECRET, "081804", 1_111_111_109 + late)

    assert step == (1_111_111_109 // 30 if is_good else None)


@pytest.mark.parametrize("code", ["", "28708", "2870820", " 287082", "287 082", "٢٨٧٠٨٢", "ü", "None"])
def test_what_is_no_code_is_of_no_step(code: str) -> None:
    """Nor does it break anything."""
    assert one_time_codes.time_step(SECRET, code, 59) is None
