"""Tokens of previews: valid for one key and one instance, for five minutes."""

import time
from collections.abc import Callable

import pytest

from api.request import confirmation
from api.request.errors import Unconfirmed
from shared.evolution.rows.tenant import Instance
from shared.settings import Settings

INSTANCE = Instance("an-id", "a name", None)
KEY, DIGEST = "k" * 64, confirmation.preview_digest({"planned": {"delete_records": {"Message": 7}}})


def test_a_token_contains_the_digest_of_the_preview(make_settings: Callable[..., Settings]) -> None:
    """But neither the key nor the instance."""
    token = confirmation.sign_token(make_settings(), KEY, INSTANCE, DIGEST)

    assert confirmation.read_token(make_settings(), KEY, INSTANCE, token) == DIGEST
    assert "an-id" not in token
    assert "name" not in token


@pytest.mark.parametrize(
    ("key", "instance_id", "name", "secret"),
    [
        ("o" * 64, "an-id", "a name", None),
        (KEY, "another-id", "a name", None),
        (KEY, "an-id:", "a name", None),
        (KEY, "an-id", "another name", None),
        (KEY, "an-id", "a name ", None),
        (KEY, "an-id a", "name", None),
        (KEY, "an-id", "a name", "another secret key, 32 bytes or more"),
    ],
)
def test_a_token_is_valid_for_nothing_else(
    make_settings: Callable[..., Settings], key: str, instance_id: str, name: str, secret: str | None
) -> None:
    """Not for another key, another instance, another name of it or another deployment."""
    token = confirmation.sign_token(make_settings(), KEY, INSTANCE, DIGEST)
    settings = make_settings(secret_key=secret) if secret else make_settings()

    with pytest.raises(Unconfirmed, match="not one for this key and instance"):
        confirmation.read_token(settings, key, Instance(instance_id, name, None), token)


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1], lambda token: f"x{token}", lambda _: "ü.é.ñ", lambda _: "."]
)
def test_a_changed_token_is_invalid(make_settings: Callable[..., Settings], change: Callable[[str], str]) -> None:
    """Whatever was changed."""
    token = confirmation.sign_token(make_settings(), KEY, INSTANCE, DIGEST)

    with pytest.raises(Unconfirmed):
        confirmation.read_token(make_settings(), KEY, INSTANCE, change(token))


@pytest.mark.parametrize(("seconds", "is_good"), [(299, True), (302, False), (86_400, False)])
def test_a_token_expires(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, seconds: int, is_good: bool
) -> None:
    """After five minutes."""
    now = time.time()
    token = confirmation.sign_token(make_settings(), KEY, INSTANCE, DIGEST)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + seconds)

    if is_good:
        assert confirmation.read_token(make_settings(), KEY, INSTANCE, token) == DIGEST
    else:
        with pytest.raises(Unconfirmed, match="too old"):
            confirmation.read_token(make_settings(), KEY, INSTANCE, token)


def test_other_counts_have_another_digest() -> None:
    """The order of the keys does not matter."""
    assert confirmation.preview_digest({"a": 1, "b": 2}) == confirmation.preview_digest({"b": 2, "a": 1})
    assert confirmation.preview_digest({"a": 1}) != confirmation.preview_digest({"a": 2})
