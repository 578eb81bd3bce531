"""What `make test` leaves out of tests that repeat one way: tests/repeats.py names tests that exist."""

from pathlib import Path

import pytest

from tests.repeats import QUICK, SLOW, SLOW_MODULES, name_of

MODULES = {name_of(path): path for path in Path(__file__).parents[1].glob("*/**/test_*.py")}


@pytest.mark.parametrize("module", sorted({*QUICK, *SLOW, *SLOW_MODULES}))
def test_each_test_that_is_named_exists(module: str) -> None:
    """Else it was renamed, and all its cases would be quick."""
    text = MODULES[module].read_text()

    assert [name for name in (*QUICK.get(module, ()), *SLOW.get(module, ())) if f"def {name}(" not in text] == []
