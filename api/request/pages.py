"""Pages for people, with headers that let nothing in but what the page itself needs."""

from flask import Response


def page(html: str, *allowed: str) -> Response:
    """An HTML answer; allowed are further directives of its Content-Security-Policy."""
    # Who frames it, sniffs it, keeps it or asks where a reader came from gets nothing.
    policy = ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", *allowed)
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(html, headers=headers, content_type="text/html; charset=utf-8")
