"""The receipt as one page to print: no script, nothing from elsewhere, everything escaped."""

import json
from collections.abc import Mapping
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

_PAGES = Environment(
    loader=PackageLoader("shared"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def render(document: str) -> str:
    """The page of a signed document."""
    digest = sha256(document.encode()).hexdigest()
    return _PAGES.get_template("receipt.html").render(json.loads(document), digest=digest, counted=_counted)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number) or "–"
