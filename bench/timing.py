"""How long something takes."""

import time
from collections.abc import Callable


def timed(act: Callable[[], object]) -> float:
    """Seconds of wall time."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
