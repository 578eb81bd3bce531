"""Evolution's Redis cache: finds and unlinks the keys that belong to exactly one instance."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from redis import Redis
from redis.exceptions import ClusterCrossSlotError, NoPermissionError

from shared.errors import LetheError
from shared.evolution import instance_ids
from shared.evolution.cache import keys as cache_keys
from shared.evolution.usage import Usage
from shared.faults.redis import translate_errors

_AT_ONCE = 500
HadByOthers = Callable[[str, set[str]], set[str]]  # column ("id" or "name"), values: those that other instances have
# The value of a field of lost messages: a cuid as JSON. Its first eight digits are milliseconds since 1970, base 36.
_CUID = re.compile(rb'"?c([0-9a-z]{8})[0-9a-z]{16}"?')
# One page of a scan: keys that may belong to these ids or names. A part up to any colon may be the name, and up to any
# underscore the id; keys.py decides. ARGV: cursor, page size, prefix and colon, number of ids, ids, names.
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
_LOST_WORD = cache_keys.LOST_MESSAGES.partition(":")[0]  # given as a name, so that a scan finds those hashes too
_LARGE = 100_000  # keys; a scan of them takes about 0.1 s
_PAGE = 2_000  # keys that Redis scans in one command, in about 2 ms


class Candidates:
    """Keys that one scan found, by id and by name. Each key has all ids or names that it may belong to."""

    def __init__(self, ids: set[str], names: set[str]) -> None:
        self.by_id: dict[str, dict[str, set[str]]] = {each: {} for each in ids}
        self.by_name: dict[str, dict[str, set[str]]] = {each: {} for each in names}

    def as_arguments(self) -> list[bytes]:
        """Arguments of the script."""
        names = (*self.by_name, _LOST_WORD)
        return [str(len(self.by_id)).encode(), *(each.encode() for each in (*self.by_id, *names))]

    def add(self, prefix: str, key: str) -> None:
        """Add a key to each wanted id or name that it may belong to. A scan may return a key twice."""
        for owners, wanted in (
            (cache_keys.possible_ids(prefix, key), self.by_id),
            (cache_keys.possible_names(prefix, key), self.by_name),
        ):
            for owner in owners & wanted.keys():
                wanted[owner][key] = owners


@dataclass(frozen=True)
class KeysByOwner:
    """Keys by the instance id or the instance name in them."""

    by_id: dict[str, list[str]] = field(default_factory=dict)
    by_name: dict[str, list[str]] = field(default_factory=dict)

    def add(self, prefix: str, key: str) -> None:
        """Add a key; one with neither an id nor a name is left out."""
        if (owner := cache_keys.id_in(prefix, key)) is not None:
            self.by_id.setdefault(owner, []).append(key)
        elif (name := cache_keys.name_in(prefix, key)) is not None:
            self.by_name.setdefault(name, []).append(key)


class Cache:
    """The keys of one Evolution deployment, under its prefix."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.redis = redis
        self.prefix = prefix
        self._pass = redis.register_script(_SCRIPT)
        self._may_run_scripts = True  # until an ACL refuses it
        self._lost_messages = {f"{prefix}:{cache_keys.LOST_MESSAGES}"}  # and those that a scan has found

    def probe(self) -> None:
        """Raise Unreachable when Redis does not answer."""
        with translate_errors("the cache"):
            self.redis.ping()

    def is_large(self) -> bool:
        """Whether a scan takes so long that waiting for other deletions, which share it, is worth it."""
        with translate_errors("the cache"):
            return int(self.redis.dbsize()) > _LARGE

    def find_candidates(self, ids: Iterable[str], names: Iterable[str] = ()) -> Candidates:
        """Scan all keys once, for any number of instances. The time depends on the number of keys only."""
        candidates = Candidates(set(ids), set(names))
        cursor = 0
        while True:
            cursor, found = self.scan_page(cursor, candidates)
            for key in found:
                # A key that is not UTF-8 was not written by Evolution.
                text = key.decode(errors="surrogateescape")
                candidates.add(self.prefix, text)
                self._note_lost_messages(text)
            if cursor == 0:
                return candidates

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
        self, instance_id: str, had_by_others: HadByOthers, candidates: Candidates | None = None
    ) -> tuple[list[str], list[str]]:
        """Keys of the instance by its id, and keys that may belong to another existing instance as well."""
        found = (candidates or self.find_candidates([instance_id])).by_id[instance_id]
        own, shared = _split(found, instance_id, partial(had_by_others, "id"))
        session = f"{self.prefix}:instance:{instance_id}"
        # An id is never reused: this key is the instance's, even when another instance has this id as its name.
        return [*own, *self._existing([session])], shared

    def by_name(
        self, name: str, had_by_others: HadByOthers, candidates: Candidates | None = None
    ) -> tuple[list[str], list[str]]:
        """Keys of the instance by its name, and keys that may belong to another existing instance as well."""
        found = (candidates or self.find_candidates([], [name])).by_name[name]
        own, shared = _split(found, name, partial(had_by_others, "name"))
        legacy = self._existing([f"{self.prefix}:instance:{name}"])
        if legacy and had_by_others("id", {name}):  # it is the session of the instance with that id
            return own, [*shared, *legacy]
        return [*own, *legacy], shared

    def all_keys(self) -> KeysByOwner:
        """Scan all keys for those with an instance id or name in them, of all instances."""
        keys = KeysByOwner()
        for key in self._scan(f"{cache_keys.escape(self.prefix)}:*"):
            keys.add(self.prefix, key)
            self._note_lost_messages(key)
        return keys

    def lost_messages(self) -> Iterator[tuple[str, str, Usage]]:
        """Chatwoot's lost messages, as far as a scan has found them: hash, instance name, and usage of its field."""
        for lost in self._hashes():
            with translate_errors("the cache"):
                found = dict(self.redis.hscan_iter(lost, count=_PAGE))
            for name, value in found.items():
                if instance_ids.is_storable(text := name.decode(errors="surrogateescape")):
                    yield lost, text, Usage(1, len(value), _written_at(value))

    def measure(self, keys: list[str]) -> Usage:
        """Usage of these keys. newest: when one was last used, for Redis does not know when a key was written."""
        with translate_errors("the cache"), self.redis.pipeline(transaction=False) as pipeline:
            for key in (key.encode(errors="surrogateescape") for key in keys):
                pipeline.memory_usage(key)
                pipeline.object("IDLETIME", key)  # an error with an LFU maxmemory-policy
            answers = pipeline.execute(raise_on_error=False)
        sizes, idle = answers[::2], answers[1::2]
        newest = (
            datetime.now(UTC) - timedelta(seconds=min(idle))
            if idle and all(isinstance(each, int) for each in idle)
            else None
        )
        return Usage(len(keys), sum(each for each in sizes if isinstance(each, int)), newest)

    def count_lost_messages(self, name: str) -> int:
        """How many hashes of lost messages have the name, as far as a scan has found them."""
        with translate_errors("the cache"):
            return sum(int(self.redis.hexists(lost, name)) for lost in self._hashes())

    def remove_lost_messages(self, name: str, lost: str | None = None) -> int:
        """Remove the name from all hashes of lost messages, or from one. Returns how many had it."""
        with translate_errors("the cache"):
            return sum(int(self.redis.hdel(each, name)) for each in ([lost] if lost else self._hashes()))

    def unlink(self, keys: Iterable[str]) -> Iterator[int]:
        """Unlink keys, many in one command; yields how many each command removed."""
        waiting = iter(keys)
        while some := list(islice(waiting, _AT_ONCE)):
            with translate_errors("the cache"):
                removed = self._unlink([key.encode(errors="surrogateescape") for key in some])
            yield removed

    def _unlink(self, keys: list[bytes]) -> int:
        try:
            return int(self.redis.unlink(*keys))
        except ClusterCrossSlotError:  # a cluster of one node, which takes keys of one hash slot only in a command
            return sum(int(self.redis.unlink(key)) for key in keys)

    def _note_lost_messages(self, key: str) -> None:
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


def _split(
    candidates: dict[str, set[str]], owner: str, had_by_others: Callable[[set[str]], set[str]]
) -> tuple[list[str], list[str]]:
    """Keys of the owner alone, and keys that may belong to another existing instance as well."""
    others = had_by_others({each for owners in candidates.values() for each in owners} - {owner})
    shared = {key for key, owners in candidates.items() if owners & others}
    return [key for key in candidates if key not in shared], sorted(shared)


def _written_at(value: bytes) -> datetime | None:
    """When a field of lost messages was written, from its value; None if it is no cuid."""
    cuid = _CUID.fullmatch(value)
    return datetime.fromtimestamp(int(cuid[1], 36) / 1000, UTC) if cuid else None
