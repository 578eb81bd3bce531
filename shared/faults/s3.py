"""Errors of S3 and SQS servers: their code and message; never an object's key."""

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name for it
    HTTPClientError,
    IncompleteReadError,
)
from botocore.parsers import ResponseParserError

from shared.errors import LetheError, RefusedByServer, TransientError, Unreachable
from shared.faults.kinds import Server
from shared.faults.sentences import cut, translated

_OF_HEAD = {"404": "it does not exist", "403": "it does not accept the key"}  # an answer to HEAD has no message
_NAMES_KEYS = re.compile(r"\s*:? on resource.*|\s*https?://\S+|\S*evolution-api/\S+")


def explain(what: str, error: ClientError | BotoCoreError, server: Server = Server.S3) -> LetheError:
    """The error of Lethe's that botocore's one is."""
    if isinstance(error, ClientError):
        return explain_code(what, error.response.get("Error", {}), server=server)
    if isinstance(error, ConnectionError | HTTPClientError):
        return Unreachable(what, type(error).__name__)
    if isinstance(error, IncompleteReadError | ResponseParserError):
        return TransientError(f"{what} gave half an answer: {type(error).__name__}")
    # The client's own: a region, key or name that no request can be made of.
    return RefusedByServer(f"{what} was not asked: {type(error).__name__}")


def explain_code(what: str, said: object, *, does: str = "", server: Server = Server.S3) -> LetheError:
    """The error for what an answer says: a mapping with Code and Message."""
    told = said if isinstance(said, dict) else {}
    code = str(told.get("Code") or "unknown")
    message = _OF_HEAD.get(code) or _NAMES_KEYS.sub("", str(told.get("Message") or ""))
    return translated(what, server, code, cut(message) or code, does=does)
