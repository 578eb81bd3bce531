"""The checks of `lethe doctor`: Lethe's own database, Redis, the broker, workers and the reconciler."""

from collections.abc import Iterator
from hmac import compare_digest

from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.doctor import evolution, rehearsal
from cli.doctor.findings import Check, Finding, Verdict, broken, primary_of
from shared import formatting
from shared.access import one_time_codes
from shared.access.permissions import Permission
from shared.database import connections, migrate
from shared.database.models import Clock, Deletion, DeletionStatus
from shared.errors import LetheError
from shared.servers import redis as redis_servers
from shared.services import Services
from shared.settings import PREFIX, ConfirmationMode
from shared.stamps import authority

_PING_SECONDS = 1.5
_CLIENTS_KEY = f"{PREFIX}GATEWAY_KEY_MAY_DELETE=true"
_MISSED_ROUNDS = 4  # of the reconciler, before it counts as broken
_WHO_AND_WHERE = text("SELECT quote_ident(current_user), quote_ident(current_database())")


def examine(services: Services) -> Iterator[Finding]:
    """Run all checks; they change nothing, and the next check runs also after an error."""
    reported: set[str] = set()  # the first check to report a problem knows best what to do
    for part, (check, advice) in _PARTS.items():
        try:
            for finding in check(services):
                if finding.verdict is not Verdict.BROKEN or finding.says not in reported:
                    yield finding
                reported.add(finding.says)
        except (LetheError, SQLAlchemyError, RedisError, BrokerError, AMQPError, OSError) as error:
            yield broken(part, error, advice)


def _own_database(services: Services) -> Iterator[Finding]:
    part = "own database"
    if not connections.accepts_writes(services.own):
        says = "is read-only: a standby, or a primary that was set so"
        yield Finding(part, Verdict.BROKEN, says, f"let {PREFIX}DATABASE_URL lead to the primary")
        return
    if encoding := migrate.wrong_encoding(services.own):
        problem, remedy = migrate.explain_encoding(encoding)
        yield Finding(part, Verdict.WARNING, problem, f"{remedy} (docs/requirements.md#own-database)")
    with services.own.connect() as connection:
        if migrate.is_current(services.own):
            yield Finding(part, Verdict.OK, f"answers, with the newest schema{primary_of(connection)}")
        else:
            yield Finding(part, Verdict.BROKEN, "migrations are missing", "run `lethe db upgrade`")
        role, database = connection.execute(_WHO_AND_WHERE).one()
        bounded = connection.execute(text("SELECT current_setting('statement_timeout') <> '0'")).scalar_one()
    if not bounded:
        says = "statements have no time limit: a connection pooler dropped the one that Lethe asks for"
        limit = f"ALTER ROLE {role} IN DATABASE {database} SET statement_timeout = '10s';"
        yield Finding(part, Verdict.WARNING, says, f"set it, and the others in docs/operations/pgbouncer.md: {limit}")


def _confirmation(services: Services) -> Iterator[Finding]:
    part, mode = "confirmation", services.settings.confirmation
    if mode is not ConfirmationMode.TOTP:
        verdict = Verdict.UNUSED if mode is ConfirmationMode.OFF else Verdict.OK
        yield Finding(part, verdict, f"{PREFIX}CONFIRMATION is {mode}")
        return
    with services.own.connect() as connection:
        enrolled = one_time_codes.count_enrolled(connection, Permission.DELETE)
    if enrolled:
        yield Finding(part, Verdict.OK, f"{PREFIX}CONFIRMATION is totp, enrolled keys that may delete: {enrolled}")
    else:
        says = (
            f"{PREFIX}CONFIRMATION is totp, but no key that may delete is enrolled: no deletion is possible over HTTP"
        )
        yield Finding(part, Verdict.WARNING, says, "enroll one: `lethe keys enroll-totp ID`")


def _keys(services: Services) -> Iterator[Finding]:
    admin_key, global_key = services.settings.admin_key, services.settings.gateway_key
    if compare_digest(admin_key.get_secret_value().encode(), global_key.get_secret_value().encode()):
        says = f"{PREFIX}ADMIN_KEY is Evolution's global key: every client that has it may do everything"
        yield Finding("keys", Verdict.WARNING, says, f"set another, and {_CLIENTS_KEY}: clients go on unchanged")
    elif services.settings.gateway_key_may_delete:
        yield Finding("keys", Verdict.OK, "Evolution's global key lists, logs out and deletes: clients go on unchanged")
    else:
        says = "Evolution's global key is no key of Lethe's: clients that send it (Evolution Manager) get 401"
        yield Finding("keys", Verdict.OK, says, f"set {_CLIENTS_KEY}, or give them keys of `lethe keys create`")


def _redis(services: Services) -> Iterator[Finding]:
    try:
        leads = redis_servers.explain_sentinel(services.redis)
    except RedisConnectionError as error:
        yield Finding("redis", Verdict.BROKEN, f"cannot be reached: {error}", f"correct {PREFIX}REDIS_URL")
        return
    settings = services.redis.info()  # not CONFIG, which a managed Redis forbids
    if settings.get("cluster_enabled"):
        says = "is a node of a Redis Cluster: messages and locks need a server without cluster mode"
        yield Finding("redis", Verdict.BROKEN, says, f"let {PREFIX}REDIS_URL lead to one")
        return
    policy, has_aof = settings.get("maxmemory_policy", "unknown"), bool(settings.get("aof_enabled"))
    if policy != "noeviction":
        says = f"answers, but removes keys when its memory is full (maxmemory-policy {policy})"
        yield Finding("redis", Verdict.WARNING, says, "set maxmemory-policy noeviction: locks and messages must stay")
    if not has_aof:
        advice = "set appendonly yes; without it, deletions continue later than they could"
        yield Finding("redis", Verdict.WARNING, "answers, but loses everything at a restart (no AOF)", advice)
    if policy == "noeviction" and has_aof:
        yield Finding("redis", Verdict.OK, f"answers, evicts nothing, keeps an AOF{f'; {leads}' if leads else ''}")


def _broker(services: Services) -> Iterator[Finding]:
    with services.celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
        kind = connection.transport.driver_type
    yield Finding("broker", Verdict.OK, f"answers ({kind})")
    alive = services.celery.control.ping(timeout=_PING_SECONDS)
    if alive:
        yield Finding("workers", Verdict.OK, f"{len(alive)} alive")
    else:
        advice = "start the Procfile's worker on every host that runs one"
        yield Finding("workers", Verdict.BROKEN, "none answers", advice)


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


def _time_stamps(services: Services) -> Iterator[Finding]:
    part = "time stamps"
    if services.settings.timestamp_url is None:
        yield Finding(part, Verdict.UNUSED, f"{PREFIX}TIMESTAMP_URL is not set: no receipt is stamped")
        return
    _, verified = authority.stamp(b"a test of lethe doctor", services.settings)
    yield Finding(part, Verdict.OK, f"{verified.authority} answers")


def _scheduled(services: Services) -> Iterator[Finding]:
    query = select(func.count(), func.min(Deletion.not_before), func.now())
    with Session(services.own) as session:
        number, moment, now = session.execute(query.where(Deletion.status == DeletionStatus.SCHEDULED)).one()
    if moment is None:
        grace = f"{PREFIX}GRACE_SECONDS is {services.settings.grace_seconds:g}"
        yield Finding("scheduled", Verdict.UNUSED, f"no deletion is scheduled; {grace}")
        return
    says = f"{formatting.quantity(number, 'deletion')}, the next begins {formatting.time_until(moment, now)}"
    yield Finding("scheduled", Verdict.OK, says, "`lethe list --status scheduled` shows them")


# Each part with its check, and what to do when the check itself fails.
_PARTS: dict[str, tuple[Check, str]] = {
    "own database": (_own_database, f"start it, or correct {PREFIX}DATABASE_URL"),
    "tenant database": (evolution.check_tenant_database, f"start it, or correct {PREFIX}TENANT_DATABASE_URL"),
    "schema": (
        evolution.check_schema,
        f"correct {PREFIX}TENANT_DATABASE_URL, {PREFIX}TENANT_SCHEMA or the named tables; no deletion begins before",
    ),
    "confirmation": (_confirmation, "fix the own database first"),
    "keys": (_keys, ""),
    "redis": (_redis, f"start it, or correct {PREFIX}REDIS_URL"),
    "broker": (_broker, f"start it, or correct {PREFIX}BROKER_URL (by default it is {PREFIX}REDIS_URL)"),
    "reconciler": (_reconciler, "fix the own database first"),
    "scheduled": (_scheduled, "fix the own database first"),
    "gateways": (evolution.check_gateways, f"correct {PREFIX}GATEWAYS"),
    "servers": (evolution.check_servers, "fix the tenant database first"),
    "cache": (evolution.check_cache, f"start it, or correct {PREFIX}CACHE_URL"),
    "storages": (evolution.check_storages, "correct the settings of files root and bucket"),
    "time stamps": (_time_stamps, f"correct {PREFIX}TIMESTAMP_URL and {PREFIX}TIMESTAMP_CA_FILE"),
    "replicas": (evolution.check_replicas, f"correct {PREFIX}REPLICA_URLS"),
    "index": (evolution.check_indexes, "fix the tenant database and its schema first"),
    "row triggers": (evolution.check_triggers, "fix the tenant database and its schema first"),
    "rehearsal": (rehearsal.rehearse, "fix the tenant database first"),
}
