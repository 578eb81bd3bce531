"""Rows that go without PostgreSQL's triggers: nothing is left dangling, and an operator's triggers still fire."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from demo.binaries import postgres_wheel_bindir
from demo.evolution.deployment import Deployment
from demo.evolution.seed import seed_instance
from demo.parts import Postgres, Redis
from demo.processes import wait_until
from shared.database import connections
from shared.errors import TransientError
from shared.evolution.rows import batch, counting, triggers
from shared.evolution.rows.eraser import RowEraser
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.tenant import Tenant
from shared.evolution.rows.throttle import Throttle
from tests.dangling import dangling_references
from tests.servers import copy_database, make_templates

MESSAGES = 6_000  # more than a first batch
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

Report = Callable[[dict[str, int]], None]


@pytest.fixture(
    scope="module",
    params=[pytest.param(None, id="embedded"), pytest.param(DEBIAN_15, id="15", marks=pytest.mark.slow)],
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The embedded PostgreSQL, and the oldest version in which the right can be granted."""
    bindir = request.param or postgres_wheel_bindir()
    if not bindir.exists():
        missing = "no PostgreSQL 15 here: apt-get install postgresql-15"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    part = Postgres.start(tmp_path_factory.mktemp("rows"), fast=True, bindir=bindir)
    make_templates(part)
    yield part
    part.stop()


@pytest.fixture
def deployment(server: Postgres, redis_part: Redis, tmp_path: Path) -> Iterator[Deployment]:
    """Two instances with as many messages; whatever a test does to them, no reference may dangle in the end."""
    made = Deployment(copy_database(server, "tenant_template"), redis_part.url, tmp_path)
    yield made
    assert dangling_references(made.database_url) == {}


def seed(deployment: Deployment, name: str, messages: int = MESSAGES) -> str:
    """An instance with many messages; its id."""
    made = seed_instance(deployment, name, messages=messages, updates_per_message=1, media=messages // 10, sessions=600)
    return made.id


def sql_on(deployment: Deployment, *statements: str) -> None:
    """Run statements as the operator who owns the tables."""
    with deployment.connect() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]


def count(deployment: Deployment, table: str, condition: str = "true") -> int:
    """How many rows a table has."""
    with deployment.connect() as connection:
        query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
            sql.Identifier(table),
            sql.SQL(condition),  # type: ignore[arg-type]
        )
        found = connection.execute(query).fetchone()
    assert found
    return int(found[0])


Notes = dict[str, str | None]  # what was said of triggers, by table


def erase(database_url: str, instance_id: str, report: Report = lambda _: None, *, always: bool = False) -> Notes:
    """Erase all rows of an instance, and what is written meanwhile, as delete_records and confirm do."""
    tenant, notes = Tenant(connections.connect(database_url, name="test"), "public"), Notes()
    plan = tenant.plan()
    eraser = RowEraser(
        tenant=tenant,
        instance_id=instance_id,
        throttle=lambda: Throttle(0.1, 0),
        report=report,
        stop=lambda: False,
        brake=Brake((), 10),
        always_triggers=always,
        note_triggers=notes.update,
    )
    try:
        assert eraser.erase(plan.tables)
        while left := counting.remaining(tenant, plan, instance_id):
            assert eraser.erase([owned for owned in plan.tables if owned.table in left])
    finally:
        tenant.engine.dispose()
    return notes


def at_first(table: str, act: Callable[[], object]) -> Report:
    """Act once, after the first batch of this table."""
    done = threading.Event()

    def report(counts: dict[str, int]) -> None:
        if table in counts and not done.is_set():
            done.set()
            act()

    return report


FREE = {"Message": None, "MessageUpdate": None, "IntegrationSession": None, "Media": None}


def test_evolutions_tables_go_without_triggers(deployment: Deployment) -> None:
    """All of the instance, and nothing of its neighbour; each row is counted once."""
    ours, other = seed(deployment, "ours"), seed(deployment, "other")
    counted: dict[str, int] = {}
    before = count(deployment, "Message", f"\"instanceId\" = '{other}'")

    def add(counts: dict[str, int]) -> None:
        counted.update({table: counted.get(table, 0) + rows for table, rows in counts.items()})

    notes = erase(deployment.database_url, ours, add)

    assert notes == FREE
    assert {table: counted[table] for table in FREE} == {
        "Message": MESSAGES, "MessageUpdate": MESSAGES, "IntegrationSession": 600, "Media": MESSAGES // 10
    }  # fmt: skip
    assert count(deployment, "Message") == before == MESSAGES
    assert count(deployment, "Instance") == 1


def compression(url: str) -> dict[str, str]:
    """How batches of this role compress what they write to PostgreSQL's log."""
    engine = connections.connect(url, name="erase")
    try:
        return batch.compression(Tenant(engine, "public"))
    finally:
        engine.dispose()


def test_the_log_is_compressed_where_that_costs_no_time(deployment: Deployment) -> None:
    """With lz4, which not every server is built with; and never instead of what the operator has set."""
    with deployment.connect() as connection:
        query = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'wal_compression'"
        ((has_lz4,),) = connection.execute(query).fetchall()
        database = sql.Identifier(connection.info.dbname)
        found = compression(deployment.database_url)
        connection.execute(sql.SQL("ALTER DATABASE {} SET wal_compression = 'pglz'").format(database))
        connection.commit()

    assert found == ({"wal_compression": "lz4"} if has_lz4 else {})
    assert compression(deployment.database_url) == {}


def test_always_means_with_triggers(deployment: Deployment) -> None:
    """As an operator wants it who does not trust this."""
    ours = seed(deployment, "ours")

    notes = erase(deployment.database_url, ours, always=True)

    assert set(notes.values()) == {"LETHE_ROW_TRIGGERS is always"}
    assert count(deployment, "Message") == 0


def test_a_role_needs_the_right(deployment: Deployment) -> None:
    """Without it triggers fire, and the deletion goes on; with the grants that the page on roles has, they do not."""
    ours, other, role = seed(deployment, "ours"), seed(deployment, "other"), f"lethe_{uuid4().hex[:8]}"
    sql_on(
        deployment,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    )
    as_role = deployment.database_url.replace("postgres@", f"{role}@")

    without, in_full = erase(as_role, ours), compression(as_role)
    sql_on(deployment, f"GRANT SET ON PARAMETER session_replication_role, wal_compression TO {role}")
    granted, compressed = erase(as_role, other), compression(as_role)

    parameters = "session_replication_role, wal_compression"
    sql_on(deployment, f"REVOKE SET ON PARAMETER {parameters} FROM {role}", f"DROP OWNED BY {role}")
    assert set(without.values()) == {"Lethe's role may not keep triggers from firing"}
    assert granted == FREE
    assert in_full == {}
    assert compressed == compression(deployment.database_url)
    assert count(deployment, "Message") == 0


# A message, and an update and a medium of any of the instance's messages.
WRITES = (
    'INSERT INTO "Message" (id, key, "messageType", message, source, "messageTimestamp", "instanceId")'
    " VALUES (%(message)s, '{}', 'conversation', '{}', 'android', 1, %(instance)s)",
    'INSERT INTO "MessageUpdate" (id, "keyId", "remoteJid", "fromMe", status, "messageId", "instanceId")'
    " SELECT gen_random_uuid(), 'k', 'j', true, 'READ', id, %(instance)s FROM"
    ' (SELECT id FROM "Message" WHERE "instanceId" = %(instance)s OFFSET floor(random() * 1000) LIMIT 1) AS m',
    'INSERT INTO "Media" (id, "fileName", type, mimetype, "messageId", "instanceId")'
    " SELECT gen_random_uuid(), %(message)s, 'image', 'image/jpeg', max(id), %(instance)s"
    ' FROM "Message" WHERE "instanceId" = %(instance)s HAVING max(id) IS NOT NULL ON CONFLICT DO NOTHING',
)


def test_what_a_server_writes_meanwhile_goes_too(deployment: Deployment) -> None:
    """Messages, updates and media of the instance at full speed, until its row is gone."""
    ours, other = seed(deployment, "ours"), seed(deployment, "other")
    written, over = [0, 0], threading.Event()

    def write(writer: int) -> None:
        with psycopg.connect(deployment.database_url, autocommit=True) as connection:
            while not over.is_set():
                try:
                    for statement in WRITES:
                        connection.execute(statement, {"message": uuid4().hex, "instance": ours})
                except errors.IntegrityError:
                    continue  # what it refers to is gone
                written[writer] += 1

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        try:
            wait_until(lambda: min(written) > 20, 30, "both writers to write")
            erase(deployment.database_url, ours)
        finally:
            over.set()
        for each in writers:
            each.result()

    assert count(deployment, "Message") == count(deployment, "Message", f"\"instanceId\" = '{other}'") == MESSAGES
    assert count(deployment, "MessageUpdate") == MESSAGES


QUOTE = (
    'CREATE TABLE "Quote" (id text PRIMARY KEY, "instanceId" text NOT NULL REFERENCES "Instance" ON DELETE CASCADE,'
    ' "messageId" text REFERENCES "Message" {rule})'
)


def quote_of(deployment: Deployment, instance_id: str, whose: str) -> Callable[[], None]:
    """Write a row of instance_id that refers to a message of whose."""

    def write() -> None:
        sql_on(
            deployment,
            f'INSERT INTO "Quote" SELECT gen_random_uuid(), \'{instance_id}\', max(id) FROM "Message"'
            f" WHERE \"instanceId\" = '{whose}'",
        )

    return write


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize(
    ("rule", "left"),
    [("ON DELETE CASCADE", []), ("ON DELETE SET NULL", [None]), ("ON DELETE RESTRICT", None), ("", None)],
)
def test_a_row_of_another_instance_that_refers_to_ours(
    deployment: Deployment, rule: str, left: list[None] | None, when: str
) -> None:
    """PostgreSQL does with it what its key says: remove it, clear it, or keep ours."""
    sql_on(deployment, QUOTE.format(rule=rule), 'CREATE INDEX ON "Quote" ("messageId")')
    ours, other = seed(deployment, "ours"), seed(deployment, "other", 10)
    refer = quote_of(deployment, other, ours)
    report = at_first("Message", refer) if when == "meanwhile" else lambda _: None
    if when == "before":
        refer()

    if left is None:
        with pytest.raises(TransientError):
            erase(deployment.database_url, ours, report)
    else:
        notes = erase(deployment.database_url, ours, report)
        assert "others that refer to them" in (notes["Message"] or "")

    with deployment.connect() as connection:
        quotes = [quoted for (quoted,) in connection.execute('SELECT "messageId" FROM "Quote"').fetchall()]
    assert len(quotes) == 1 if left is None else quotes == left
    assert count(deployment, "Instance") == (2 if left is None else 1)


@pytest.mark.parametrize("key", ["", "one\x01two"], ids=["empty", "two in one"])
def test_a_key_that_is_hard_to_hand_on(deployment: Deployment, key: str) -> None:
    """The keys of a batch are handed on as one text: whatever a key is, a row that refers to it is found."""
    sql_on(deployment, QUOTE.format(rule="ON DELETE SET NULL"))
    ours, other = seed(deployment, "ours"), seed(deployment, "other", 10)
    with deployment.connect() as connection:
        connection.execute(
            'INSERT INTO "Message" (id, key, "messageType", message, source, "messageTimestamp", "instanceId")'
            " VALUES (%s, '{}', 'conversation', '{}', 'android', 1, %s)",
            (key, ours),
        )
        connection.execute("INSERT INTO \"Quote\" VALUES ('q', %s, %s)", (other, key))

    notes = erase(deployment.database_url, ours)

    assert "others that refer to them" in (notes["Message"] or "")
    assert count(deployment, "Quote", '"messageId" IS NULL') == 1


ELSEWHERE = {
    "another schema": (
        "CREATE SCHEMA other",
        'CREATE TABLE other.quote (id text, "messageId" text REFERENCES "Message" ON DELETE SET NULL)',
    ),
    "a partition": (
        "CREATE SCHEMA other",
        'CREATE TABLE other.quote (id text, "messageId" text REFERENCES "Message" ON DELETE SET NULL)'
        " PARTITION BY HASH (id)",
        "CREATE TABLE other.part PARTITION OF other.quote FOR VALUES WITH (modulus 1, remainder 0)",
    ),
    "a key of its own, not validated": (
        "CREATE SCHEMA other",
        'CREATE TABLE other.quote (id text, "messageId" text)',
        'ALTER TABLE other.quote ADD FOREIGN KEY ("messageId") REFERENCES "Message" ON DELETE SET NULL NOT VALID',
    ),
}


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_reference_from_elsewhere(deployment: Deployment, where: str, indexed: bool) -> None:
    """Every key of the database is looked at, by its index where it has one."""
    sql_on(deployment, *ELSEWHERE[where])
    if indexed:
        sql_on(deployment, 'CREATE INDEX ON other.quote ("messageId")')
    ours = seed(deployment, "ours")
    sql_on(deployment, "INSERT INTO other.quote SELECT 'q', max(id) FROM \"Message\"")

    notes = erase(deployment.database_url, ours)

    assert "others that refer to them" in (notes["Message"] or "")
    with deployment.connect() as connection:
        assert connection.execute('SELECT "messageId" FROM other.quote').fetchall() == [(None,)]


def test_a_reference_in_an_open_transaction_is_waited_for(deployment: Deployment) -> None:
    """It locks the message that it refers to; once it is committed, the batch finds it."""
    sql_on(deployment, QUOTE.format(rule="ON DELETE SET NULL"))
    ours, other = seed(deployment, "ours"), seed(deployment, "other", 10)
    with deployment.connect() as writer, ThreadPoolExecutor(1) as pool:
        writer.execute(
            'INSERT INTO "Quote" SELECT \'q\', %s, max(id) FROM "Message" WHERE "instanceId" = %s', (other, ours)
        )
        erasing = pool.submit(erase, deployment.database_url, ours)
        wait_until(lambda: _waits_for_a_lock(deployment), 30, "the deletion to wait")
        writer.commit()
        notes = erasing.result()

    assert "others that refer to them" in (notes["Message"] or "")
    assert count(deployment, "Quote", '"messageId" IS NULL') == 1


def _waits_for_a_lock(deployment: Deployment) -> bool:
    return count(deployment, "pg_locks", "NOT granted") > 0


def test_a_deferred_reference_is_refused_at_its_commit(deployment: Deployment) -> None:
    """It locks nothing, so nothing waits for it; then what it refers to is gone."""
    sql_on(deployment, QUOTE.format(rule="DEFERRABLE INITIALLY DEFERRED"))
    ours, other = seed(deployment, "ours"), seed(deployment, "other", 10)
    with deployment.connect() as writer:
        writer.execute(
            'INSERT INTO "Quote" SELECT \'q\', %s, max(id) FROM "Message" WHERE "instanceId" = %s', (other, ours)
        )
        notes = erase(deployment.database_url, ours)
        with pytest.raises(errors.ForeignKeyViolation):
            writer.commit()

    assert notes["Message"] is None
    assert count(deployment, "Quote") == 0


def test_a_table_that_is_keyed_to_messages_alone(deployment: Deployment) -> None:
    """Its late row would hang on nothing, and no look by the instance's id would find it."""
    sql_on(
        deployment, 'CREATE TABLE "Note" (id text, "messageId" text NOT NULL REFERENCES "Message" ON DELETE CASCADE)'
    )
    ours = seed(deployment, "ours")
    late = f'INSERT INTO "Note" SELECT \'late\', max(id) FROM "Message" WHERE "instanceId" = \'{ours}\''

    notes = erase(deployment.database_url, ours, at_first("Message", lambda: sql_on(deployment, late)))

    assert "others that refer to them" in (notes["Message"] or "")
    assert count(deployment, "Note") == 0


AUDIT = (
    "CREATE TABLE audit (said text)",
    "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO audit VALUES (OLD.id); RETURN NULL; END $$",
)
TRIGGER = 'CREATE TRIGGER audit AFTER DELETE ON "Message" FOR EACH ROW EXECUTE FUNCTION audit()'


@pytest.mark.parametrize(
    ("change", "says", "fired"),
    [
        ("SELECT 1", "it has a trigger: audit", MESSAGES),
        ('ALTER TABLE "Message" ENABLE ALWAYS TRIGGER audit', "it has a trigger: audit", MESSAGES),
        ('ALTER TABLE "Message" ENABLE REPLICA TRIGGER audit', "it has a trigger: audit", 0),
        ('ALTER TABLE "Message" DISABLE TRIGGER audit', None, 0),
    ],
    ids=["enabled", "always", "replica", "disabled"],
)
def test_an_operators_trigger_does_what_it_did(
    deployment: Deployment, change: str, says: str | None, fired: int
) -> None:
    """One that is for ordinary deletes fires, one that is for replicas does not."""
    sql_on(deployment, *AUDIT, TRIGGER, change)
    ours = seed(deployment, "ours")

    notes = erase(deployment.database_url, ours)

    assert notes["Message"] == says
    assert notes["MessageUpdate"] is None
    assert count(deployment, "audit") == fired


def test_a_trigger_that_is_added_meanwhile_fires_from_then_on(deployment: Deployment) -> None:
    """Each batch looks again, in its own transaction."""
    sql_on(deployment, *AUDIT)
    ours, gone = seed(deployment, "ours"), list[int]()

    def report(counts: dict[str, int]) -> None:
        if "Message" in counts and not gone:
            gone.append(counts["Message"])
            sql_on(deployment, TRIGGER)

    notes = erase(deployment.database_url, ours, report)

    assert notes["Message"] == "it was altered meanwhile"
    assert count(deployment, "audit") == MESSAGES - gone[0] > 0


def test_a_rule_keeps_the_triggers(deployment: Deployment) -> None:
    """It would be passed over as well."""
    sql_on(
        deployment, AUDIT[0], 'CREATE RULE audit AS ON DELETE TO "Message" DO ALSO INSERT INTO audit VALUES (OLD.id)'
    )
    ours = seed(deployment, "ours")

    notes = erase(deployment.database_url, ours)

    assert notes["Message"] == "it has a rule"
    assert count(deployment, "audit") == MESSAGES


def test_messages_that_refer_to_messages(deployment: Deployment) -> None:
    """Batches do not know their order: PostgreSQL clears the references."""
    sql_on(deployment, 'ALTER TABLE "Message" ADD quoted text REFERENCES "Message" ON DELETE SET NULL')
    sql_on(deployment, 'CREATE INDEX ON "Message" (quoted)')
    ours = seed(deployment, "ours")
    sql_on(deployment, 'UPDATE "Message" SET quoted = (SELECT max(id) FROM "Message")')

    notes = erase(deployment.database_url, ours)

    assert notes["Message"] == "its rows refer to each other"
    assert count(deployment, "Message") == 0


def test_a_table_that_lethe_cannot_read_as_a_whole(deployment: Deployment) -> None:
    """A row that the role does not see may refer to what goes."""
    sql_on(deployment, QUOTE.format(rule="ON DELETE SET NULL"), 'ALTER TABLE "Quote" ENABLE ROW LEVEL SECURITY')
    ours, other = seed(deployment, "ours"), seed(deployment, "other", 10)
    quote_of(deployment, other, ours)()

    notes = erase(deployment.database_url, ours)

    assert notes["Message"] == "a table that refers to it cannot be read as a whole: Quote"
    assert count(deployment, "Quote", '"messageId" IS NULL') == 1


PARTITIONED = (
    'CREATE TABLE parted (LIKE "Message" INCLUDING DEFAULTS) PARTITION BY HASH (id)',
    "CREATE TABLE part_0 PARTITION OF parted FOR VALUES WITH (modulus 2, remainder 0)",
    "CREATE TABLE part_1 PARTITION OF parted FOR VALUES WITH (modulus 2, remainder 1)",
    'DROP TABLE "Message" CASCADE',
    'ALTER TABLE parted RENAME TO "Message"',
    'ALTER TABLE "Message" ADD PRIMARY KEY (id)',
    'ALTER TABLE "Message" ADD FOREIGN KEY ("instanceId") REFERENCES "Instance" ON DELETE CASCADE',
    'CREATE INDEX ON "Message" ("instanceId")',
    'ALTER TABLE "MessageUpdate" ADD FOREIGN KEY ("messageId") REFERENCES "Message" ON DELETE CASCADE',
    'ALTER TABLE "Media" ADD FOREIGN KEY ("messageId") REFERENCES "Message" ON DELETE CASCADE',
    *AUDIT,
    "CREATE TRIGGER audit AFTER DELETE ON part_0 FOR EACH ROW EXECUTE FUNCTION audit()",
)
INHERITED = (
    'CREATE TABLE old_messages () INHERITS ("Message")',
    *AUDIT,
    "CREATE TRIGGER audit AFTER DELETE ON old_messages FOR EACH ROW EXECUTE FUNCTION audit()",
)


@pytest.mark.parametrize("changes", [PARTITIONED, INHERITED], ids=["partitioned", "inherited"])
def test_a_message_table_of_several(deployment: Deployment, changes: tuple[str, ...]) -> None:
    """What is attached to its parts does not show on itself: triggers fire."""
    sql_on(deployment, *changes)
    ours = seed(deployment, "ours")
    if changes is INHERITED:
        sql_on(deployment, "INSERT INTO old_messages SELECT * FROM ONLY \"Message\" LIMIT 700",
               "UPDATE old_messages SET id = 'old ' || id")  # fmt: skip
    audited = count(deployment, "part_0" if changes is PARTITIONED else "old_messages")

    notes = erase(deployment.database_url, ours)

    assert notes["Message"] == "it is partitioned or inherits"
    assert count(deployment, "Message") == 0
    assert count(deployment, "audit") == audited > 0


def test_a_deletion_that_is_killed_leaves_nothing_dangling(deployment: Deployment) -> None:
    """kill -9 in the middle; another process goes on, and all is gone."""
    ours = seed(deployment, "ours", 40_000)
    process = multiprocessing.get_context("spawn").Process(target=erase, args=(deployment.database_url, ours))
    process.start()
    wait_until(lambda: count(deployment, "Message") < 40_000, 60, "the first messages to go")

    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    left = count(deployment, "Message")
    dangling = dangling_references(deployment.database_url)
    erase(deployment.database_url, ours)

    assert (left > 0, dangling) == (True, {})
    assert count(deployment, "Instance") == 0


def test_every_table_is_told_apart_in_advance(deployment: Deployment) -> None:
    """For the preview and the doctor: which go without, and why the others do not."""
    sql_on(deployment, *AUDIT, TRIGGER)
    tenant = Tenant(connections.connect(deployment.database_url, name="test"), "public")

    found = triggers.look(tenant, tenant.plan().tables, always=False)
    tenant.engine.dispose()

    assert found.kept == {"Message": "it has a trigger: audit"}
    assert len(found.freed) == len(tenant._plans.popitem()[1].tables) - 2
