"""RabbitMQ's errors: its reply text, and the word at the text's beginning; never the name of a queue or exchange."""

import re

from amqp.exceptions import AMQPError, NotFound

from shared.errors import LetheError, Unreachable
from shared.faults.kinds import Server
from shared.faults.sentences import translated

_REPLY = re.compile(r"(?P<code>[A-Z_]+) - (?P<words>.*)", re.DOTALL)
_NAMES = re.compile(r"(queue|exchange) '.*?'(?= in vhost | refused | is |$)", re.DOTALL)
_IS_MISSING = "no "  # no queue '...', no exchange '...'; of one that cannot be reached, RabbitMQ says NOT_FOUND as well
_OVER_A_LIMIT = re.compile(r"limit \(\d+\) is reached")


def explain(what: str, error: Exception) -> LetheError:
    """The error of Lethe's that one of amqp's or kombu's is: kombu wraps amqp's."""
    cause = error if isinstance(error, AMQPError) else error.__cause__
    found = _REPLY.fullmatch(getattr(cause, "reply_text", None) or "")
    if not isinstance(cause, AMQPError) or (found is None and not cause.reply_code):
        return Unreachable(what, type(cause or error).__name__)
    code, words = (found["code"], found["words"]) if found else (str(cause.reply_code), type(cause).__name__)
    return translated(what, Server.RABBITMQ, _refined(code, words), _NAMES.sub(r"\1", words))


def is_missing(error: NotFound) -> bool:
    """Whether RabbitMQ says that there is none; False when it could not look, because a node is down for example."""
    found = _REPLY.fullmatch(error.reply_text or "")
    return found is None or found["words"].startswith(_IS_MISSING)


def _refined(code: str, words: str) -> str:
    if code == "NOT_ALLOWED" and _OVER_A_LIMIT.search(words):
        return "CONNECTION_LIMIT"
    return "UNAVAILABLE" if code == "NOT_FOUND" and not words.startswith(_IS_MISSING) else code
