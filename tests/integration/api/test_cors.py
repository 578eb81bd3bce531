"""Web pages of other domains may call the API where an origin is listed, with a key and without cookies."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from demo.evolution.seed import seed_instance
from tests.system import ADMIN_KEY, System

PANEL = "https://panel.example"
OTHERS = (
    "https://evil.example",
    "https://panel.example.evil",
    "http://panel.example",
    "https://PANEL.example",
    "null",
    "*",
)
API = ("/instance/delete/a%2Fb", "/instance/logout/a", "/deletions", "/audit")


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """An API that one other domain may call."""
    made = make_system(cors_origins=(PANEL, "http://localhost:5173"))
    made.start("web")
    yield made
    made.close()


def ask(system: System, path: str, origin: str = PANEL, method: str = "OPTIONS", **headers: str) -> requests.Response:
    """As a browser asks before a call, or calls."""
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "apikey"}
    sent = {"Origin": origin, **(asked if method == "OPTIONS" else {}), **headers}
    return requests.request(method, f"{system.url}{path}", headers=sent, timeout=30)


def of_cors(response: requests.Response) -> dict[str, Any]:
    """Its headers that are for browsers."""
    return {name: value for name, value in response.headers.items() if name.startswith("Access-Control")}


@pytest.mark.parametrize("path", API)
def test_a_preflight_is_answered_without_a_key(system: System, path: str) -> None:
    """Alike, whether there is such an instance or not."""
    answer = ask(system, path)

    assert (answer.status_code, answer.text) == (204, "")
    assert answer.headers["Access-Control-Allow-Origin"] == PANEL
    assert "apikey" in answer.headers["Access-Control-Allow-Headers"]
    expected = {"/deletions": "GET, POST", "/audit": "GET"}.get(path, "DELETE")
    assert answer.headers["Access-Control-Allow-Methods"] == expected
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_the_answer_can_be_read_by_the_page(system: System) -> None:
    """Refusals as well; the documented body is the same."""
    seed_instance(system.deployment, "on the panel")
    refused = ask(system, "/instance/delete/on%20the%20panel", method="DELETE")
    order = {"apikey": ADMIN_KEY, "Prefer": "respond-async"}
    accepted = ask(system, "/instance/delete/on%20the%20panel", method="DELETE", **order)

    assert (refused.status_code, refused.text) == (401, '{"error":true,"message":"Unauthorized"}')
    assert accepted.status_code == 202
    for answer in (refused, accepted):
        assert answer.headers["Access-Control-Allow-Origin"] == PANEL
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_are_told_nothing(system: System, origin: str) -> None:
    """Neither before a call nor after it."""
    answers = [ask(system, path, origin) for path in API]
    answers.append(ask(system, "/deletions", origin, method="GET", apikey=ADMIN_KEY))

    assert [of_cors(answer) for answer in answers] == [{}] * len(answers)


@pytest.mark.parametrize("path", ["/console/", "/console/sign-in", "/docs", "/metrics", "/health/ready", "/nothing"])
def test_nothing_else_is_open_to_other_pages(system: System, path: str) -> None:
    """The console, whose cookie would be sent, least of all."""
    answers = [ask(system, path), ask(system, path, method="GET"), ask(system, path, method="POST")]

    assert [of_cors(answer) for answer in answers] == [{}] * 3


def test_by_default_no_page_of_another_domain_may_call(shared_system: System) -> None:
    """And no header speaks of it."""
    answers = [ask(shared_system, path) for path in API]
    answers.append(ask(shared_system, "/deletions", method="GET", apikey=ADMIN_KEY))

    assert [of_cors(answer) for answer in answers] == [{}] * len(answers)
    assert "Vary" not in answers[-1].headers
