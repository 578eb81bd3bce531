"""Health, metrics and the public keys of receipts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from amqp.exceptions import AMQPError
from flask import Response
from kombu.exceptions import OperationalError as BrokerError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api import metrics
from api.openapi import examples, responses
from api.openapi.blueprints import open_blueprint
from api.openapi.schemas import Health
from api.request import resources
from api.request.errors import json_response
from shared.database import connections
from shared.errors import RefusesForNow
from shared.faults import redis as faults
from shared.receipts import keys as receipt_keys
from shared.services import Services


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


blueprint = open_blueprint("operations", __name__, "Health, metrics and public keys; no API key is needed")


@blueprint.get(
    "/health/live",
    summary="The process answers",
    responses={200: responses.response(Health, "The process answers", live=examples.LIVE)},
)
def live() -> Response:
    """Always ok while the process can answer."""
    return json_response({"status": "ok", "checks": {"process": "ok"}})


@blueprint.get(
    "/health/ready",
    summary="The dependencies answer",
    responses={
        200: responses.response(Health, "All dependencies answer", ready=examples.READY),
        503: responses.response(Health, "Some dependencies do not answer", notReady=examples.NOT_READY),
    },
)
def ready() -> Response:
    """Lethe's own database, the tenant database, Redis and the broker, each with its state."""
    services = resources.services()
    checks: dict[str, Callable[[], str]] = {
        "own_database": lambda: _own_state(services),
        "tenant_database": lambda: _database_state(services.tenant.engine),
        "redis": lambda: _redis_state(services.redis),
        "broker": lambda: _broker_state(services),
    }
    with ThreadPoolExecutor(len(checks)) as pool:  # all at once: each one can take until its timeout
        states = dict(zip(checks, pool.map(_state, checks.values()), strict=True))
    healthy = all(state == "ok" for state in states.values())
    return json_response({"status": "ok" if healthy else "unavailable", "checks": states}, 200 if healthy else 503)


@blueprint.get(
    "/.well-known/lethe-keys.json",
    summary="Public keys of receipts",
    responses={200: responses.response(KeySet, "The current key and all earlier ones", keys=examples.KEYS)},
)
def show_keys() -> Response:
    """A JSON Web Key Set: the key that signs receipts now, and all earlier ones."""
    services = resources.services()
    with connections.own_transaction(services.own) as connection:
        return json_response({"keys": receipt_keys.published(connection, services.settings)})


@blueprint.get(
    "/metrics",
    summary="For Prometheus",
    responses={
        200: responses.text_response("text/plain", "Prometheus's text format", "lethe_oldest_deletion_seconds 0.0")
    },
)
def show_metrics() -> Response:
    """Unfinished deletions, the age of the oldest, attempts, failures, webhooks, the reconciler's last run."""
    return Response(generate_latest(metrics.registry(resources.services().own)), content_type=CONTENT_TYPE_LATEST)


def _own_state(services: Services) -> str:
    from shared.database import migrate  # with alembic, which gunicorn's configuration loads before the fork

    return _database_state(services.own) if migrate.is_current(services.own) else "migrations are missing"


def _database_state(engine: Engine) -> str:
    return "ok" if connections.accepts_writes(engine) else "read-only"


def _redis_state(redis: Redis) -> str:
    """By a write: a Redis that is full, a replica, or cannot save answers a PING all the same."""
    redis.set("lethe:ready", b"", px=1_000)
    return "ok"


def _broker_state(services: Services) -> str:
    with services.celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
        return _redis_state(connection.default_channel.client) if connection.transport.driver_type == "redis" else "ok"


def _state(check: Callable[[], str]) -> str:
    try:
        return check()
    except (SQLAlchemyError, RedisError, BrokerError, AMQPError, OSError) as error:
        cause = error.__cause__ if isinstance(error, BrokerError) else error  # kombu wraps what Redis said
        fault = faults.explain("it", cause) if isinstance(cause, RedisError) else None
        if isinstance(fault, RefusesForNow):
            return fault.title.removeprefix("it ")
        return f"cannot be reached: {type(error).__name__}"
