"""The SQL that claims a step, records how far it is and finishes it: one statement each."""

from sqlalchemy import TextClause, bindparam, text
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
        AND (not_before IS NULL OR not_before <= now())
        AND (deletions.owner IS NULL OR heartbeat_at < now() - :stale_after)
    RETURNING position, instance_id, instance_name, without_gateways, not_before, exports, only_disconnected,
        previous.owner AS previous_owner
)
UPDATE steps SET status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, now()),
    at_least = at_least OR previous_owner IS NOT NULL
FROM deletion
WHERE deletion_id = :deletion_id AND name = :step
RETURNING notes, planned, removed, attempts, deletion.position, instance_id, instance_name, without_gateways,
    not_before IS NOT NULL AS was_scheduled, exports, only_disconnected,
    (SELECT jsonb_object_agg(earlier.name, earlier.notes) FROM steps AS earlier
     WHERE earlier.deletion_id = :deletion_id AND earlier.position < deletion.position) AS earlier_notes,
    {_LAZILY}""")

# Finishes the step and advances the deletion, or changes neither: then the claim was lost.
_FINISH = """
WITH deletion AS (
    UPDATE deletions SET position = position + 1, owner = NULL, heartbeat_at = NULL, failures = 0, waiting_since = NULL,
        reason = NULL, failed_step = NULL, {end}
    WHERE id = :deletion_id AND owner = :owner
    RETURNING id
)
UPDATE steps SET status = 'done', finished_at = now(), error = NULL, removed = :removed, notes = :notes,
    planned = coalesce(:planned, planned)
FROM deletion
WHERE deletion_id = deletion.id AND name = :step
RETURNING {returning}"""
_COUNTS = [bindparam(name, type_=JSONB(none_as_null=True)) for name in ("removed", "notes", "planned")]
_NEXT = "next_attempt_at = now() + :republish_after"
_SUCCEEDED = f"""next_attempt_at = NULL, status = 'succeeded', finished_at = now(),
        next_look_at = now() + interval '{rechecks.AFTER_SECONDS[0]} seconds'"""

FINISH = text(_FINISH.format(end=_NEXT, returning=_LAZILY)).bindparams(*_COUNTS)
CONCLUDE = text(_FINISH.format(end=_SUCCEEDED, returning="position")).bindparams(*_COUNTS)

# Changes the rows of steps while the claim holds, and renews it; or changes nothing.
_OF_CLAIM = """
WITH deletion AS (
    UPDATE deletions SET heartbeat_at = now(){more} WHERE id = :deletion_id AND owner = :owner RETURNING id
)"""
STORE_PLAN = text(f"""{_OF_CLAIM.format(more="")}
UPDATE steps SET planned = counts.value FROM deletion, jsonb_each(:planned) AS counts
WHERE deletion_id = deletion.id AND name = counts.key RETURNING name""").bindparams(bindparam("planned", type_=JSONB))


def _record(more: str) -> TextClause:
    return text(f"""{_OF_CLAIM.format(more=more)}
UPDATE steps SET removed = :removed, notes = :notes, planned = coalesce(:planned, planned) FROM deletion
WHERE deletion_id = deletion.id AND name = :step RETURNING name""").bindparams(
        *(bindparam(name, type_=JSONB(none_as_null=True)) for name in ("removed", "notes", "planned"))
    )


RECORD, RECORD_PROGRESS = _record(""), _record(", failures = 0, waiting_since = NULL")
