"""Limits the deletions per API key, in moving windows in Redis; only accepted deletions count."""

import math
import time
from collections.abc import Sequence
from itertools import islice

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute

from api.request import auth, resources
from api.request.errors import LimitReached
from shared.database.enums import Role
from shared.translations.marks import N_

# Words of a refusal, as the console shows it.
_COUNTED = (N_("deletion"), N_("attestation"), N_("bundle"))
_PERIODS = (N_("minute"), N_("hour"))


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


def count_bulk(number: int) -> None:
    """Count the deletions of an order of many; raises LimitReached, and counts nothing, when they are too many.

    They count as single ones as well, unless the key is an admin's: a list is no way round its limits.
    """
    settings, limiter = resources.services().settings, resources.rate_limiter()
    caller = auth.principal()
    limits: list[RateLimitItem] = []
    if settings.limit_bulk_per_hour:
        limits.append(RateLimitItemPerHour(settings.limit_bulk_per_hour, namespace="LIMITER-BULK"))
    if caller.role is not Role.ADMIN:
        limits += RateLimitItemPerMinute(settings.limit_per_minute), RateLimitItemPerHour(settings.limit_per_hour)
    key, most = _key(caller), min([settings.limit_bulk_per_hour, *(limit.amount for limit in limits)])
    if number > most:
        raise LimitReached(f"No more than {most} deletions at once with this key: the list has {number}")
    if full := [limit for limit in limits if not limiter.test(limit, key, cost=number)]:
        raise _refusal(full, key, "deletion")
    for limit in limits:
        if not limiter.hit(limit, key, cost=number):  # another call was faster
            raise _refusal([limit], key, "deletion")


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
