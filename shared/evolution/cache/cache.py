"""Evolution's Redis cache: finds and unlinks the keys that are exactly one instance's."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from shared.errors import LetheError, TransientError, Unreachable
from shared.evolution import instance_ids
from shared.evolution.cache import keys as cache_keys
from shared.evolution.usage import Usage

_AT_ONCE = 500
Living = Callable[[str, set[str]], set[str]]  # column ("id" or "name") and values: those that other instances bear

Bears = Callable[[set[str]], set[str]]
# The value of a lost-messages field: a cuid, as JSON; its first eight digits are milliseconds since 1970, to base 36.
_CUID = re.compile(rb'"?c([0-9a-z]{8})[0-9a-z]{16}"?')
# One page of the pass: every key that could be one of these ids' or names'. A part up to any colon may be the name, up
# to any underscore the id; keys.py decides. ARGV: cursor, page, prefix and colon, number of ids, ids, names.
_SCRIPT = """
local ids, names, head, found = {}, {}, ARGV[3], {}
local last = 4 + tonumber(ARGV[4])
for i = 5, last do ids[ARGV[i]] = true end
for i = last + 1, #ARGV do names[ARGV[i]] = true end
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
for _, key in ipairs(page[2]) do
  local colon = key:sub(1, #head) == head and key:find(':', #head + 1, true)
  if colon then
    local wanted, mark = names, ':'
    if key:sub(#head + 1, colon - 1) == 'baileys' then wanted, mark = ids, '_' end
    local at = key:find(mark, colon + 1, true)
    while at do
      if wanted[key:sub(colon + 1, at - 1)] then found[#found + 1] = key break end
      at = key:find(mark, at + 1, true)
    end
  end
end
return {page[1], found}
"""
_LOST_WORD = cache_keys.LOST_MESSAGES.partition(":")[0]  # as if it were a name: so the pass sees those hashes too
_LARGE = 100_000  # keys; a pass over them takes about a tenth of a second
_PAGE = 2_000  # keys that Redis looks at in one go, about 2 ms


class Candidates:
    """Candidates of one pass over the keys: by id or name, each key with all whose it could be."""

    def __init__(self, ids: set[str], names: set[str]) -> None:
        self.by_id: dict[str, dict[str, set[str]]] = {each: {} for each in ids}
        self.by_name: dict[str, dict[str, set[str]]] = {each: {} for each in names}

    def as_arguments(self) -> list[bytes]:
        """As the script takes them."""
        names = (*self.by_name, _LOST_WORD)
        return [str(len(self.by_id)).encode(), *(each.encode() for each in (*self.by_id, *names))]

    def add(self, prefix: str, key: str) -> None:
        """File a key under each of ours that explains it; a pass may bring one twice."""
        for owners, wanted in (
            (cache_keys.ids_explaining(prefix, key), self.by_id),
            (cache_keys.names_explaining(prefix, key), self.by_name),
        ):
            for owner in owners & wanted.keys():
                wanted[owner][key] = owners


@dataclass(frozen=True)
class Kept:
    """Keys by the id or the name that they are kept by."""

    by_id: dict[str, list[str]] = field(default_factory=dict)
    by_name: dict[str, list[str]] = field(default_factory=dict)

    def add(self, prefix: str, key: str) -> None:
        """File a key; one that is kept by neither is nobody's, and left out."""
        if (owner := cache_keys.id_in(prefix, key)) is not None:
            self.by_id.setdefault(owner, []).append(key)
        elif (name := cache_keys.name_in(prefix, key)) is not None:
            self.by_name.setdefault(name, []).append(key)


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
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
        self._pass = redis.register_script(_SCRIPT)
        self._may_run_scripts = True  # until an ACL refuses it
        self._lost_messages = {f"{prefix}:{cache_keys.LOST_MESSAGES}"}  # and those that a pass has met

    def probe(self) -> None:
        """Raise Unreachable when Redis does not answer."""
        with translate_errors("the cache"):
            self.redis.ping()

    def is_large(self) -> bool:
        """Whether a pass over all keys takes long enough to be worth waiting for company."""
        with translate_errors("the cache"):
            return int(self.redis.dbsize()) > _LARGE

    def find_candidates(self, ids: Iterable[str], names: Iterable[str] = ()) -> Candidates:
        """Look at every key once, for any number of instances: what could be theirs. It costs the whole keyspace."""
        proposals = Candidates(set(ids), set(names))
        cursor = 0
        while True:
            cursor, found = self.scan_page(cursor, proposals)
            for key in found:
                # A key that is not UTF-8 was not written by Evolution.
                text = key.decode(errors="surrogateescape")
                proposals.add(self.prefix, text)
                self._meet(text)
            if cursor == 0:
                return proposals

    def scan_page(self, cursor: int, candidates: Candidates, *, size: int = _PAGE) -> tuple[int, list[bytes]]:
        """The next cursor, and the keys of one page that could be candidates; all of it where no script may run."""
        if self._may_run_scripts:
            arguments: list[int | str | bytes] = [cursor, size, f"{self.prefix}:", *candidates.as_arguments()]
            try:
                with translate_errors("the cache"):
                    after, found = self._pass(args=arguments)
                return int(after), found
            except LetheError as error:
                if not isinstance(error.__cause__, NoPermissionError):
                    raise
                self._may_run_scripts = False
        with translate_errors("the cache"):
            after, keys = self.redis.scan(cursor, match=f"{cache_keys.escape(self.prefix)}:*".encode(), count=size)
        return int(after), [key for key in keys if isinstance(key, bytes)]

    def by_id(
        self, instance_id: str, living: Living, proposals: Candidates | None = None
    ) -> tuple[list[str], list[str]]:
        """Keys of the instance by its id, and those that a living id explains as well."""
        candidates = (proposals or self.find_candidates([instance_id])).by_id[instance_id]
        ours, shared = _judge(candidates, instance_id, partial(living, "id"))
        session = f"{self.prefix}:instance:{instance_id}"
        # An id is never reused, so this key is ours even if somebody took our id for a name.
        return [*ours, *self._existing([session])], shared

    def by_name(self, name: str, living: Living, proposals: Candidates | None = None) -> tuple[list[str], list[str]]:
        """Keys of the bearer of a name, and those that another living instance explains as well."""
        candidates = (proposals or self.find_candidates([], [name])).by_name[name]
        ours, shared = _judge(candidates, name, partial(living, "name"))
        legacy = self._existing([f"{self.prefix}:instance:{name}"])
        if legacy and living("id", {name}):  # it is the session of the instance with that id
            return ours, [*shared, *legacy]
        return [*ours, *legacy], shared

    def kept(self) -> Kept:
        """All keys that are kept by an instance's id or name, whosesoever; one pass over all keys."""
        kept = Kept()
        for key in self._scan(f"{cache_keys.escape(self.prefix)}:*"):
            kept.add(self.prefix, key)
            self._meet(key)
        return kept

    def fields(self) -> Iterator[tuple[str, str, Usage]]:
        """The lost messages of Chatwoot that a pass has met: each hash, name and what its field holds."""
        for lost in self._hashes():
            with translate_errors("the cache"):
                found = dict(self.redis.hscan_iter(lost, count=_PAGE))
            for name, value in found.items():
                if instance_ids.is_storable(text := name.decode(errors="surrogateescape")):
                    yield lost, text, Usage(1, len(value), _written_at(value))

    def measure(self, keys: list[str]) -> Usage:
        """The memory of these keys, and when the last of them was used: a key does not say when it was made."""
        with translate_errors("the cache"), self.redis.pipeline(transaction=False) as pipeline:
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
        return Usage(len(keys), sum(each for each in sizes if isinstance(each, int)), newest)

    def count_fields(self, name: str) -> int:
        """How many fields the name has among the lost messages of Chatwoot, as far as a pass has met them."""
        with translate_errors("the cache"):
            return sum(int(self.redis.hexists(lost, name)) for lost in self._hashes())

    def remove_field(self, name: str, lost: str | None = None) -> int:
        """Remove the name's fields from the lost messages of Chatwoot, or from one hash of them."""
        with translate_errors("the cache"):
            return sum(int(self.redis.hdel(each, name)) for each in ([lost] if lost else self._hashes()))

    def unlink(self, keys: Iterable[str]) -> Iterator[int]:
        """Unlink keys, some hundreds in one command; yields how many each one removed."""
        waiting = iter(keys)
        while some := list(islice(waiting, _AT_ONCE)):
            with translate_errors("the cache"):
                removed = int(self.redis.unlink(*(key.encode(errors="surrogateescape") for key in some)))
            yield removed

    def _meet(self, key: str) -> None:
        if cache_keys.is_lost_messages(self.prefix, key):
            self._lost_messages.add(key)

    def _hashes(self) -> list[str]:
        return sorted(self._lost_messages)

    def _scan(self, pattern: str) -> set[str]:
        with translate_errors("the cache"):
            found = self.redis.scan_iter(match=pattern.encode(), count=_PAGE)
            return {key.decode(errors="surrogateescape") for key in found}  # SCAN may return a key twice

    def _existing(self, keys: list[str]) -> list[str]:
        with translate_errors("the cache"):
            return [key for key in keys if self.redis.exists(key)]


def _judge(explained: dict[str, set[str]], ours: str, bears: Bears) -> tuple[list[str], list[str]]:
    """Ours alone, and what another living one explains as well."""
    others = bears({owner for owners in explained.values() for owner in owners} - {ours})
    shared = {key for key, owners in explained.items() if owners & others}
    return [key for key in explained if key not in shared], sorted(shared)


def _written_at(value: bytes) -> datetime | None:
    """When a field of the lost messages was written, as its value says; a field itself has no time."""
    cuid = _CUID.fullmatch(value)
    return datetime.fromtimestamp(int(cuid[1], 36) / 1000, UTC) if cuid else None
