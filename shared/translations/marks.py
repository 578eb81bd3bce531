"""Marks a sentence for the catalogue that stays in English where it is made: it is stored, logged or answered."""


def N_(sentence: str) -> str:  # noqa: N802 - gettext's name for it
    """The sentence itself, which may be an f-string; `sentences.translated` translates it where a person reads it."""
    return sentence
