"""Tokens of previews: good for one key and one instance, for five minutes."""

import time
from collections.abc import Callable

import pytest

from api.request import confirmation
from api.request.errors import Unconfirmed
from shared.settings import Settings

KEY, DIGEST = "k" * 64, confirmation.preview_digest({"planned": {"delete_records": {"Message": 7}}})


def test_a_token_says_what_was_shown(make_settings: Callable[..., Settings]) -> None:
    """And names neither the key nor the instance."""
    token = confirmation.sign_token(make_settings(), KEY, "an-id", DIGEST)

    assert confirmation.read_token(make_settings(), KEY, "an-id", token) == DIGEST
    assert "an-id" not in token


@pytest.mark.parametrize(
    ("key", "instance_id", "secret"),
    [
        ("o" * 64, "an-id", None),
        (KEY, "another-id", None),
        (KEY, "an-id:", None),
        (KEY, "an-id", "another secret key, 32 bytes or more"),
    ],
    ids=["another key", "another instance", "a longer id", "another deployment"],
)
def test_a_token_fits_nothing_else(
    make_settings: Callable[..., Settings], key: str, instance_id: str, secret: str | None
) -> None:
    """Whoever has one of their own gains nothing with it elsewhere."""
    token = confirmation.sign_token(make_settings(), KEY, "an-id", DIGEST)
    settings = make_settings(secret_key=secret) if secret else make_settings()

    with pytest.raises(Unconfirmed, match="not one for this key and instance"):
        confirmation.read_token(settings, key, instance_id, token)


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1], lambda token: f"x{token}", lambda _: "ü.é.ñ", lambda _: "."]
)
def test_a_token_that_was_changed_is_none(make_settings: Callable[..., Settings], change: Callable[[str], str]) -> None:
    """Not a byte, and no nonsense either."""
    token = confirmation.sign_token(make_settings(), KEY, "an-id", DIGEST)

    with pytest.raises(Unconfirmed):
        confirmation.read_token(make_settings(), KEY, "an-id", change(token))


@pytest.mark.parametrize(("seconds", "is_good"), [(299, True), (302, False), (86_400, False)])
def test_a_token_ages(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, seconds: int, is_good: bool
) -> None:
    """After five minutes the preview is asked for again."""
    now = time.time()
    token = confirmation.sign_token(make_settings(), KEY, "an-id", DIGEST)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + seconds)

    if is_good:
        assert confirmation.read_token(make_settings(), KEY, "an-id", token) == DIGEST
    else:
        with pytest.raises(Unconfirmed, match="too old"):
            confirmation.read_token(make_settings(), KEY, "an-id", token)


def test_other_counts_are_another_preview() -> None:
    """The order of the names says nothing, a number does."""
    assert confirmation.preview_digest({"a": 1, "b": 2}) == confirmation.preview_digest({"b": 2, "a": 1})
    assert confirmation.preview_digest({"a": 1}) != confirmation.preview_digest({"a": 2})
