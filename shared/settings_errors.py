"""What is wrong with a setting, in words; never with its value."""

from difflib import get_close_matches

from pydantic_core import ErrorDetails


def sentence(wrong: ErrorDetails) -> str:
    """What is wrong with one setting."""
    match wrong["type"], wrong.get("ctx", {}):
        case "missing", _:
            return "is not set"
        case "too_short" | "string_too_short", {"min_length": least, **rest}:
            has = f", it has {rest['actual_length']}" if "actual_length" in rest else ""
            return f"must be of {least} characters or more{has}"
    return wrong["msg"].removeprefix("Value error, ")


def or_nearest(name: str, known: set[str]) -> str:
    """The name, and the known one that it is nearest to."""
    return f"{name} (is it {near[0]}?)" if (near := get_close_matches(name, known, 1, 0.85)) else name
