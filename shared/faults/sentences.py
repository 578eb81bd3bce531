"""One sentence for a server's error, the same wherever it is shown, and what helps against it."""

import re
from dataclasses import dataclass

from shared.errors import LetheError, NotThere, RefusedByServer, RefusesForNow, TookTooLong, TransientError, Unreachable
from shared.faults import table
from shared.faults.kinds import PAGE, Kind, Server
from shared.translations.marks import N_

_LONGEST_WORDS = 200
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CODE = re.compile(rf"\(({'|'.join(Server)}) ([\w.]+)\)")
_OF_LETHE = ("the own database ", "Lethe's Redis ", "the broker ")  # how a sentence on Lethe's own servers begins
_LONG_NUMBER = re.compile(r"\d{7,}")  # a phone number, in the name of a session's file


@dataclass(frozen=True)
class Advice:
    """What helps against a known error, and where the documents say more."""

    hint: str
    page: str


def translated(what: str, server: Server, code: str, words: str, *, does: str = "") -> LetheError:
    """The error that says what happened to `what`; `does` is what it refused, such as a statement on a table."""
    kind, said = table.rule_of(server, code).kind, f"{cut(words)} ({server} {code})"
    if kind is Kind.AWAY:
        return Unreachable(what, said)
    if kind is Kind.BUSY:
        return RefusesForNow(f"{what} refuses for now: {said}")
    types: dict[Kind, type[LetheError]] = {
        Kind.TRIED_AGAIN: TransientError,
        Kind.SLOW: TookTooLong,
        Kind.READ_ANEW: NotThere,
    }
    return types.get(kind, RefusedByServer)(N_(f"{what} refused {does}: {said}" if does else f"{what} refused: {said}"))


def advice_for(sentence: str | None) -> Advice | None:
    """What helps, by the code in a sentence; None where nothing is known."""
    found = _CODE.search(sentence or "")
    if found is None:
        return None
    rule = table.rule_of(Server(found[1]), found[2])
    hint = (rule.own if found.string.startswith(_OF_LETHE) else "") or rule.hint
    return Advice(hint, f"{PAGE}#{rule.anchor}") if hint else None


def cut(words: str) -> str:
    """A server's words on one line of a bounded length, without what could be a phone number."""
    line = _LONG_NUMBER.sub("…", _CONTROLS.sub(" ", words).strip())
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 1]}…"
