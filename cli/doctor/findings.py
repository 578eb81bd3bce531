"""The result of a check: the state of one part, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from shared import certificates
from shared.errors import LetheError
from shared.faults import postgresql, rabbitmq, redis, sentences
from shared.services import Services
from shared.settings import PREFIX

TRUST = f"let {PREFIX}CA_FILE name a PEM file with the authority of its certificate"


class Verdict(StrEnum):
    """The state of a part."""

    OK = "ok"
    WARNING = "warning"  # deletions work, but not as well as they could
    BROKEN = "broken"  # deletions wait or are refused
    UNUSED = "unused"  # not set, so not checked


@dataclass(frozen=True)
class Finding:
    """The state of one part, and what to do."""

    part: str
    verdict: Verdict
    says: str
    advice: str = ""


def primary_of(connection: Connection) -> str:
    """The end of a sentence: which host of a URL with several the connection leads to; empty for one host."""
    driver = connection.connection.driver_connection
    if "host" not in connection.engine.url.query or not isinstance(driver, psycopg.Connection):
        return ""
    return f"; of its hosts, {driver.info.host}:{driver.info.port} is the primary"


Check = Callable[[Services], Iterator[Finding]]


def broken(part: str, error: Exception, advice: str) -> Finding:
    """A part that raised an error: what the server said, and what the table of errors advises, else this advice."""
    says = explain(part, error)
    if certificates.are_refused(error):
        return Finding(part, Verdict.BROKEN, says, TRUST)
    known = sentences.advice_for(says)
    return Finding(part, Verdict.BROKEN, says, f"{known.hint} ({known.page})" if known else advice)


def _explain_broker(error: BrokerError | AMQPError) -> str:
    """kombu wraps what the client of the broker raised, but for what RabbitMQ refuses."""
    if isinstance(error.__cause__, RedisError):
        return redis.explain("the broker", error.__cause__).title
    return rabbitmq.explain("the broker", error).title


def explain(part: str, error: Exception) -> str:
    """What the server said, in the same sentence as everywhere."""
    if isinstance(error, DBAPIError):  # those of Evolution's database are explained where they are raised
        return postgresql.explain("the own database", error).title
    if isinstance(error, RedisError):
        return redis.explain("Lethe's Redis" if part == "redis" else f"the {part}", error).title
    if isinstance(error, (BrokerError, AMQPError)):
        return _explain_broker(error)
    return error.title if isinstance(error, LetheError) else f"{type(error).__name__}: {sentences.cut(str(error))}"
