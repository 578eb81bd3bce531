"""The console in the language of the browser, or in the one that was chosen."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import create
from shared import services
from shared.settings import Settings

SIGN_IN = "/console/sign-in"


@pytest.fixture
def app(make_settings: Callable[..., Settings]) -> Flask:
    """An application without databases: the sign-in needs none."""
    return create(services.create(make_settings()))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser."""
    return app.test_client()


def language_of(client: FlaskClient, accepted: str | None = None) -> str:
    """The language of the page, as its html element and its heading say."""
    page = client.get(SIGN_IN, headers={"Accept-Language": accepted} if accepted else {}).text
    found = re.search(r'<html lang="([\w-]+)">', page)
    assert found
    assert {"en": "<h1>Sign in</h1>", "pt-BR": "<h1>Entrar</h1>"}[found[1]] in page
    return found[1]


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("en-US,en;q=0.9,pt;q=0.3", "en"),
        ("en;q=0.1,pt;q=0.9", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("fr,pt;q=0.2,en;q=0.1", "pt-BR"),
        ("pt;q=0,en;q=0.1", "en"),
        ("pt-BR;q=0", "en"),
        ("fr,de;q=0.9", "en"),
        ("*", "en"),
        ("zz;;q=abc", "en"),
        (None, "en"),
    ],
)
def test_the_browsers_first_known_language_counts(client: FlaskClient, accepted: str | None, expected: str) -> None:
    """By its q-values; English without any."""
    assert language_of(client, accepted) == expected


def test_a_chosen_language_stays(client: FlaskClient) -> None:
    """In a cookie of the console, until another is chosen."""
    answer = client.get(f"/console/language?language=pt-BR&page={SIGN_IN}")
    chosen = language_of(client, "en")
    client.get(f"/console/language?language=tlh&page={SIGN_IN}")
    unknown = language_of(client, "en")
    client.get(f"/console/language?language=en&page={SIGN_IN}")

    assert (answer.status_code, answer.headers["Location"]) == (303, SIGN_IN)
    assert {"HttpOnly", "Path=/console", "SameSite=Strict"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert (chosen, unknown, language_of(client, "pt")) == ("pt-BR", "pt-BR", "en")


def test_each_page_leads_to_the_other_language(client: FlaskClient) -> None:
    """With the way back to this page."""
    page = client.get(SIGN_IN).text

    assert 'href="/console/language?language=pt-BR&amp;page=/console/sign-in"' in page
    assert "Português</a>" in page


@pytest.mark.parametrize(
    "page", ["https://example.com/", "//example.com", "/console//example.com", "/console/\\example.com", "", "/docs"]
)
def test_the_choice_leads_nowhere_else(client: FlaskClient, page: str) -> None:
    """Only to pages of the console."""
    answer = client.get("/console/language", query_string={"language": "en", "page": page})

    assert answer.headers["Location"] == "/console/"


def test_the_api_stays_in_english(client: FlaskClient) -> None:
    """Also in the thread that has just shown a page in Portuguese, to a client that wants Portuguese."""
    wanted = {"Accept-Language": "pt-BR"}
    shown = language_of(client, "pt-BR")
    refused = client.delete("/instance/delete/shop", headers=wanted)

    assert shown == "pt-BR"
    assert refused.text == '{"error":true,"message":"Unauthorized"}'


def test_a_form_that_is_too_old_is_said_in_portuguese(client: FlaskClient) -> None:
    """An error's page is translated as every other."""
    answer = client.post(SIGN_IN, data={"key": "x"}, headers={"Accept-Language": "pt"})

    assert answer.status_code == 400
    assert "Este formulário expirou" in answer.text
