"""Confirmations of deletions: who gave one, how, and that each is used once."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.database.enums import ConfirmationMethod
from shared.database.models import UsedConfirmation
from shared.database.timing import from_now
from shared.translations.marks import N_

WARNING = N_("Nothing of this can be recovered after a deletion: export first what must be kept.")


@dataclass(frozen=True)
class Confirmation:
    """The confirmation of one deletion."""

    key_id: str | None
    means: ConfirmationMethod
    preview: str | None = None  # SHA-256 of the preview that was confirmed
    # Uses it up, in the transaction that accepts: what is refused uses up nothing. Raises when it was used meanwhile.
    use: Callable[[Connection], None] = lambda _: None


def use_token(connection: Connection, signed: str, valid_seconds: float) -> bool:
    """Use up a token, by the text that its signature covers; False when it was used before, in any process.

    Another transaction that uses it at the same time waits for this one's end. Tokens too old to be valid are removed.
    """
    past = select(UsedConfirmation.digest).where(UsedConfirmation.used_at < from_now(-2 * valid_seconds))
    connection.execute(
        delete(UsedConfirmation).where(UsedConfirmation.digest.in_(past.with_for_update(skip_locked=True)))
    )
    row = insert(UsedConfirmation).values(digest=sha256(signed.encode()).hexdigest(), used_at=func.now())
    used = connection.scalar(row.on_conflict_do_nothing().returning(UsedConfirmation.digest))
    return used is not None


def text_to_type(instance_id: str, instance_name: str) -> str:
    """What a person types to confirm: the name, or the id when the name cannot be typed."""
    is_typable = instance_name.isprintable() and instance_name == instance_name.strip()
    return instance_name if instance_name and is_typable else instance_id
