"""How a key looks, and what is kept of it."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.sql import Insert

from shared.access import api_keys
from shared.database.enums import Role
from shared.settings import Settings


class Books:
    """In place of the own database: what was written."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def execute(self, statement: Insert) -> SimpleNamespace:
        self.written.append(dict(statement.compile().params))
        return SimpleNamespace(rowcount=1)


@pytest.fixture
def books() -> Books:
    """Nothing is written yet."""
    return Books()


def test_a_key_carries_its_id_and_32_random_bytes(make_settings: Callable[..., Settings], books: Books) -> None:
    """Of its own each time; only a hash is kept."""
    settings = make_settings()
    made = [
        api_keys.create(cast(Connection, books), settings, name="n", role=Role.VIEWER, instances=["a"])
        for _ in range(2)
    ]

    assert all(re.fullmatch(rf"lethe_{key.id}_[\w-]{{43}}", key.key) for key in made)
    assert len({key.key for key in made} | {key.id for key in made}) == 4
    for key, row in zip(made, books.written, strict=True):
        assert (row["id"], row["role"], row["instances"]) == (key.id, Role.VIEWER, ["a"])
        assert row["key_hash"] == api_keys.hash_key(settings, key.key)
        assert key.key not in str(row)


def test_a_rotated_key_keeps_its_id(make_settings: Callable[..., Settings], books: Books) -> None:
    """And nothing of its secret."""
    first, second = (api_keys.rotate(cast(Connection, books), make_settings(), "abc") for _ in range(2))

    assert first
    assert second
    assert first.id == second.id == "abc"
    assert first.key != second.key


def test_a_hash_is_worth_nothing_elsewhere(make_settings: Callable[..., Settings]) -> None:
    """Another deployment's secret makes another hash of the same key."""
    here, there = make_settings(), make_settings(secret_key="another secret of 32 characters or more")

    assert api_keys.hash_key(here, "key") != api_keys.hash_key(there, "key")
    assert re.fullmatch(r"[0-9a-f]{64}", api_keys.hash_key(here, "key"))
