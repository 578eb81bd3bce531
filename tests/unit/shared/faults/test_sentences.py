"""A sentence about a server's error, and what helps."""

import pytest

from shared.faults.kinds import Server
from shared.faults.sentences import advice_for, translated


@pytest.mark.parametrize(
    ("server", "code", "evolutions", "own", "helps", "helps_own"),
    [
        (Server.POSTGRESQL, "42P01", "the tenant database", "the own database", "TENANT_SCHEMA", "lethe db upgrade"),
        (Server.REDIS, "WRONGPASS", "the cache", "Lethe's Redis", "LETHE_CACHE_URL", "LETHE_REDIS_URL"),
        (Server.RABBITMQ, "ACCESS_REFUSED", "RabbitMQ", "the broker", "LETHE_RABBITMQ_URL", "LETHE_BROKER_URL"),
    ],
)
def test_what_helps_is_for_the_server_that_said_it(
    server: Server, code: str, evolutions: str, own: str, helps: str, helps_own: str
) -> None:
    """Evolution's and Lethe's own have other settings; neither remedy names both."""
    advices = [advice_for(translated(what, server, code, "no").title) for what in (evolutions, own)]
    hints = [advice.hint for advice in advices if advice]

    assert [(helps in hint, helps_own in hint) for hint in hints] == [(True, False), (False, True)]


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.UnsupportedOperation", "AccessDenied"])
def test_a_code_with_dots_has_its_advice(code: str) -> None:
    """As SQS has them."""
    advice = advice_for(translated("SQS", Server.SQS, code, "no").title)

    assert advice is not None
    assert "LETHE_SQS_" in advice.hint
