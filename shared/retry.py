"""The one policy for seconds: transient errors are tried again on the spot, with jitter."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from shared.errors import TransientError

T = TypeVar("T")


def on_the_spot(
    act: Callable[[], T],
    *,
    seconds: float,
    only: type[Exception] = TransientError,
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """Call act again as long as it raises `only`, at most for the seconds; raises its last error."""
    policy = Retrying(
        # Bounded below the soft time limit: for longer waits a step is put off.
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=0.2, max=3, jitter=0.3),
        retry=retry_if_exception(lambda error: isinstance(error, only) and not _has_its_pause(error) and not give_up()),
        reraise=True,
    )
    return policy(act)


def _has_its_pause(error: BaseException) -> bool:
    return isinstance(error, TransientError) and error.first_pause_seconds is not None
