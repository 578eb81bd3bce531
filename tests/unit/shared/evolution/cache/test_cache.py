"""The cache of one deployment: what is exactly ours goes, what another one explains stays."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from shared.errors import RefusesForNow, Unreachable
from shared.evolution.cache.cache import Cache
from tests.unit.shared.evolution.cache.redis_glob import matches
from tests.unit.shared.evolution.names import NAMES, shown

P = "evolution-cache"
LOST = f"{P}:chatwoot:syncLostMessages"


def as_bytes(text: str | bytes) -> bytes:
    """A key as Redis keeps it."""
    return text.encode() if isinstance(text, str) else text


@dataclass
class FakeRedis:
    """Keys in memory; SCAN returns each of them twice, as a real one may."""

    keys: set[bytes] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    commands: list[int] = field(default_factory=list)
    failure: Exception | None = None

    def _answer(self) -> None:
        if self.failure:
            raise self.failure

    def put(self, *keys: str) -> None:
        """Write keys."""
        self.keys |= {as_bytes(key) for key in keys}

    def ping(self) -> bool:
        self._answer()
        return True

    def register_script(self, script: str) -> Callable[..., list[Any]]:
        """In place of the script: it proposes every key, twice; what is whose is decided elsewhere."""

        def run(args: list[Any]) -> list[Any]:
            self._answer()
            return [b"0", [key for key in sorted(self.keys) for _ in range(2)]]

        return run

    def scan_iter(self, match: bytes, count: int) -> Iterator[bytes]:
        self._answer()
        yield from [key for key in sorted(self.keys) for _ in range(2) if matches(match, key)]

    def exists(self, key: str) -> int:
        self._answer()
        return int(as_bytes(key) in self.keys)

    def hexists(self, key: str, name: str) -> bool:
        self._answer()
        return key == LOST and name in self.lost

    def hdel(self, key: str, name: str) -> int:
        self._answer()
        found = key == LOST and name in self.lost
        self.lost -= {name}
        return int(found)

    def unlink(self, *keys: bytes) -> int:
        self._answer()
        self.commands.append(len(keys))
        there = len(self.keys & set(keys))
        self.keys -= set(keys)
        return there


def living(*, ids: Iterable[str] = (), names: Iterable[str] = ()) -> Callable[[str, set[str]], set[str]]:
    """The other instances: those of the values that are theirs."""
    known = {"id": set(ids), "name": set(names)}
    return lambda column, values: known[column] & values


NOBODY = living()


@pytest.fixture
def redis() -> FakeRedis:
    """An empty one."""
    return FakeRedis()


@pytest.fixture
def cache(redis: FakeRedis) -> Cache:
    """A cache on it."""
    return Cache(redis, P)


def keys_of(name: str) -> list[str]:
    """What Evolution keeps by the name."""
    return [
        f"{P}:instance:{name}",
        f"{P}:ut:{name}:getProvider",
        f"{P}:ChatwootService:{name}:getInbox",
        f"{P}:ut:{name}:createConversation-1@s.whatsapp.net",
        f"{P}:ut:{name}:lock:createConversation-1@s.whatsapp.net",
    ]


@pytest.mark.parametrize("name", NAMES, ids=shown)
def test_a_name_takes_its_own_keys_and_no_others(redis: FakeRedis, cache: Cache, name: str) -> None:
    """All the colliding names live side by side."""
    for other in NAMES:
        redis.put(*keys_of(other))

    mine, shared = cache.by_name(name, living(names=set(NAMES) - {name}))

    assert sorted(mine) == sorted(keys_of(name))
    assert shared == []


def test_a_key_is_proposed_twice_and_returned_once(redis: FakeRedis, cache: Cache) -> None:
    """SCAN promises no more; counts would be wrong."""
    redis.put(f"{P}:ut:a:getInbox")

    mine, _ = cache.by_name("a", NOBODY)

    assert mine == [f"{P}:ut:a:getInbox"]


def test_a_key_that_can_be_of_two_existing_names_stays_and_is_reported(redis: FakeRedis, cache: Cache) -> None:
    """`a` may have locked, or the living `a:lock` may have created."""
    ambiguous = f"{P}:ut:a:lock:createConversation-1"
    redis.put(ambiguous, f"{P}:ut:a:getInbox")

    mine, shared = cache.by_name("a", living(names=["a:lock"]))

    assert mine == [f"{P}:ut:a:getInbox"]
    assert shared == [ambiguous]


def test_a_key_that_only_a_dead_name_explains_as_well_goes(redis: FakeRedis, cache: Cache) -> None:
    """Nobody is called `a:lock`, so it is ours."""
    redis.put(f"{P}:ut:a:lock:createConversation-1")

    mine, shared = cache.by_name("a", living(names=["b"]))

    assert mine == [f"{P}:ut:a:lock:createConversation-1"]
    assert shared == []


def test_the_longer_name_leaves_an_ambiguous_key_too(redis: FakeRedis, cache: Cache) -> None:
    """It is no more `a:lock`'s than `a`'s."""
    ambiguous = f"{P}:ut:a:lock:createConversation-1"
    redis.put(ambiguous)

    mine, shared = cache.by_name("a:lock", living(names=["a"]))

    assert mine == []
    assert shared == [ambiguous]


def test_a_legacy_key_that_equals_the_id_of_another_stays(redis: FakeRedis, cache: Cache) -> None:
    """It is the session of the instance with that id, whatever ours is called."""
    redis.put(f"{P}:instance:0b1c", f"{P}:ut:0b1c:getInbox")

    mine, shared = cache.by_name("0b1c", living(ids=["0b1c"]))

    assert mine == [f"{P}:ut:0b1c:getInbox"]
    assert shared == [f"{P}:instance:0b1c"]


def test_the_database_is_not_asked_about_a_legacy_key_that_is_not_there(redis: FakeRedis, cache: Cache) -> None:
    """Nothing is kept, so nothing is reported as kept."""
    mine, shared = cache.by_name("0b1c", living(ids=["0b1c"]))

    assert (mine, shared) == ([], [])


def test_an_id_takes_its_session_its_messages_and_their_statuses(redis: FakeRedis, cache: Cache) -> None:
    """And nothing that belongs to all."""
    ours = [f"{P}:baileys:0b1c_MSG", f"{P}:baileys:0b1c_MSG_READ", f"{P}:baileys:0b1c_OTHER_3", f"{P}:instance:0b1c"]
    redis.put(*ours, f"{P}:baileys:protocol_1_2", f"{P}:baileys:1@s.whatsapp.net_x_y", f"{P}:groups:0b1c_a_b")
    redis.put(f"{P}:baileys:0b1cd_MSG", f"{P}:baileys:x_0b1c_MSG", f"{P}:baileys:protocol_0b1c_MSG")
    redis.put(f"{P}:baileys:0b1cd_MSG_READ", f"{P}:instance:0b1cd", f"{P}:baileys:0b1c", "other:baileys:0b1c_a_b")

    mine, shared = cache.by_id("0b1c", NOBODY)

    assert sorted(mine) == sorted(ours)
    assert shared == []


@pytest.mark.parametrize(("ours", "theirs"), [("a", "a_b"), ("a_b", "a")])
def test_a_message_that_can_be_of_two_existing_ids_stays_and_is_reported(
    redis: FakeRedis, cache: Cache, ours: str, theirs: str
) -> None:
    """`a` and `a_b` are ids of a migrated deployment."""
    shared_keys = [f"{P}:baileys:a_b_c", f"{P}:baileys:a_b_c_d"]
    alone = [f"{P}:baileys:a_m", f"{P}:baileys:a_m_s"]
    redis.put(*shared_keys, *alone)

    mine, shared = cache.by_id(ours, living(ids=[theirs]))

    assert sorted(mine) == (alone if ours == "a" else [])
    assert shared == shared_keys


@pytest.mark.parametrize("instance_id", ["protocol", "1@s.whatsapp.net"])
def test_an_id_that_looks_like_a_shared_key_takes_its_session_alone(
    redis: FakeRedis, cache: Cache, instance_id: str
) -> None:
    """Evolution makes no such id; its messages look like shared keys, and expire within half an hour."""
    redis.put(f"{P}:instance:{instance_id}", f"{P}:baileys:{instance_id}_MSG", f"{P}:baileys:{instance_id}_MSG_READ")

    mine, shared = cache.by_id(instance_id, NOBODY)

    assert (mine, shared) == ([f"{P}:instance:{instance_id}"], [])


def test_a_key_that_is_not_utf8_can_be_ours(redis: FakeRedis, cache: Cache) -> None:
    """It is unlinked as the bytes it is."""
    broken = f"{P}:ut:a:createConversation-".encode() + b"\xff"
    redis.keys.add(broken)

    mine, _ = cache.by_name("a", NOBODY)
    removed = sum(cache.unlink(mine))

    assert removed == 1
    assert redis.keys == set()


def test_the_field_of_the_name_goes_from_the_lost_messages(redis: FakeRedis, cache: Cache) -> None:
    """Its neighbours' fields stay, and a second time removes nothing."""
    redis.lost = {"a", "a_b"}

    counts = [cache.remove_lost_messages("a"), cache.remove_lost_messages("a")]

    assert counts == [1, 0]
    assert redis.lost == {"a_b"}
    assert (cache.count_lost_messages("a_b"), cache.count_lost_messages("a")) == (1, 0)


def test_unlinking_takes_some_hundreds_at_once_and_counts_what_was_there(redis: FakeRedis, cache: Cache) -> None:
    """A key that expired meanwhile is not counted."""
    keys = [f"{P}:baileys:x_{number}_1" for number in range(1_201)]
    redis.put(*keys[1:])

    counts = list(cache.unlink(keys))

    assert counts == [499, 500, 201]
    assert redis.commands == [500, 500, 201]


def test_unlinking_nothing_sends_no_command(redis: FakeRedis, cache: Cache) -> None:
    """No empty command is sent."""
    assert list(cache.unlink([])) == []
    assert redis.commands == []


CALLS: list[Callable[[Cache], object]] = [
    lambda cache: cache.probe(),
    lambda cache: cache.by_id("a", NOBODY),
    lambda cache: cache.by_name("a", NOBODY),
    lambda cache: cache.count_lost_messages("a"),
    lambda cache: cache.remove_lost_messages("a"),
    lambda cache: list(cache.unlink(["k"])),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("failure", [RedisConnectionError("gone"), RedisTimeout("slow")])
def test_a_silent_redis_is_unreachable(
    redis: FakeRedis, cache: Cache, call: Callable[[Cache], object], failure: Exception
) -> None:
    """Waiting for it uses nothing up."""
    redis.failure = failure

    with pytest.raises(Unreachable, match="the cache cannot be reached"):
        call(cache)


@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_redis_is_translated(redis: FakeRedis, cache: Cache, call: Callable[[Cache], object]) -> None:
    """By its code word, as the table has it."""
    redis.failure = ResponseError("NOREPLICAS Not enough good replicas to write.")

    with pytest.raises(RefusesForNow) as raised:
        call(cache)

    assert raised.value.title == "the cache refuses for now: Not enough good replicas to write. (Redis NOREPLICAS)"
