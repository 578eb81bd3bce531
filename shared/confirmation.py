"""Whether a deletion has to be confirmed, and by whom and how one was."""

from dataclasses import dataclass
from enum import StrEnum

WARNING = "Nothing of this can be recovered after a deletion: export first what must be kept."


class Demand(StrEnum):
    """What a deletion over HTTP has to be confirmed with."""

    OFF = "off"
    TOKEN = "token"  # noqa: S105 - of a preview
    TOTP = "totp"  # a one-time code of the key's holder


class Means(StrEnum):
    """How it was confirmed."""

    TOKEN = "token"  # noqa: S105 - of a preview
    CODE = "code"
    TERMINAL = "terminal"  # typed on the server

    @property
    def words(self) -> str:
        """As a person is told."""
        return _WORDS[self]


_WORDS = {
    Means.TOKEN: "with the token of a preview",
    Means.CODE: "with a one-time code",
    Means.TERMINAL: "typed on the server",
}


@dataclass(frozen=True)
class Confirmation:
    """Somebody wants it, and knows what would go."""

    key_id: str | None
    means: Means
    preview: str | None = None  # SHA-256 of what was shown


def word_to_type(instance_id: str, instance_name: str) -> str:
    """What a person types to confirm: the name, or the id where nobody could type the name."""
    name = instance_name
    return name if name and name.isprintable() and name == name.strip() else instance_id
