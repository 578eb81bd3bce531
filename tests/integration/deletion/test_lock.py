"""The lock refuses duplicates; only its own deletion extends or releases it."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from redis import Redis as Client

from shared.deletions import lock
from tests.servers import RedisDatabases


@pytest.fixture
def client(redis_databases: RedisDatabases) -> Iterator[Client]:
    """A client on a database of its own."""
    with ExitStack() as closing, Client.from_url(redis_databases.take(closing)) as made:
        yield made


def test_only_one_deletion_holds_it(client: Client) -> None:
    """The second one is turned away, the first one may take it again: that extends it."""
    first, second = uuid4(), uuid4()

    taken = lock.take(client, "i", first, 10)
    refused = lock.take(client, "i", second, 10)
    extended = lock.take(client, "i", first, 1000)

    assert (taken, refused, extended) == (True, False, True)
    assert client.get("lethe:lock:i") == str(first).encode()
    assert client.ttl("lethe:lock:i") > 900


def test_it_is_never_stolen(client: Client) -> None:
    """Neither extended nor released by another deletion, by a late owner, or when it is not held."""
    first, second = uuid4(), uuid4()
    lock.take(client, "i", first, 10)

    assert not lock.extend(client, "i", second, 1000)
    assert not lock.release(client, "i", second)
    assert client.get("lethe:lock:i") == str(first).encode()
    assert lock.release(client, "i", first)
    assert not lock.release(client, "i", first)
    assert not lock.extend(client, "i", first, 10)


def test_it_runs_out_by_itself(client: Client) -> None:
    """The lock of a process that died ends with its lease."""
    lock.take(client, "i", uuid4(), 0.01)

    assert client.pttl("lethe:lock:i") <= 10
