"""Takes keys of Evolution's cache apart: whose is it? A pattern only proposes, this decides."""

import re

from shared.evolution import instance_ids

# What follows the name in a by-name key (the Chatwoot cache); <module> is a class name that minifying changes.
_EXACT_SUFFIXES = ("getProvider", "getInbox")
_OTHER_MODULES = ("instance", "baileys", "groups")  # their keys have another form, however they end
LOST_MESSAGES = "chatwoot:syncLostMessages"  # a hash with a field for each name; a module may be before it
_OPEN_SUFFIXES = ("createConversation-", "lock:createConversation-")
# Beside the messages of instances, by a jid or by the word: nobody could tell those of an instance with such an id.
_EVERYBODYS = re.compile(r"protocol_|[^_]*@[^_]*_|\d+_\d+(:\d+)?@[^_]*_")
_GLOB = re.compile(r"([*?\[\]\\^-])")


def escape(literal: str) -> str:
    """A Redis pattern that matches exactly this text."""
    return _GLOB.sub(r"\\\1", literal)


def names_explaining(prefix: str, key: str) -> set[str]:
    """Every name whose by-name key this could be: module without a colon, whole name, known suffix."""
    head = f"{prefix}:"
    if not key.startswith(head):
        return set()
    module, colon, rest = key[len(head) :].partition(":")
    if not colon or not module or module in _OTHER_MODULES:
        return set()
    names = set()
    for at in (place.start() for place in re.finditer(":", rest)):
        suffix = rest[at + 1 :]
        if suffix in _EXACT_SUFFIXES or suffix.startswith(_OPEN_SUFFIXES):
            names.add(rest[:at])
    return {name for name in names if instance_ids.is_storable(name)}


def is_lost_messages(prefix: str, key: str) -> bool:
    """Whether it is the hash of lost messages, under a module of any name or under none."""
    rest = key.removeprefix(f"{prefix}:")
    module, _, kept = rest.partition(":")
    is_in_module = kept == LOST_MESSAGES and bool(module) and module not in _OTHER_MODULES
    return rest != key and instance_ids.is_storable(key) and (rest == LOST_MESSAGES or is_in_module)


def ids_explaining(prefix: str, key: str) -> set[str]:
    """Every instance id whose message this could be, <id>_<message> or <id>_<message>_<status>."""
    head = f"{prefix}:baileys:"
    if not key.startswith(head) or _EVERYBODYS.match(key, len(head)):
        return set()
    parts = key[len(head) :].split("_")
    ids = ("_".join(parts[:at]) for at in range(1, len(parts)))
    return {each for each in ids if instance_ids.is_storable(each)}


def session_in(prefix: str, key: str) -> str | None:
    """The id by which this session is kept, or the name: so did older versions."""
    head = f"{prefix}:instance:"
    owner = key.removeprefix(head)
    return owner if key.startswith(head) and instance_ids.is_storable(owner) else None


def id_in(prefix: str, key: str) -> str | None:
    """The id, of an instance's form, by which this key is kept; None when it is kept by something else."""
    session = session_in(prefix, key)
    ids = ids_explaining(prefix, key) if session is None else {session}
    return next(filter(instance_ids.is_uuid, ids), None)


def name_in(prefix: str, key: str) -> str | None:
    """The name by which this key is kept, of several that it could be the shortest; None when it is kept by no name."""
    session = session_in(prefix, key)
    if session is None:
        return min(names_explaining(prefix, key), key=len, default=None)
    # What begins like an id is no name for sure: something may follow it one day.
    return None if instance_ids.UUID_FORM.match(session) else session
