"""What `lethe doctor` says of a check that ended with an error."""

import psycopg
from amqp.exceptions import AccessRefused
from sqlalchemy.exc import OperationalError

from cli.doctor.findings import broken


def test_a_broker_that_refuses_the_user_is_named_with_its_setting() -> None:
    """kombu does not wrap RabbitMQ's refusals."""
    found = broken("broker", AccessRefused("ACCESS_REFUSED - Login was refused"), "start it")

    assert found.says == "the broker refused: Login was refused (AMQP ACCESS_REFUSED)"
    assert "LETHE_BROKER_URL" in found.advice


def test_a_part_that_asks_a_dead_database_names_the_database() -> None:
    """Not itself: a confirmation is nothing that can be reached."""
    dead = OperationalError("SELECT 1", {}, psycopg.OperationalError("connection refused"))

    assert broken("confirmation", dead, "fix the own database first").says.startswith("the own database cannot be ")
