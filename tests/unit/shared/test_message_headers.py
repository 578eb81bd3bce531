"""The headers of a message, from every process that publishes one."""

from uuid import UUID

import pytest
import structlog
from redis.exceptions import ConnectionError as RedisAway

from shared import message_headers, tracing

DELETION = UUID(int=7)


class FakeRedis:
    """Keeps what it is given; away, it raises."""

    def __init__(self, *, away: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self.seconds: set[int] = set()
        self.away = away

    def set(self, key: str, value: str, *, ex: int) -> None:
        """Keep it for a while."""
        if self.away:
            raise RedisAway
        self.kept[key] = value.encode()
        self.seconds.add(ex)

    def get(self, key: str) -> bytes | None:
        """What was kept."""
        if self.away:
            raise RedisAway
        return self.kept.get(key)


@pytest.mark.parametrize("away", [False, True])
def test_a_message_names_the_request_that_published_it(away: bool) -> None:
    """Also when Redis cannot keep it for later."""
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        assert message_headers.for_deletion(FakeRedis(away=away), DELETION) == {"request_id": "r1"}  # type: ignore[arg-type]


def test_what_is_published_later_names_the_last_request() -> None:
    """The reconciler has no request of its own; what is kept does not stay for ever."""
    redis = FakeRedis()
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        message_headers.for_deletion(redis, DELETION)  # type: ignore[arg-type]

    assert message_headers.for_deletion(redis, DELETION) == {"request_id": "r1"}  # type: ignore[arg-type]
    assert message_headers.for_deletion(redis, UUID(int=8)) == {}  # type: ignore[arg-type]
    assert redis.seconds == {86_400}


def test_only_what_is_ours_is_taken_from_a_message() -> None:
    """A message has many headers, or none."""
    headers = {"request_id": "r1", "traceparent": "t", "lang": "py", "argsrepr": "secret"}

    assert message_headers.received(headers) == {"request_id": "r1", "traceparent": "t"}
    assert message_headers.received(None) == {}


def test_without_traces_a_span_costs_and_carries_nothing() -> None:
    """And nothing of OpenTelemetry is imported for it."""
    with tracing.span("a step", {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}):
        assert tracing.headers() == {}
