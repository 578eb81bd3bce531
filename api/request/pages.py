"""HTML pages with a strict Content-Security-Policy, and the filter forms on them."""

from flask import Response, request
from pydantic import BaseModel


def page(html: str, *allowed: str) -> Response:
    """An HTML response; `allowed` are more directives of its Content-Security-Policy."""
    policy = ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", *allowed)
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(html, headers=headers, content_type="text/html; charset=utf-8")


def filled_in(model: type[BaseModel]) -> dict[str, str]:
    """The fields of the model that the query of this request fills in, without the spaces around their values."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return {name: text for name in known if (text := request.args.get(name, "").strip())}
