"""HTTP answers without a network: an adapter for requests."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter


class FakeAdapter(HTTPAdapter):
    """Answers every request alike, and keeps what was sent."""

    def __init__(self, status: int = 200, body: str = "{}", failure: Exception | None = None, **headers: str) -> None:
        super().__init__()
        self.status, self.body, self.failure = status, body, failure
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.sent: list[requests.PreparedRequest] = []
        self.options: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """What a server would have sent back."""
        self.sent.append(request)
        self.options.append(options)
        if self.failure:
            raise self.failure
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = self.status, str(request.url), request
        answer.headers.update({"Location": "http://elsewhere.invalid/", **self.headers})
        answer._content, answer.encoding = self.body.encode(), "utf-8"
        return answer
