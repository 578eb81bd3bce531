"""The SQL that claims a step and that finishes it: one statement each, for each deletion runs them seven times."""

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.deletions import rechecks

# Turns synchronous_commit off for the statement that returns it.
# A crash of PostgreSQL may lose a claim, which is then claimed again, or the end of a step, which is harmless to run
# again. It must not lose the end of the deletion.
_LAZILY = "set_config('synchronous_commit', 'off', true)"

# Claims the row of the deletion and the row of its step, or neither.
CLAIM = text(f"""
WITH previous AS (
    SELECT id, owner FROM deletions WHERE id = :deletion_id FOR UPDATE
), deletion AS (
    UPDATE deletions SET status = 'running', owner = :owner, heartbeat_at = now(), next_attempt_at = NULL, nudges = 0,
        started_at = coalesce(started_at, now())
    FROM previous
    WHERE deletions.id = previous.id AND attempt = :attempt
        AND position = (SELECT position FROM steps WHERE deletion_id = :deletion_id AND name = :step)
        AND status IN ('queued', 'running', 'waiting')
        AND (deletions.owner IS NULL OR heartbeat_at < now() - :stale_after)
    RETURNING position, instance_id, instance_name, without_gateways, previous.owner AS previous_owner
)
UPDATE steps SET status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, now()),
    at_least = at_least OR previous_owner IS NOT NULL
FROM deletion
WHERE deletion_id = :deletion_id AND name = :step
RETURNING notes, planned, removed, deletion.position, instance_id, instance_name, without_gateways, {_LAZILY}""")

# Finishes the step and advances the deletion, or changes neither: then the claim was lost.
_FINISH = """
WITH deletion AS (
    UPDATE deletions SET position = position + 1, owner = NULL, heartbeat_at = NULL, failures = 0, waiting_since = NULL,
        reason = NULL, failed_step = NULL, {end}
    WHERE id = :deletion_id AND owner = :owner
    RETURNING id
)
UPDATE steps SET status = 'done', finished_at = now(), error = NULL, removed = :removed, notes = :notes
FROM deletion
WHERE deletion_id = deletion.id AND name = :step
RETURNING {returning}"""
_COUNTS = bindparam("removed", type_=JSONB), bindparam("notes", type_=JSONB)
_NEXT = "next_attempt_at = now() + :republish_after"
_SUCCEEDED = f"""next_attempt_at = NULL, status = 'succeeded', finished_at = now(),
        next_look_at = now() + interval '{rechecks.AFTER_SECONDS[0]} seconds'"""

FINISH = text(_FINISH.format(end=_NEXT, returning=_LAZILY)).bindparams(*_COUNTS)
CONCLUDE = text(_FINISH.format(end=_SUCCEEDED, returning="position")).bindparams(*_COUNTS)
