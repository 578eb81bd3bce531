"""Retries within seconds, in the same process: for transient errors, with growing pauses and jitter."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from shared.errors import TransientError

T = TypeVar("T")


def call(
    act: Callable[[], T],
    *,
    seconds: float,
    first_pause_seconds: float = 0.2,
    only: type[TransientError] = TransientError,
    give_up: Callable[[TransientError], bool] = lambda _: False,
) -> T:
    """Call act until it raises no error of the kind `only`, at most for the seconds. Raises the last error.

    Each pause is twice the one before. give_up: whether not to try again after this error.
    """
    policy = Retrying(
        # Below the soft time limit; for longer waits the step is postponed.
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=first_pause_seconds, max=3, jitter=1.5 * first_pause_seconds),
        retry=retry_if_exception(lambda error: isinstance(error, only) and not give_up(error)),
        reraise=True,
    )
    return policy(act)
