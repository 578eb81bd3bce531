"""HTML pages with a strict Content-Security-Policy."""

from flask import Response


def page(html: str, *allowed: str) -> Response:
    """An HTML response; `allowed` are more directives of its Content-Security-Policy."""
    policy = ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", *allowed)
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(html, headers=headers, content_type="text/html; charset=utf-8")
