"""How many deletions one key may order, counted in Redis over moving windows; only those that are accepted count."""

import math
import time
from itertools import islice

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute

from api.request import auth, current
from api.request.errors import LimitReached
from shared.settings import Settings


def count() -> None:
    """Count one deletion of the caller's; raises LimitReached instead when it has ordered too many."""
    limits, counted = _limits(current.services().settings), current.limiter()
    key = _key(auth.principal())
    # All are looked at before one is counted: while the hour is full, no minute is used up.
    full = [limit for limit in limits if not counted.test(limit, key)]
    if not full:
        full = list(islice((limit for limit in limits if not counted.hit(limit, key)), 1))
    if full:
        raise _refusal(full, key)


def _limits(settings: Settings) -> tuple[RateLimitItem, ...]:
    return RateLimitItemPerMinute(settings.limit_per_minute), RateLimitItemPerHour(settings.limit_per_hour)


def _key(caller: auth.Principal) -> str:
    """The key's id, which a rotation leaves as it is; an instance has none, so its token's hash."""
    return caller.token_hash or caller.key_id


def _refusal(full: list[RateLimitItem], key: str) -> LimitReached:
    """Names the limit that stays full for longest."""
    resets = {limit: current.limiter().get_window_stats(limit, key).reset_time for limit in full}
    limit = max(full, key=resets.__getitem__)
    seconds = max(1, math.ceil(resets[limit] - time.time()))
    per = limit.GRANULARITY.name
    return LimitReached(
        f"No more than {limit.amount} deletions per {per} and key: try again in {seconds} s",
        headers={
            "Retry-After": str(seconds),
            "RateLimit-Limit": str(limit.amount),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
        },
    )
