"""Translates English sentences that were made elsewhere: reasons, errors, findings, also those that are stored."""

import re
from dataclasses import dataclass
from functools import cache

from shared.translations import language
from shared.translations.texts import with_separators

CONTEXT = "sentence"  # of such sentences in the catalogue
_MARK = f"{CONTEXT}\x04"  # how gettext keeps a text with a context
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|[\d,]+(?:\.\d+)? (?:[KMG]B|s)")  # but no version
_FEW_LETTERS = 10
_QUOTES = ("'", '"')  # what stands in them is a name


@dataclass(frozen=True)
class _Template:
    english: str
    pattern: re.Pattern[str]
    quoted: frozenset[str]  # placeholders in quotes
    is_short: bool

    @classmethod
    def of(cls, english: str) -> "_Template":
        parts = _PLACEHOLDER.split(english)  # text, name, text, name, text
        pattern = "".join(f"(?P<{part}>.*?)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
        quoted = frozenset(parts[at] for at in range(1, len(parts), 2) if parts[at - 1].endswith(_QUOTES))
        is_short = len(re.findall(r"[A-Za-z]", "".join(parts[::2]))) < _FEW_LETTERS
        return cls(english, re.compile(pattern, re.DOTALL), quoted, is_short)


def translated(sentence: str) -> str:
    """The sentence in the reader's language; as it is where the catalogue has no such sentence."""
    if language.current() == language.ENGLISH or not sentence:
        return sentence
    catalogue = language.catalogue()
    known = catalogue.pgettext(CONTEXT, sentence)
    if known != sentence:
        return known
    for template in _templates(language.locale_name()):
        found = template.pattern.fullmatch(sentence)
        values = found and _values(template, found.groupdict())
        if values:
            text = catalogue.pgettext(CONTEXT, template.english)
            return _PLACEHOLDER.sub(lambda place: values[place[1]], text)  # noqa: B023 - called at once
    return sentence


def _values(template: _Template, values: dict[str, str]) -> dict[str, str] | None:
    """The values, translated; None where so little of the sentence is the template's that it says something else."""
    made = {name: _value(name in template.quoted, value) for name, value in values.items()}
    if template.is_short and any(" " in value and made[name] == value for name, value in values.items()):
        return None
    return made


def _value(quoted: bool, value: str) -> str:
    if quoted:
        return value
    return with_separators(value) if _NUMBER.fullmatch(value) else translated(value)


@cache
def _templates(name: str) -> list[_Template]:
    """The sentences with placeholders; those with the most text of their own first, for they say the most."""
    assert name == language.locale_name()
    keys = getattr(language.catalogue(), "_catalog", {})
    english = [key.removeprefix(_MARK) for key in keys if isinstance(key, str) and key.startswith(_MARK) and "{" in key]
    return [_Template.of(each) for each in sorted(english, key=lambda each: -len(_PLACEHOLDER.sub("", each)))]
