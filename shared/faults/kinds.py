"""The words of the table of servers' errors: who said it, and what a deletion does then."""

from dataclasses import dataclass
from enum import StrEnum

from shared.translations.marks import N_

PAGE = "docs/operations/errors.md"


class Server(StrEnum):
    """Who said it; the value is how its codes are marked in a sentence: (SQLSTATE 42501)."""

    POSTGRESQL = "SQLSTATE"
    REDIS = "Redis"
    S3 = "S3"
    FILES = "errno"
    RABBITMQ = "AMQP"
    SQS = "SQS"
    KAFKA = "Kafka"


class Kind(StrEnum):
    """What a deletion does; the value is what the documents call it."""

    AWAY = N_("waits (away)")  # the server does not answer
    BUSY = N_("waits")  # it answers, and refuses for now
    TRIED_AGAIN = N_("tried again")
    SLOW = N_("tried again (smaller)")  # the statement took too long: a batch of rows is tried again with fewer
    READ_ANEW = N_("reads the tables anew")  # and fails if they have not changed
    FAILS = N_("fails at once")


@dataclass(frozen=True)
class Rule:
    """Codes that mean the same; a code of PostgreSQL with fewer than five characters stands for all that begin so."""

    server: Server
    codes: tuple[str, ...]
    kind: Kind
    means: str
    hint: str = ""
    own: str = ""  # the hint where it is Lethe's own server, if that is another one

    @property
    def anchor(self) -> str:
        """Where its line stands on the page."""
        return f"{self.server}-{self.codes[0]}".lower()
