"""Looks at everything that a deletion needs, and says of each part how it is and what to do."""

from collections.abc import Iterator

from kombu.exceptions import OperationalError as BrokerError
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.doctor import evolution, rehearsal
from cli.doctor.findings import Finding, Look, Verdict, explain
from shared.access import one_time_codes
from shared.access.permissions import Permission
from shared.database import migrate
from shared.database.models import Clock
from shared.errors import LetheError
from shared.services import Services
from shared.settings import PREFIX, ConfirmationMode

_PING_SECONDS = 1.5
_MISSED_ROUNDS = 4  # of the reconciler, after which it counts as dead
_WHO_AND_WHERE = text("SELECT quote_ident(current_user), quote_ident(current_database())")


def examine(services: Services) -> Iterator[Finding]:
    """Look at one part after the other; nothing is changed, and one that is broken hides no other."""
    said: set[str] = set()  # by a part that knows what to do about it
    for part, look in _PARTS.items():
        try:
            for finding in look(services):
                if finding.verdict is not Verdict.BROKEN or finding.says not in said:
                    yield finding
                said.add(finding.says)
        except (LetheError, SQLAlchemyError, RedisError, BrokerError, OSError) as error:
            yield Finding(part, Verdict.BROKEN, explain(error), _ADVICE[part])


def _own_database(services: Services) -> Iterator[Finding]:
    part = "own database"
    if migrate.is_current(services.own):
        yield Finding(part, Verdict.OK, "answers, with the newest schema")
    else:
        yield Finding(part, Verdict.BROKEN, "migrations are missing", "run `lethe db upgrade`")
    with services.own.connect() as connection:
        role, database = connection.execute(_WHO_AND_WHERE).one()
        bounded = connection.execute(text("SELECT current_setting('statement_timeout') <> '0'")).scalar_one()
    if not bounded:
        says = "statements have no time limit: a pooler dropped the one that Lethe asks for"
        limits = f"ALTER ROLE {role} IN DATABASE {database} SET statement_timeout = '10s';"
        yield Finding(
            part, Verdict.WARNING, says, f"set it, and what else docs/operations/pgbouncer.md names: {limits}"
        )


def _confirmation(services: Services) -> Iterator[Finding]:
    part, demand = "confirmation", services.settings.confirmation
    if demand is not ConfirmationMode.TOTP:
        yield Finding(
            part, Verdict.UNUSED if demand is ConfirmationMode.OFF else Verdict.OK, f"{PREFIX}CONFIRMATION is {demand}"
        )
        return
    with services.own.connect() as connection:
        enrolled = one_time_codes.count_enrolled(connection, Permission.DELETE)
    if enrolled:
        yield Finding(part, Verdict.OK, f"{PREFIX}CONFIRMATION is totp, enrolled keys that may delete: {enrolled}")
    else:
        says = f"{PREFIX}CONFIRMATION is totp, and no key that may delete is enrolled: nobody can delete over HTTP"
        yield Finding(part, Verdict.WARNING, says, "give one codes: `lethe keys enroll-totp ID`")


def _redis(services: Services) -> Iterator[Finding]:
    yield from _look_at_redis("redis", services.redis)


def _look_at_redis(part: str, redis: Redis) -> Iterator[Finding]:
    # INFO, for a managed Redis forbids CONFIG.
    facts = redis.info()
    policy, keeps = facts.get("maxmemory_policy", "unknown"), bool(facts.get("aof_enabled"))
    if policy != "noeviction":
        says = f"answers, but throws away what it has no room for (maxmemory-policy {policy})"
        yield Finding(part, Verdict.WARNING, says, "set maxmemory-policy noeviction: locks and messages must stay")
    if not keeps:
        says = "answers, but forgets everything with a restart (no AOF)"
        yield Finding(
            part, Verdict.WARNING, says, "set appendonly yes; without it, deletions go on later than they could"
        )
    if policy == "noeviction" and keeps:
        yield Finding(part, Verdict.OK, "answers, evicts nothing, keeps an AOF")


def _broker(services: Services) -> Iterator[Finding]:
    with services.celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
        kind = connection.transport.driver_type
    yield Finding("broker", Verdict.OK, f"answers ({kind})")
    alive = services.celery.control.ping(timeout=_PING_SECONDS)
    if alive:
        yield Finding("workers", Verdict.OK, f"{len(alive)} alive")
    else:
        yield Finding(
            "workers", Verdict.BROKEN, "none answers", "start the Procfile's worker on every host that runs one"
        )


def _reconciler(services: Services) -> Iterator[Finding]:
    query = select(func.extract("epoch", func.now() - func.max(Clock.ticked_at))).where(Clock.name == "reconciler")
    with Session(services.own) as session:
        age = session.scalar(query)
    allowed = _MISSED_ROUNDS * services.settings.reconcile_seconds
    advice = "start the Procfile's beat, and at least one worker"
    if age is None:
        first = f"{advice}; the first round comes {services.settings.reconcile_seconds:g} s after that"
        yield Finding("reconciler", Verdict.BROKEN, "has never run", first)
    elif age > allowed:
        yield Finding("reconciler", Verdict.BROKEN, f"ran last {age:,.0f} s ago", advice)
    else:
        yield Finding("reconciler", Verdict.OK, f"ran {age:,.0f} s ago")


_PARTS: dict[str, Look] = {
    "own database": _own_database,
    "tenant database": evolution.look_at_tenant_database,
    "schema": evolution.look_at_schema,
    "confirmation": _confirmation,
    "redis": _redis,
    "broker": _broker,
    "reconciler": _reconciler,
    "gateways": evolution.look_at_gateways,
    "servers": evolution.look_at_servers,
    "cache": evolution.look_at_cache,
    "storages": evolution.look_at_storages,
    "index": evolution.look_at_indexes,
    "rehearsal": rehearsal.rehearse,
}
_ADVICE = {
    "own database": f"start it, or mend {PREFIX}DATABASE_URL",
    "tenant database": f"start it, or mend {PREFIX}TENANT_DATABASE_URL",
    "schema": f"mend {PREFIX}TENANT_DATABASE_URL, {PREFIX}TENANT_SCHEMA or the tables that are named:"
    " no deletion is begun until then",
    "redis": f"start it, or mend {PREFIX}REDIS_URL",
    "broker": f"start it, or mend {PREFIX}BROKER_URL (without one it is {PREFIX}REDIS_URL)",
    "confirmation": "mend the own database first",
    "reconciler": "mend the own database first",
    "gateways": f"mend {PREFIX}GATEWAYS",
    "servers": "mend the tenant database first",
    "cache": f"start it, or mend {PREFIX}CACHE_URL",
    "storages": "mend the settings of files root and bucket",
    "rehearsal": "mend the tenant database first",
    "index": "mend the tenant database and its schema first",
}
