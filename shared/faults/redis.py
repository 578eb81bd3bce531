"""Redis' errors: its error line and the code word at its beginning; never a key."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError

from shared.errors import LetheError, Unreachable
from shared.faults.kinds import Server
from shared.faults.sentences import cut, translated

_CODE = re.compile(r"([A-Z]{3,}) ")
_REFUSED_CONNECTION = re.compile(r"Error -?\d+ connecting to .*?\. (.+)")
_NAMES_KEYS = re.compile(r"[,.]? with args beginning with.*| script: .*|(?<=MOVED|..ASK) .*")
# What redis-py knows by a class alone, when it was raised without the line's code word.
_CODES = {
    exceptions.AuthenticationError: "WRONGPASS",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.MovedError: "MOVED",
    exceptions.DataError: "ERR",
}


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Translate redis-py's errors, as the table of shared.faults has it."""
    try:
        yield
    except RedisError as error:
        raise explain(what, error) from error


def explain(what: str, error: RedisError) -> LetheError:
    """The error of Lethe's that redis-py's one is."""
    code, words = _code(error), _NAMES_KEYS.sub("", str(error))
    if isinstance(error, MasterNotFoundError):
        return Unreachable(what, "no Sentinel names a primary of its service")
    if code is None and isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        refused = _REFUSED_CONNECTION.match(words)
        return Unreachable(what, cut(refused[1]) if refused else type(error).__name__)
    code = code or type(error).__name__
    return translated(what, Server.REDIS, code, words.removeprefix(f"{code} ") or type(error).__name__)


def _code(error: RedisError) -> str | None:
    told = getattr(error, "status_code", None)
    if isinstance(told, str) and told != "ERR":
        return told
    known = next((code for kind, code in _CODES.items() if isinstance(error, kind)), None)
    begins = _CODE.match(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return known or (begins[1] if begins else told)
