"""Evolution's Redis cache: finds and unlinks the keys that are exactly one instance's."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from shared import cache_keys
from shared.errors import TransientError, Unreachable
from shared.storage import Held

_PIPELINE = 500
Living = Callable[[str, set[str]], set[str]]  # column ("id" or "name") and values: those that other instances bear

Bears = Callable[[set[str]], set[str]]
Explain = Callable[[str, str], set[str]]  # prefix and key: all whose key it could be


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Translate redis-py's errors."""
    try:
        yield
    except (RedisConnectionError, RedisTimeout) as error:
        raise Unreachable(what, type(error).__name__) from error
    except RedisError as error:
        raise TransientError(f"{what}: {type(error).__name__}") from error


class Cache:
    """The keys of one Evolution deployment, under its prefix."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.redis = redis
        self.prefix = prefix

    def probe(self) -> None:
        """Raise Unreachable when Redis does not answer."""
        with reaching("the cache"):
            self.redis.ping()

    def by_id(self, instance_id: str, living: Living) -> tuple[list[str], list[str]]:
        """Keys of the instance by its id, and those that a living id explains as well."""
        candidates = self._scan(cache_keys.by_id_pattern(self.prefix, instance_id))
        ours, shared = self._judge(candidates, instance_id, cache_keys.ids_explaining, partial(living, "id"))
        session = f"{self.prefix}:instance:{instance_id}"
        # An id is never reused, so this key is ours even if somebody took our id for a name.
        return [*ours, *self._existing([session])], shared

    def by_name(self, name: str, living: Living) -> tuple[list[str], list[str]]:
        """Keys of the bearer of a name, and those that another living instance explains as well."""
        candidates = self._scan(cache_keys.by_name_pattern(self.prefix, name))
        ours, shared = self._judge(candidates, name, cache_keys.names_explaining, partial(living, "name"))
        legacy = self._existing([f"{self.prefix}:instance:{name}"])
        if legacy and living("id", {name}):  # it is the session of the instance with that id
            return ours, [*shared, *legacy]
        return [*ours, *legacy], shared

    def keys_by_id(self) -> dict[str, list[str]]:
        """All keys that are kept by an instance's id, whosesoever."""
        found: dict[str, list[str]] = {}
        patterns = (f"{cache_keys.escape(self.prefix)}:{module}:*" for module in ("instance", "baileys"))
        for key in (key for pattern in patterns for key in self._scan(pattern)):
            if (owner := cache_keys.id_in(self.prefix, key)) is not None:
                found.setdefault(owner, []).append(key)
        return found

    def measure(self, keys: list[str]) -> Held:
        """The memory of these keys, and when the last of them was used: a key does not say when it was made."""
        with reaching("the cache"), self.redis.pipeline(transaction=False) as pipeline:
            for key in (key.encode(errors="surrogateescape") for key in keys):
                pipeline.memory_usage(key)
                pipeline.object("IDLETIME", key)  # refused where maxmemory-policy counts uses instead of times
            answers = pipeline.execute(raise_on_error=False)
        sizes, idle = answers[::2], answers[1::2]
        newest = (
            datetime.now(UTC) - timedelta(seconds=min(idle))
            if idle and all(isinstance(each, int) for each in idle)
            else None
        )
        return Held(len(keys), sum(each for each in sizes if isinstance(each, int)), newest)

    def has_field(self, name: str) -> bool:
        """Whether the name has a field among the lost messages of Chatwoot."""
        with reaching("the cache"):
            return bool(self.redis.hexists(self._lost_messages, name))

    def remove_field(self, name: str) -> int:
        """Remove the name's field from the lost messages of Chatwoot."""
        with reaching("the cache"):
            return int(self.redis.hdel(self._lost_messages, name))

    def unlink(self, keys: Iterable[str]) -> Iterator[int]:
        """Unlink keys in pipelines; yields how many each one removed."""
        waiting = iter(keys)
        while some := list(islice(waiting, _PIPELINE)):
            with reaching("the cache"), self.redis.pipeline(transaction=False) as pipeline:
                for key in some:
                    pipeline.unlink(key.encode(errors="surrogateescape"))
                removed = sum(pipeline.execute())
            yield removed

    @property
    def _lost_messages(self) -> str:
        return f"{self.prefix}:chatwoot:syncLostMessages"

    def _scan(self, pattern: str) -> list[str]:
        with reaching("the cache"):
            found = self.redis.scan_iter(match=pattern.encode(), count=5_000)
            # SCAN may return a key twice; a key that is not UTF-8 was not written by Evolution.
            return list({key.decode(errors="surrogateescape") for key in found})

    def _existing(self, keys: list[str]) -> list[str]:
        with reaching("the cache"):
            return [key for key in keys if self.redis.exists(key)]

    def _judge(self, candidates: list[str], ours: str, explain: Explain, bears: Bears) -> tuple[list[str], list[str]]:
        explained = {key: explain(self.prefix, key) for key in candidates}
        explained = {key: owners for key, owners in explained.items() if ours in owners}
        others = bears({owner for owners in explained.values() for owner in owners} - {ours})
        mine = [key for key, owners in explained.items() if not owners & others]
        return mine, [key for key in explained if key not in set(mine)]
