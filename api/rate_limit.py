"""How many deletions one key may order, counted in Redis over moving windows; only those that are accepted count."""

import math
import time

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute

from api import auth, current
from api.errors import LimitReached
from shared.settings import Settings

# As `limits` keeps its moving windows. One script: all are looked at before one is counted, so that no minute is used
# up while the hour is full, and no other call comes in between.
_COUNT = """
for at, window in ipairs(KEYS) do
    local amount, seconds = ARGV[at * 2], ARGV[at * 2 + 1]
    local oldest = redis.call('lindex', window, amount - 1)
    if oldest and tonumber(oldest) >= ARGV[1] - seconds then return 0 end
end
for at, window in ipairs(KEYS) do
    redis.call('lpush', window, ARGV[1])
    redis.call('ltrim', window, 0, ARGV[at * 2] - 1)
    redis.call('expire', window, ARGV[at * 2 + 1])
end
return 1
"""


def count() -> None:
    """Count one deletion of the caller's; raises LimitReached instead when it has ordered too many."""
    limits, key = _limits(current.services().settings), _key(auth.principal())
    windows = [f"{current.LIMITS}:{limit.key_for(key)}" for limit in limits]
    bounds = [bound for limit in limits for bound in (limit.amount, limit.get_expiry())]
    if not current.services().redis.register_script(_COUNT)(windows, [time.time(), *bounds]):
        raise _refusal([limit for limit in limits if not current.limiter().test(limit, key)] or list(limits), key)


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
