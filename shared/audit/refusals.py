"""Counts refused requests in Redis, so that a flood of them costs neither disk nor the lock of the audit."""

import json

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, select

from shared import logs
from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction

log = logs.get(__name__)
ROLE_WITHOUT_KEY = "nobody"  # the role of a caller without a known key
_COUNTS = "lethe:refused"
_MAX_LINES_PER_KEY_AND_ACTION = 100  # between two rounds of the reconciler; further refusals are counted
_MAX_ADDRESSES = 50  # fields in the hash; once reached, new addresses are counted together
_OTHERS = "others"


def count(redis: Redis, action: Action, actor: Actor) -> bool:
    """Count a refused request. Returns whether the caller must write an audit line.

    True for the first refusals of an API key and action. Without Redis, True for every API key; callers without one are
    then only logged.
    """
    try:
        if actor.key_id is None:
            redis.hincrby(_COUNTS, _field(action, actor, _address_to_count(redis, action, actor)), 1)
            return False
        return redis.hincrby(_COUNTS, _field(action, actor, None), 1) <= _MAX_LINES_PER_KEY_AND_ACTION
    except RedisError as error:
        log.warning("refusal not counted", error=type(error).__name__)
        return actor.key_id is not None


def _address_to_count(redis: Redis, action: Action, actor: Actor) -> str | None:
    """The address, or "others" when the hash is full."""
    known = redis.hexists(_COUNTS, _field(action, actor, actor.address))
    return actor.address if known or redis.hlen(_COUNTS) < _MAX_ADDRESSES else _OTHERS


def _field(action: Action, actor: Actor, address: str | None) -> str:
    return json.dumps([action.value, actor.role, actor.key_id, address])


def write_lines(engine: Engine, redis: Redis) -> int:
    """Write one audit line for each caller and action with refusals that have no line yet. Returns the number of lines.

    Counts already read are lost if the commit fails.
    """
    if not redis.exists(_COUNTS):
        return 0
    with own_transaction(engine) as connection:
        connection.execute(select(1))  # without a database, the counts stay in Redis
        entries = [entry for field, count in _take(redis) if (entry := _entry(field, count)).times > 0]
        if entries:
            chain.append(connection, *entries)
    return len(entries)


def _take(redis: Redis) -> list[tuple[bytes, bytes]]:
    with redis.pipeline(transaction=True) as pipe:
        pipe.hgetall(_COUNTS)
        pipe.delete(_COUNTS)
        counts = pipe.execute()[0]
    return list(counts.items())


def _entry(field: bytes, count: bytes) -> Entry:
    action, role, key_id, address = json.loads(field)
    over = int(count) - (_MAX_LINES_PER_KEY_AND_ACTION if key_id else 0)
    reason = "more of the same" if key_id else "no known key"
    return Entry(Action(action), Decision.REFUSED, Actor(role, key_id, address), reason=reason, times=over)
