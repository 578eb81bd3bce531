"""The catalogue on disk has every text of the product, and gettext reads the same."""

import re
from gettext import GNUTranslations
from io import BytesIO

from docs import translations
from shared.translations import language

ENTRIES = [entry for entry in translations.read() if entry.id]
PLACEHOLDER = re.compile(r"\{\w+(?:![rs])?(?::[^}]*)?\}|%\(\w+\)[sd]|`[^`\n]+`|LETHE_[A-Z_]*[A-Z]|--[a-z][a-z-]+")


def placeholders(text: str) -> set[str]:
    """The values, commands, settings and options of a text, which no language changes."""
    return set(PLACEHOLDER.findall(text))


def forms(text: object) -> list[str]:
    """A text, or singular and plural."""
    return [text] if isinstance(text, str) else [str(each) for each in text]  # type: ignore[attr-defined]


def test_each_text_is_in_the_catalogue() -> None:
    """And no text of former times: `make translations` collects them."""
    there = {(entry.id if isinstance(entry.id, str) else tuple(entry.id), entry.context) for entry in ENTRIES}

    assert there == translations.collect()


def test_each_text_is_translated() -> None:
    """Fill in the empty msgstr in lethe.po, and run `make translations` again; a fuzzy one is not used."""
    assert translations.untranslated(translations.read()) == []


def test_a_translation_has_the_same_values() -> None:
    """A wrong name in braces would end a command with a traceback; a lost one would hide a fact."""
    other = []
    for entry in ENTRIES:
        english = forms(entry.id)
        for position, translated in enumerate(filter(None, forms(entry.string or ""))):
            if placeholders(translated) != placeholders(english[min(position, len(english) - 1)]):
                other.append(translated)

    assert other == []


def test_what_gettext_reads_is_made_of_this_catalogue() -> None:
    """Else `make translations`."""
    on_disk, fresh = (
        GNUTranslations(BytesIO(made)) for made in (translations.MO.read_bytes(), translations.compiled())
    )

    assert vars(on_disk)["_catalog"] == vars(fresh)["_catalog"]


def test_both_forms_of_a_plural() -> None:
    """In Portuguese, zero is singular."""
    with language.only_here(language.PORTUGUESE):
        plural = vars(language.catalogue())["plural"]

    assert [plural(number) for number in (0, 1, 2, 1000000)] == [0, 0, 1, 1]
