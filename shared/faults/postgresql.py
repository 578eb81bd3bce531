"""PostgreSQL's errors: its primary message, the names it gives and its SQLSTATE; never a detail, which shows values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import LetheError, RefusedByServer, Unreachable
from shared.faults.kinds import Kind, Server
from shared.faults.sentences import cut, translated
from shared.faults.table import rule_of

_FUNCTION = re.compile(r"^PL/\w+ function (\S+?)\(", re.MULTILINE)  # in the context that the server gives
_SAID_BY_A_FUNCTION = re.compile(r"pl_exec|plpy|plperl|pltcl|plv8")  # RAISE and the like: anything may be in its words
_QUOTED, _BYTES = re.compile(r'"[^"]*"'), re.compile(r"0x[0-9a-f]{2}(?:[ ,]*0x[0-9a-f]{2})*")
_SHOWS_VALUES = ("22", "42601")  # their messages quote what does not fit
_SHOWS_BYTES = ("22021", "22P05")  # and these name encodings in quotes


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Translate the driver's errors, as the table of shared.faults has it."""
    try:
        yield
    except PoolTimeout as error:
        raise Unreachable(what, "no free connection") from error
    except (DBAPIError, psycopg.Error) as error:
        raise explain(what, error) from error


def explain(what: str, error: DBAPIError | psycopg.Error) -> LetheError:
    """The error of Lethe's that the driver's one is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if state is None and (lost or isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)):
        return Unreachable(what, _words_of_driver(cause))
    if state is None:  # the driver's own: what it was given can never be sent
        return RefusedByServer(f"{what} was not asked: the driver raised {type(cause).__name__}")
    if lost and rule_of(Server.POSTGRESQL, state).kind is Kind.FAILS:
        return Unreachable(what, f"{_words(cause, state)} ({Server.POSTGRESQL} {state})")
    words = _words(cause, state)
    return translated(what, Server.POSTGRESQL, state, words, does=f"a statement{_where(cause, words)}")


def _words_of_driver(cause: BaseException | None) -> str:
    """Why there is no connection: what comes after the address; of several hosts each reason once."""
    lines = str(cause).strip().splitlines()
    tried = [line for line in lines if line.startswith("- host: ")] or lines[:1]
    words = dict.fromkeys(line.rpartition(" failed: ")[2].removeprefix("FATAL:").strip() for line in tried)
    if len(tried) > 1 and [*words] == ["session is read-only"]:
        return "all hosts are read-only: none of them is the primary"
    return cut("; ".join(words)) or type(cause).__name__


def _words(cause: BaseException | None, state: str) -> str:
    """The primary message, without values; the error's name where a function of the operator's made the message."""
    diagnosis = getattr(cause, "diag", None)
    message = getattr(diagnosis, "message_primary", None)
    if not message or _SAID_BY_A_FUNCTION.match(getattr(diagnosis, "source_file", None) or ""):
        return type(cause).__name__
    if state in _SHOWS_BYTES:
        return _BYTES.sub("…", message)
    return _QUOTED.sub("…", message) if state.startswith(_SHOWS_VALUES) else str(message)


def _where(cause: BaseException | None, words: str) -> str:
    """The table, the constraint or column, and the function that a trigger ran, as far as the words do not say it."""
    diagnosis = getattr(cause, "diag", None)
    names = {
        " on": getattr(diagnosis, "table_name", None),
        ", constraint": getattr(diagnosis, "constraint_name", None),
        ", column": getattr(diagnosis, "column_name", None),
    }
    said = "".join(f'{what} "{name}"' for what, name in names.items() if name and name not in words)
    function = _FUNCTION.search(getattr(diagnosis, "context", None) or "")
    return f"{said} in the function {function[1]}" if function else said
