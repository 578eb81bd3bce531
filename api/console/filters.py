"""Reads the filter forms of pages."""

from flask import request
from pydantic import BaseModel


def filled_in(model: type[BaseModel]) -> dict[str, str]:
    """The fields of the model that this request fills in, without the spaces around their values."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return {name: text for name in known if (text := request.args.get(name, "").strip())}
