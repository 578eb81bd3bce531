"""The checks of `lethe doctor` on Evolution's side: its database, servers, cache and media."""

from collections.abc import Collection, Iterator
from itertools import islice

from redis.exceptions import RedisError
from sqlalchemy import text

from cli.doctor.findings import TRUST, Finding, Verdict, broken, primary_of
from shared import certificates
from shared.errors import LetheError, Refused, TransientError
from shared.evolution.cache.cache import Cache
from shared.evolution.cache.keys import escape
from shared.evolution.gateway import PointsToLethe, can_be_addressed
from shared.evolution.media.storage import Storage
from shared.evolution.rows import counting, missing_indexes, replicas, servers, triggers
from shared.services import Services
from shared.settings import PREFIX

_USABLE = "can be read and written"
_ENOUGH = 500  # instances whose sessions are looked for
_SCANS = 20  # to find a key with the cache's prefix
_LIST_ALL = "check that LETHE_GATEWAYS has every server"
_STORAGE_ADVICE = {
    "files": f"mount Evolution's working directory at {PREFIX}FILES_ROOT, or the volume of its instances/ at"
    f" {PREFIX}FILES_ROOT/instances, writable for Lethe",
    "objects": f"correct {PREFIX}S3_BUCKET, _ENDPOINT, _ACCESS_KEY or _SECRET_KEY; the key must list and delete",
}


def check_tenant_database(services: Services) -> Iterator[Finding]:
    """Whether it answers, and is not a standby."""
    with services.tenant.transaction() as connection:
        version, standby = connection.execute(
            text("SELECT current_setting('server_version'), pg_is_in_recovery()")
        ).one()
        primary = primary_of(connection)
    if standby:
        raise Refused("it is a standby, and cannot be written to")
    yield Finding("tenant database", Verdict.OK, f"answers, PostgreSQL {version}{primary}")


def check_schema(services: Services) -> Iterator[Finding]:
    """Whether Lethe understands the tables, and has the rights to delete rows."""
    try:
        plan = services.tenant.plan()
    except TransientError as error:
        yield broken("schema", error, "fix the tenant database first")
        return
    if len(plan.tables) < 2:  # the plan always has the Instance table, also when it does not exist
        raise Refused(f'no tables of Evolution in schema "{services.tenant.schema}"')
    yield Finding("schema", Verdict.OK, f"understood: {len(plan.tables)} tables hold an instance's rows")
    yield from _rights(services)


def _rights(services: Services) -> Iterator[Finding]:
    try:
        counting.check_rights(services.tenant, services.tenant.plan())
    except Refused as error:
        with services.tenant.transaction() as connection:
            role, schema = connection.execute(
                text("SELECT quote_ident(current_user), quote_ident(:schema)"), {"schema": services.tenant.schema}
            ).one()
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};"
        yield Finding("rights", Verdict.BROKEN, error.title, f"let the tables' owner run: {grant}")
    else:
        yield Finding("rights", Verdict.OK, "the role has all rights that a deletion needs")


def check_gateways(services: Services) -> Iterator[Finding]:
    """Whether each gateway answers and accepts the key."""
    name = _known_name(services)
    for gateway in services.gateways:
        part = f"gateway {gateway.url}"
        try:
            gateway.probe()
            if name is not None:  # a gateway checks the key only for an instance that exists
                gateway.state(name)
        except LetheError as error:
            yield Finding(part, Verdict.BROKEN, error.title, _gateway_advice(error))
        else:
            tried = "accepts the key" if name is not None else "the key could not be tried: there is no instance"
            yield Finding(part, Verdict.OK, f"answers, {tried}")


def check_servers(services: Services) -> Iterator[Finding]:
    """Whether the server of every instance is a gateway, as far as servers report their clientName."""
    part, names = "servers", {gateway.url: gateway.client_name() for gateway in services.gateways}
    silent, counts = [url for url, name in names.items() if name is None], servers.count_instances(services.tenant)
    nameless = counts.pop("", 0)
    if unlisted := {name: number for name, number in counts.items() if name not in names.values()}:
        yield _unlisted(part, unlisted, silent)
    if nameless:
        says = f"instances whose row has no clientName: {nameless}; their servers are unknown"
        yield Finding(part, Verdict.WARNING, says, _LIST_ALL)
    if silent and not unlisted:
        says = f"no clientName from {', '.join(silent)}: instances of servers that are not listed cannot be noticed"
        yield Finding(part, Verdict.WARNING, says, _LIST_ALL)
    if not (unlisted or nameless or silent):
        listed = ", ".join(sorted({f'"{name}"' for name in names.values()}))
        says = f"every instance is of a listed one: {listed}; a second server with the same clientName is not noticed"
        yield Finding(part, Verdict.OK, says)


def _unlisted(part: str, unlisted: dict[str, int], silent: list[str]) -> Finding:
    counted = ", ".join(f'"{name}": {number}' for name, number in unlisted.items())
    says = f"instances of servers that are not listed, by clientName: {counted}"
    if silent:
        says += f"; or of {', '.join(silent)}, whose GET / has none"
    advice = "add these servers to LETHE_GATEWAYS; one that is gone for good: `lethe retry ID --without-gateway NAME`"
    return Finding(part, Verdict.WARNING if silent else Verdict.BROKEN, says, advice)


def _gateway_advice(error: LetheError) -> str:
    if certificates.are_refused(error):
        return TRUST
    if isinstance(error, PointsToLethe):
        return "use Evolution's own address in LETHE_GATEWAYS, not that of a proxy which sends DELETE to Lethe"
    if isinstance(error, Refused):
        return "set LETHE_GATEWAY_KEY to its AUTHENTICATION_API_KEY"
    return "start it, or correct LETHE_GATEWAYS; one that is gone for good: `lethe retry ID --without-gateway URL`"


def _known_name(services: Services) -> str | None:
    """The name of any instance; None when there is none, or the database cannot be reached."""
    try:
        return next(filter(can_be_addressed, services.tenant.other_names(besides="")), None)
    except LetheError:  # reported by check_tenant_database
        return None


def check_cache(services: Services) -> Iterator[Finding]:
    """Whether it answers, and is the one that Evolution uses."""
    if services.cache is None:
        yield Finding("cache", Verdict.UNUSED, "LETHE_CACHE_URL is not set: no cache is purged")
        return
    services.cache.redis.ping()
    if services.cache.redis.dbsize() and not _is_used(services.cache):
        says = f"answers, but has no key that begins with {services.cache.prefix}:"
        yield Finding("cache", Verdict.WARNING, says, "is LETHE_CACHE_PREFIX Evolution's CACHE_REDIS_PREFIX_KEY?")
    elif not services.cache.redis.dbsize() and (connected := list(_states(services).values()).count("open")):
        says = f"answers, but is empty, while instances are connected: {connected}"
        advice = (
            "does LETHE_CACHE_URL end with the database number of Evolution's CACHE_REDIS_URI?"
            " With CACHE_REDIS_SAVE_INSTANCES their keys are in Redis"
        )
        yield Finding("cache", Verdict.WARNING, says, advice)
    else:
        yield Finding("cache", Verdict.OK, "answers")


def _is_used(cache: Cache) -> bool:
    """Whether a key has the prefix; also True when a few scans cannot read all keys."""
    cursor, pattern = 0, f"{escape(cache.prefix)}:*"
    for _ in range(_SCANS):
        cursor, found = cache.redis.scan(cursor, match=pattern, count=1_000)
        if found or cursor == 0:
            return bool(found)
    return True


def check_storages(services: Services) -> Iterator[Finding]:
    """Whether Lethe can read and write each store of media."""
    names = {"files": "files root", "objects": "bucket"}
    for kind, name in names.items():
        if kind not in {storage.kind for storage in services.storages}:
            yield Finding(name, Verdict.UNUSED, f"not set: no {kind} are removed")
    for storage in services.storages:
        name = names[storage.kind]
        try:
            storage.probe()
        except LetheError as error:
            advice = TRUST if certificates.are_refused(error) else _STORAGE_ADVICE[storage.kind]
            yield Finding(name, Verdict.BROKEN, error.title, advice)
        else:
            yield _folders(services, storage) if storage.kind == "files" else Finding(name, Verdict.OK, _USABLE)


def _folders(services: Services, folder: Storage) -> Finding:
    """Whether the files root has a folder of one of these instances."""
    part, ids = "files root", set(_states(services))
    if not ids or ids & folder.ids():
        return Finding(part, Verdict.OK, _USABLE)
    says = f"no instance has a folder in {PREFIX}FILES_ROOT (instances: {len(ids)})"
    if _have_sessions(services.cache, ids):
        return Finding(part, Verdict.OK, f"{_USABLE}; {says}, their sessions are in the cache")
    advice = "is it the folder of these servers? It may be empty when they keep their sessions in Redis"
    return Finding(part, Verdict.WARNING, f"{_USABLE}, but {says}", advice)


def _have_sessions(cache: Cache | None, ids: Collection[str]) -> bool:
    """Whether Redis has a session of one of these instances; checks only some hundreds."""
    if cache is None:
        return False
    keys = (f"{cache.prefix}:instance:{each}" for each in islice(ids, _ENOUGH))
    try:
        return any(cache.redis.exists(key) for key in keys)
    except RedisError:  # reported by check_cache
        return False


def _states(services: Services) -> dict[str, str]:
    """The connection status of each instance; empty when the database cannot be reached."""
    try:
        return servers.states(services.tenant)
    except LetheError:  # reported by check_tenant_database
        return {}


def check_replicas(services: Services) -> Iterator[Finding]:
    """Whether each replica says how far it is behind: one that does not holds up no batch."""
    advice = f"correct {PREFIX}REPLICA_URLS; until then, deletions do not wait for it"
    for number, replica in enumerate(services.replicas, 1):
        try:
            lag = replicas.lag_seconds(replica)
        except LetheError as error:
            yield Finding(f"replica {number}", Verdict.WARNING, error.title, advice)
        else:
            yield Finding(f"replica {number}", Verdict.OK, f"answers, {lag:.0f} s behind")


def check_indexes(services: Services) -> Iterator[Finding]:
    """The indexes that deletions need and that are missing."""
    missing = missing_indexes.find(services.tenant)
    for each in missing:
        if each.is_costly:
            creates = f"creates {each.name} without blocking writes"
            prints = f"prints the SQL for the owner of the table: {each.name}"
            advice = f"`lethe doctor --fix` {creates if each.may_create and not each.partitioned else prints}"
            yield Finding("index", Verdict.WARNING, each.cost, advice)
    small = sum(not each.is_costly for each in missing)
    if small == len(missing):
        says = f"missing on tables too small to matter today: {small}" if small else "none is missing"
        yield Finding("index", Verdict.OK, says)


def check_triggers(services: Services) -> Iterator[Finding]:
    """Whether rows go without triggers, and which tables keep theirs."""
    part, always = "row triggers", services.settings.row_triggers == "always"
    if always:
        yield Finding(part, Verdict.UNUSED, f"{PREFIX}ROW_TRIGGERS is always: every deleted row fires its triggers")
        return
    found = triggers.look(services.tenant, services.tenant.plan().tables, always=False)
    if not found.may_be_off:
        yield _grant(services)
        return
    yield Finding(part, Verdict.OK, f"tables from which many rows go without triggers: {len(found.freed)}")
    for table, why in found.kept.items():
        yield Finding(part, Verdict.OK, f'"{table}" keeps its triggers: {why}')


def _grant(services: Services) -> Finding:
    with services.tenant.transaction() as connection:
        query = "SELECT quote_ident(current_user), CAST(current_setting('server_version_num') AS int) >= 150000"
        role, can_be_granted = connection.execute(text(query)).one()
    grant = f"GRANT SET ON PARAMETER session_replication_role, wal_compression TO {role};"
    advice = f"let a superuser run: {grant}" if can_be_granted else "since PostgreSQL 15 this right can be granted"
    says = "rows go with their triggers, which takes longer: Lethe's role may not switch them off"
    return Finding("row triggers", Verdict.WARNING, says, advice)
