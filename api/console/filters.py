"""What a page's filter form sends: text fields, of which empty ones were not filled in."""

from flask import request
from pydantic import BaseModel


def given(shape: type[BaseModel]) -> dict[str, str]:
    """The fields of this request that the shape knows and that were filled in, without what pasting brings along."""
    known = {field.alias or name for name, field in shape.model_fields.items()}
    return {name: text for name in known if (text := request.args.get(name, "").strip())}
