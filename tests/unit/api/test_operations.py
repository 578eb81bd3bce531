"""What `/health/ready` says of a dependency."""

import pytest
from amqp.exceptions import AccessRefused, AMQPError, NotAllowed

from api import operations


@pytest.mark.parametrize("refusal", [AccessRefused("another password"), NotAllowed("no such virtual host")])
def test_a_broker_that_refuses_is_not_ready(refusal: AMQPError) -> None:
    """kombu does not wrap RabbitMQ's refusals."""

    def check() -> str:
        raise refusal

    assert operations._state(check) == f"cannot be reached: {type(refusal).__name__}"
