"""Error texts for wrong settings; they never contain a value."""

import errno
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from shared.settings.sources import PREFIX
from shared.translations.marks import N_


def explain(error: ValidationError | OSError, say: Callable[[str], str] = str) -> str:
    """What is missing or wrong, with the names of the variables and without values; `say` translates a sentence."""
    if isinstance(error, OSError):
        why = f": {error.strerror}" if error.errno == errno.EILSEQ else ""
        return say(N_(f"A secret's file cannot be read: {error.filename}{why}"))
    wrong = [
        ": ".join([*(f"{PREFIX}{place}".upper() for place in each["loc"][:1]), say(sentence(each))])
        for each in error.errors(include_input=False, include_url=False)
    ]
    head = say(N_("Settings are missing or wrong (docs/settings.md has a table of them):"))
    return "\n  ".join([head, *wrong])


def raise_wrong(title: str, wrong: Mapping[str, str]) -> None:
    """Raise ValidationError with these sentences, if there are any; by the names of the settings."""
    if wrong:
        errors = [
            InitErrorDetails(type=PydanticCustomError("form", "{says}", {"says": says}), loc=(name,), input=None)
            for name, says in wrong.items()
        ]
        raise ValidationError.from_exception_data(title, errors, hide_input=True)


def sentence(wrong: ErrorDetails) -> str:
    """The error text for one setting."""
    match wrong["type"], wrong.get("ctx", {}):
        case "missing", _:
            return N_("is not set")
        case "too_short" | "string_too_short", {"min_length": least, **rest}:
            if has := rest.get("actual_length"):
                return N_(f"must be of {least} characters or more, it has {has}")
            return N_(f"must be of {least} characters or more")
    return wrong["msg"].removeprefix("Value error, ")


def or_nearest(name: str, known: set[str]) -> str:
    """The name, with the most similar known name if there is one."""
    return N_(f"{name} (is it {near[0]}?)") if (near := get_close_matches(name, known, 1, 0.85)) else name
