"""Whether this process lives, and whether what it needs answers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from kombu.exceptions import OperationalError as BrokerError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api import metrics
from api.openapi import examples, responses
from api.openapi.schemas import Health, KeySet
from api.request import current
from api.request.errors import answer
from shared.database import connections
from shared.receipts import keys as receipt_keys
from shared.services import Services

blueprint = APIBlueprint(
    "operations",
    __name__,
    abp_tags=[Tag(name="operations", description="For whoever runs Lethe; open to everybody who can reach it")],
    abp_responses=responses.errors(),
    operation_id_callback=responses.operation_id,
)


@blueprint.get(
    "/health/live",
    summary="The process answers",
    responses={200: responses.told(Health, "The process answers", live=examples.LIVE)},
)
def live() -> Response:
    """Always ok while the process can answer at all."""
    return answer({"status": "ok", "checks": {"process": "ok"}})


@blueprint.get(
    "/health/ready",
    summary="Its dependencies answer",
    responses={
        200: responses.told(Health, "All of them answer", ready=examples.READY),
        503: responses.told(Health, "Not all of them do", notReady=examples.NOT_READY),
    },
)
def ready() -> Response:
    """Own database, tenant database, Redis and broker, each with its state."""
    services = current.services()
    looks: dict[str, Callable[[], str]] = {
        "own_database": lambda: _own_state(services),
        "tenant_database": lambda: "ok" if connections.answers(services.tenant.engine) else "no answer",
        "redis": lambda: "ok" if services.redis.ping() else "no answer",
        "broker": lambda: _broker_state(services),
    }
    with ThreadPoolExecutor(len(looks)) as pool:  # several dead ones take no longer than one
        checks = dict(zip(looks, pool.map(_state, looks.values()), strict=True))
    healthy = all(state == "ok" for state in checks.values())
    return answer({"status": "ok" if healthy else "unavailable", "checks": checks}, 200 if healthy else 503)


@blueprint.get(
    "/.well-known/lethe-keys.json",
    summary="Public keys of receipts",
    responses={200: responses.told(KeySet, "The key of now, and all earlier ones", keys=examples.KEYS)},
)
def show_keys() -> Response:
    """A JSON Web Key Set: the key that receipts are signed with now, and all earlier ones."""
    services = current.services()
    with connections.own_transaction(services.own) as connection:
        return answer({"keys": receipt_keys.published(connection, services.settings)})


@blueprint.get(
    "/metrics",
    summary="For Prometheus",
    responses={200: responses.written("text/plain", "Prometheus's text format", "lethe_oldest_deletion_seconds 0.0")},
)
def show_metrics() -> Response:
    """Unfinished deletions, the age of the oldest, attempts, failures, webhooks, the reconciler's last run."""
    return Response(generate_latest(metrics.registry(current.services().own)), content_type=CONTENT_TYPE_LATEST)


def _own_state(services: Services) -> str:
    from shared.database import migrate  # with alembic, which gunicorn's configuration loads before the fork

    return "ok" if migrate.is_current(services.own) else "migrations are missing"


def _broker_state(services: Services) -> str:
    with services.celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
    return "ok"


def _state(look: Callable[[], str]) -> str:
    try:
        return look()
    except (SQLAlchemyError, RedisError, BrokerError, OSError) as error:
        return f"cannot be reached: {type(error).__name__}"
