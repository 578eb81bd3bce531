"""Limits the deletions per API key, in moving windows in Redis; only accepted deletions count."""

import math
import time
from collections.abc import Sequence
from itertools import islice

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute

from api.request import auth, resources
from api.request.errors import LimitReached


def count(what: str = "deletion") -> None:
    """Count one deletion of the caller; raises LimitReached, and counts nothing, when a limit is reached.

    Another word for what is counted has its own counters, with the same limits.
    """
    settings, limiter = resources.services().settings, resources.rate_limiter()
    limits = RateLimitItemPerMinute(settings.limit_per_minute), RateLimitItemPerHour(settings.limit_per_hour)
    key = _key(auth.principal()) if what == "deletion" else f"{what}:{_key(auth.principal())}"
    # Test the hour before counting: while it is full, the minute is not used up.
    if not limiter.test(limits[-1], key):
        raise _refusal([limits[-1], *(limit for limit in limits[:-1] if not limiter.test(limit, key))], key, what)
    if full := list(islice((limit for limit in limits if not limiter.hit(limit, key)), 1)):
        raise _refusal(full, key, what)


def _key(caller: auth.Principal) -> str:
    """The key's id, which stays the same when the key is rotated; for an instance, its token's hash."""
    return caller.token_hash or caller.key_id


def _refusal(full: Sequence[RateLimitItem], key: str, what: str) -> LimitReached:
    """Report the limit that stays full for longest."""
    resets = {limit: resources.rate_limiter().get_window_stats(limit, key).reset_time for limit in full}
    limit = max(full, key=resets.__getitem__)
    seconds = max(1, math.ceil(resets[limit] - time.time()))
    per = limit.GRANULARITY.name
    return LimitReached(
        f"No more than {limit.amount} {what}s per {per} and key: try again in {seconds} s",
        headers={
            "Retry-After": str(seconds),
            "RateLimit-Limit": str(limit.amount),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
        },
    )
