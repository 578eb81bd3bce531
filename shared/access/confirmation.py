"""Whether a deletion has to be confirmed, and by whom and how one was."""

from dataclasses import dataclass

from shared.database.enums import ConfirmationMethod

WARNING = "Nothing of this can be recovered after a deletion: export first what must be kept."


@dataclass(frozen=True)
class Confirmation:
    """Somebody wants it, and knows what would go."""

    key_id: str | None
    means: ConfirmationMethod
    preview: str | None = None  # SHA-256 of what was shown


def text_to_type(instance_id: str, instance_name: str) -> str:
    """What a person types to confirm: the name, or the id where nobody could type the name."""
    name = instance_name
    return name if name and name.isprintable() and name == name.strip() else instance_id
