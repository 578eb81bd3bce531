"""The receipt as an HTML page to print, without scripts and external files."""

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

from shared import formatting
from shared.translations import language


def render(document: str) -> str:
    """The HTML page of a signed receipt."""
    digest = sha256(document.encode()).hexdigest()
    with language.only_here(language.ENGLISH):  # as it was signed
        return _PAGES.get_template("receipt.html").render(json.loads(document), digest=digest)


def style_hash(page: str) -> str:
    """The hash of the page's style, for its Content-Security-Policy."""
    style = page.partition("<style>")[2].partition("</style>")[0]
    return f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}"


def _counted(counts: Mapping[str, int] | None) -> str:
    return ", ".join(f"{what} {number:,}" for what, number in (counts or {}).items() if number) or "–"


_PAGES = Environment(
    loader=PackageLoader("shared.receipts"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {"counted": _counted, "moment": formatting.utc_time}
