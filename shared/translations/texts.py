"""Texts that are shown at once, in the language of the reader, with values in the place of {braces}."""

from string import Formatter

from shared.translations import language

_SWAPPED = str.maketrans(",.", ".,")


class _Localised(Formatter):
    """Formats numbers with `:,` as the reader's language does."""

    def format_field(self, value: object, format_spec: str) -> str:
        text = str(super().format_field(value, format_spec))
        return with_separators(text) if "," in format_spec else text


_FORMATTER = _Localised()


def with_separators(number: str) -> str:
    """A number that is written as in English, with the separators of the reader's language."""
    return number.translate(_SWAPPED) if language.current() == language.PORTUGUESE else number


def _(message: str, /, **values: object) -> str:
    """The text in the reader's language, with the values."""
    return _filled(language.catalogue().gettext(message), values)


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """The text for one thing or for several, in the reader's language, with the values."""
    return _filled(language.catalogue().ngettext(singular, plural, number), values)


def _filled(text: str, values: dict[str, object]) -> str:
    return _FORMATTER.vformat(text, (), values) if values else text
