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
UNKNOWN_CALLER = "nobody"  # the role of a caller without a known key
_COUNTS = "lethe:refused"
_LINES = 100  # lines of one key and action between two rounds of the reconciler; further refusals are counted
_ADDRESSES = 50  # counted separately between two rounds; all other addresses are counted together
_OTHERS = "others"


def count(redis: Redis, action: Action, actor: Actor) -> bool:
    """Count a refusal. Returns whether it needs an audit line: the first ones of a known key do, others do not.

    Without Redis, every refusal of a known key needs a line. Those of unknown callers are then in the log only.
    """
    try:
        if actor.key_id is None:
            redis.hincrby(_COUNTS, _field(action, actor, _address_to_count(redis, action, actor)), 1)
            return False
        return redis.hincrby(_COUNTS, _field(action, actor, None), 1) <= _LINES
    except RedisError as error:
        log.warning("refusal not counted", error=type(error).__name__)
        return actor.key_id is not None


def _address_to_count(redis: Redis, action: Action, actor: Actor) -> str | None:
    known = redis.hexists(_COUNTS, _field(action, actor, actor.address))
    return actor.address if known or redis.hlen(_COUNTS) < _ADDRESSES else _OTHERS


def _field(action: Action, actor: Actor, address: str | None) -> str:
    return json.dumps([action.value, actor.role, actor.key_id, address])


def write_lines(engine: Engine, redis: Redis) -> int:
    """Write one audit line for each caller whose refusals were only counted. Returns the number of lines.

    A process that is killed between reading the counts and its commit loses them.
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
    over = int(count) - (_LINES if key_id else 0)
    reason = "more of the same" if key_id else "no known key"
    return Entry(Action(action), Decision.REFUSED, Actor(role, key_id, address), reason=reason, times=over)
