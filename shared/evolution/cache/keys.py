"""Parses keys of Evolution's cache, to tell which instance each key belongs to."""

import re

from shared.evolution import instance_ids

# Suffixes of keys <prefix>:<module>:<name>:<suffix> (Chatwoot's cache). A minifier changes the name of the module.
_EXACT_SUFFIXES = ("getProvider", "getInbox")
_OTHER_MODULES = ("instance", "baileys", "groups")  # their keys have another form
LOST_MESSAGES = "chatwoot:syncLostMessages"  # a hash with a field for each name; its key may begin with a module
_OPEN_SUFFIXES = ("createConversation-", "lock:createConversation-")
# Keys of baileys by a WhatsApp id or by the word protocol. They belong to no single instance.
_NOT_BY_INSTANCE = re.compile(r"protocol_|[^_]*@[^_]*_|\d+_\d+(:\d+)?@[^_]*_")
_GLOB = re.compile(r"([*?\[\]\\^-])")


def escape(literal: str) -> str:
    """A Redis pattern that matches exactly this text."""
    return _GLOB.sub(r"\\\1", literal)


def possible_names(prefix: str, key: str) -> set[str]:
    """Every instance name that the key may belong to: <module without a colon>:<name>:<known suffix>."""
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
    """Whether the key is a hash of Chatwoot's lost messages, with or without a module."""
    rest = key.removeprefix(f"{prefix}:")
    module, _, tail = rest.partition(":")
    is_in_module = tail == LOST_MESSAGES and bool(module) and module not in _OTHER_MODULES
    return rest != key and instance_ids.is_storable(key) and (rest == LOST_MESSAGES or is_in_module)


def possible_ids(prefix: str, key: str) -> set[str]:
    """Every instance id that the key may belong to: <id>_<message> or <id>_<message>_<status>."""
    head = f"{prefix}:baileys:"
    if not key.startswith(head) or _NOT_BY_INSTANCE.match(key, len(head)):
        return set()
    parts = key[len(head) :].split("_")
    ids = ("_".join(parts[:at]) for at in range(1, len(parts)))
    return {each for each in ids if instance_ids.is_storable(each)}


def session_in(prefix: str, key: str) -> str | None:
    """The id in the key of a session (older versions: the name); None for other keys."""
    head = f"{prefix}:instance:"
    owner = key.removeprefix(head)
    return owner if key.startswith(head) and instance_ids.is_storable(owner) else None


def id_in(prefix: str, key: str) -> str | None:
    """The instance id in the key; None when it has none."""
    session = session_in(prefix, key)
    ids = possible_ids(prefix, key) if session is None else {session}
    return next(filter(instance_ids.is_uuid, ids), None)


def name_in(prefix: str, key: str) -> str | None:
    """The instance name in the key, the shortest of several possible ones; None when it has none."""
    session = session_in(prefix, key)
    if session is None:
        return min(possible_names(prefix, key), key=len, default=None)
    # A key that begins with an id may be of a kind that Lethe does not know.
    return None if instance_ids.UUID_FORM.match(session) else session
