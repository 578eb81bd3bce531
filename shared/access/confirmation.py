"""Confirmations of deletions: who gave one, and how."""

from dataclasses import dataclass

from shared.database.enums import ConfirmationMethod

WARNING = "Nothing of this can be recovered after a deletion: export first what must be kept."


@dataclass(frozen=True)
class Confirmation:
    """The confirmation of one deletion."""

    key_id: str | None
    means: ConfirmationMethod
    preview: str | None = None  # SHA-256 of the preview that was confirmed


def text_to_type(instance_id: str, instance_name: str) -> str:
    """What a person types to confirm: the name, or the id when the name cannot be typed."""
    is_typable = instance_name.isprintable() and instance_name == instance_name.strip()
    return instance_name if instance_name and is_typable else instance_id
