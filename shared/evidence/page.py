"""The page of a bundle, in English and Portuguese: what it shows, what it cannot show, and how to verify it by hand."""

import json
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from shared import formatting
from shared.evidence import members
from shared.translations import language


def render(files: Mapping[str, bytes], made_at: str, key_ids: Mapping[str, str]) -> str:
    """The page for a bundle with these members; key_ids: which key has signed each document."""
    documents = [name for name in (members.CONTENTS, members.RECEIPT, members.ATTESTATION) if name in key_ids]
    heads = [name for name in (members.HEAD, members.STAMPED_HEAD) if name in files]
    stamped = [name for name in (*documents, *heads) if members.stamp_of(name) in files]
    return _PAGES.get_template("evidence.html").render(
        receipt=json.loads(files[members.RECEIPT])["receipt"],
        attestation=json.loads(files[members.ATTESTATION])["attestation"] if members.ATTESTATION in files else None,
        heads=[(name, "path" if name == members.HEAD else "stamped.path") for name in heads],
        signed=[(name, key_ids[name]) for name in (*documents, *heads)],
        keys=sorted(set(key_ids.values())),
        stamped=[(name, members.stamp_of(name)) for name in stamped],
        lines=sum(name.startswith("lines/") and name.endswith(".json") for name in files),
        made_at=made_at,
    )


def _moment(at: str | None) -> str:
    with language.only_here(language.ENGLISH):  # the bundle has the same bytes for every reader
        return formatting.utc_time(at)


_PAGES = Environment(
    loader=PackageLoader("shared.evidence"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {"moment": _moment}
