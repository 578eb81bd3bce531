"""Looks at everything that a deletion needs, and says of each part how it is and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from kombu.exceptions import OperationalError as BrokerError
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from shared import migrate, missing_indexes, one_time_codes, tenant_rows
from shared.cache import Cache
from shared.cache_keys import escape
from shared.confirmation import Demand
from shared.errors import LetheError, Refused, TransientError
from shared.gateway import can_be_addressed
from shared.models import Clock
from shared.permissions import Permission
from shared.services import Services
from shared.settings import PREFIX

_PING_SECONDS = 1.5
_MISSED_ROUNDS = 4  # of the reconciler, after which it counts as dead
_SCANS = 20  # that look for a key under the cache's prefix
_WHO_AND_WHERE = text("SELECT quote_ident(current_user), quote_ident(current_database())")


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"  # deletions work, but not as well as they could
    BROKEN = "broken"  # deletions wait or are refused
    UNUSED = "unused"  # not set, so not looked at


@dataclass(frozen=True)
class Finding:
    """How one part is, and what to do about it."""

    part: str
    verdict: Verdict
    says: str
    advice: str = ""


Look = Callable[[Services], Iterator[Finding]]


def examine(services: Services) -> Iterator[Finding]:
    """Look at one part after the other; nothing is changed, and one that is broken hides no other."""
    for part, look in _PARTS.items():
        try:
            yield from look(services)
        except (LetheError, SQLAlchemyError, RedisError, BrokerError, OSError) as error:
            yield Finding(part, Verdict.BROKEN, explain(error), _ADVICE[part])


def explain(error: Exception) -> str:
    """What went wrong, as the server's own words have it; they name users and hosts, never passwords."""
    cause = error.__cause__ if isinstance(error, LetheError) and isinstance(error.__cause__, DBAPIError) else error
    if isinstance(cause, DBAPIError):
        return str(cause.orig).strip().splitlines()[0]
    if isinstance(error, AuthenticationError):
        return f"Redis does not accept the user or password: {error}"
    return error.title if isinstance(error, LetheError) else f"{type(error).__name__}: {error}"


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


def _tenant_database(services: Services) -> Iterator[Finding]:
    with services.tenant.transaction() as connection:
        version, standby = connection.execute(
            text("SELECT current_setting('server_version'), pg_is_in_recovery()")
        ).one()
    if standby:
        raise Refused("it is a standby, and cannot be written to")
    yield Finding("tenant database", Verdict.OK, f"answers, PostgreSQL {version}")


def _schema(services: Services) -> Iterator[Finding]:
    try:
        plan = services.tenant.plan()
    except TransientError as error:
        yield Finding("schema", Verdict.BROKEN, explain(error), "mend the tenant database first")
        return
    if len(plan.tables) < 2:  # the root is always planned, whether or not it is there
        raise Refused(f'no tables of Evolution in schema "{services.tenant.schema}"')
    yield Finding("schema", Verdict.OK, f"understood: {len(plan.tables)} tables hold an instance's rows")
    yield from _rights(services)


def _rights(services: Services) -> Iterator[Finding]:
    try:
        tenant_rows.check_rights(services.tenant, services.tenant.plan())
    except Refused as error:
        with services.tenant.transaction() as connection:
            role, schema = connection.execute(
                text("SELECT quote_ident(current_user), quote_ident(:schema)"), {"schema": services.tenant.schema}
            ).one()
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};"
        yield Finding("rights", Verdict.BROKEN, error.title, f"let the tables' owner run: {grant}")
    else:
        yield Finding("rights", Verdict.OK, "the role may do all that a deletion does")


def _confirmation(services: Services) -> Iterator[Finding]:
    part, demand = "confirmation", services.settings.confirmation
    if demand is not Demand.TOTP:
        yield Finding(part, Verdict.UNUSED if demand is Demand.OFF else Verdict.OK, f"{PREFIX}CONFIRMATION is {demand}")
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


def _gateways(services: Services) -> Iterator[Finding]:
    name = _known_name(services)
    for gateway in services.gateways:
        part = f"gateway {gateway.url}"
        try:
            gateway.probe()
            if name is not None:  # it looks at the key only of who asks for an instance that exists
                gateway.state(name)
        except LetheError as error:
            key = "set LETHE_GATEWAY_KEY to its AUTHENTICATION_API_KEY"
            away = "start it, or mend LETHE_GATEWAYS; one that is gone for good: `lethe retry ID --without-gateway URL`"
            yield Finding(part, Verdict.BROKEN, error.title, key if isinstance(error, Refused) else away)
        else:
            tried = "accepts the key" if name is not None else "the key could not be tried: there is no instance"
            yield Finding(part, Verdict.OK, f"answers, {tried}")


def _known_name(services: Services) -> str | None:
    """The name of any instance; None when there is none, or nobody to ask."""
    try:
        return next(filter(can_be_addressed, services.tenant.neighbours(besides="")), None)
    except LetheError:  # it is said of the tenant database
        return None


def _cache(services: Services) -> Iterator[Finding]:
    if services.cache is None:
        yield Finding("cache", Verdict.UNUSED, "LETHE_CACHE_URL is not set: no cache is purged")
        return
    services.cache.redis.ping()
    if services.cache.redis.dbsize() and not _is_used(services.cache):
        says = f"answers, but has no key that begins with {services.cache.prefix}:"
        yield Finding("cache", Verdict.WARNING, says, "is LETHE_CACHE_PREFIX Evolution's CACHE_REDIS_PREFIX_KEY?")
    else:
        yield Finding("cache", Verdict.OK, "answers")


def _is_used(cache: Cache) -> bool:
    """Whether a key bears the prefix, as far as a few scans see; a keyspace too large for them passes."""
    cursor, pattern = 0, f"{escape(cache.prefix)}:*"
    for _ in range(_SCANS):
        cursor, found = cache.redis.scan(cursor, match=pattern, count=1_000)
        if found or cursor == 0:
            return bool(found)
    return True


def _storages(services: Services) -> Iterator[Finding]:
    names = {"files": "files root", "objects": "bucket"}
    for unit, name in names.items():
        if unit not in {storage.unit for storage in services.storages}:
            yield Finding(name, Verdict.UNUSED, f"not set: no {unit} are removed")
    for storage in services.storages:
        name = names[storage.unit]
        try:
            storage.probe()
        except LetheError as error:
            yield Finding(name, Verdict.BROKEN, error.title, _STORAGE_ADVICE[storage.unit])
        else:
            yield Finding(name, Verdict.OK, "can be worked on")


def _indexes(services: Services) -> Iterator[Finding]:
    missing = missing_indexes.find(services.tenant)
    for each in missing:
        if each.is_costly:
            creates = f"creates {each.name} without keeping anybody from writing"
            prints = f"prints what the owner of the table has to run: {each.name}"
            advice = f"`lethe doctor --fix` {creates if each.may_create and not each.partitioned else prints}"
            yield Finding("index", Verdict.WARNING, each.cost, advice)
    small = sum(not each.is_costly for each in missing)
    if small == len(missing):
        says = f"missing on tables too small to matter today: {small}" if small else "all are there"
        yield Finding("index", Verdict.OK, says)


_PARTS: dict[str, Look] = {
    "own database": _own_database,
    "tenant database": _tenant_database,
    "schema": _schema,
    "confirmation": _confirmation,
    "redis": _redis,
    "broker": _broker,
    "reconciler": _reconciler,
    "gateways": _gateways,
    "cache": _cache,
    "storages": _storages,
    "index": _indexes,
}
_STORAGE_ADVICE = {
    "files": f"mount Evolution's working directory at {PREFIX}FILES_ROOT, writable for Lethe",
    "objects": f"mend {PREFIX}S3_BUCKET, _ENDPOINT, _ACCESS_KEY or _SECRET_KEY; the key must list and delete",
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
    "cache": f"start it, or mend {PREFIX}CACHE_URL",
    "storages": "mend the settings of files root and bucket",
    "index": "mend the tenant database and its schema first",
}
