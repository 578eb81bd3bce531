"""The language of the reader, for this thread or command: English unless another one was chosen."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

ENGLISH, PORTUGUESE = "en", "pt-BR"
LANGUAGES = {ENGLISH: "English", PORTUGUESE: "Português"}  # each in its own words
_BY_PRIMARY_TAG = {language.partition("-")[0]: language for language in LANGUAGES}
_LOCALES = Path(__file__).with_name("locale")
_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """The chosen language."""
    return _language.get()


def use(language: str) -> None:
    """Choose the language of all texts that follow in this thread or command."""
    _language.set(language)


@contextmanager
def only_here(language: str) -> Iterator[None]:
    """Choose the language inside of a block."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def first_known(codes: Iterable[str | None]) -> str | None:
    """The language of the first known code: `pt`, `pt-PT` and `pt_BR.UTF-8` are Portuguese, `C` and `POSIX` English."""
    for code in codes:
        primary = (code or "").replace("_", "-").partition("-")[0].partition(".")[0].lower()
        if primary in ("c", "posix"):
            return ENGLISH
        if primary in _BY_PRIMARY_TAG:
            return _BY_PRIMARY_TAG[primary]
    return None


def locale_name() -> str:
    """The chosen language as Babel and gettext name it: `pt_BR`."""
    return current().replace("-", "_")


def catalogue() -> NullTranslations:
    """The texts of the chosen language; English ones are the keys."""
    return _load(locale_name())


@cache
def _load(name: str) -> NullTranslations:
    if name == ENGLISH:
        return NullTranslations()
    with (_LOCALES / name / "LC_MESSAGES" / "lethe.mo").open("rb") as file:
        return GNUTranslations(file)
