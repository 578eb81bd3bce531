"""Before logout, the statements of the steps are tried on Evolution's database, as operators have changed it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from api.app import create
from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from shared.errors import RequirementNotMet
from shared.evolution.rows import listing
from shared.evolution.rows.tenant import Tenant
from shared.services import Services
from tasks import pipeline
from tasks.context import Target
from tests.integration.rehearsal.test_rehearsal import made, order, refusal
from tests.system import ADMIN_KEY, System

TRIGGER = (
    "CREATE FUNCTION operators() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
    'CREATE {kind} ON "{table}" {deferred} FOR EACH ROW EXECUTE FUNCTION operators()'
)
UNDO = "DROP FUNCTION operators CASCADE"


def trigger(table: str, when: str, body: str) -> tuple[str, str]:
    """A trigger of an operator's, and how it is removed."""
    kind = f"TRIGGER operators {when}" if when.startswith("BEFORE") else f"CONSTRAINT TRIGGER operators {when}"
    deferred = "" if when.startswith("BEFORE") else "DEFERRABLE INITIALLY DEFERRED"
    return TRIGGER.format(body=body, kind=kind, table=table, deferred=deferred), UNDO


REFUSED = {
    "an update that becomes nothing": (
        *trigger("Instance", "BEFORE UPDATE", "RETURN NULL;"),
        '"Instance" drops or reverts upd',
    ),
    "an update that changes nothing": (
        *trigger("Instance", "BEFORE UPDATE", "RETURN OLD;"),
        '"Instance" drops or reverts upd',
    ),
    "an insert that becomes nothing": (
        *trigger("Instance", "BEFORE INSERT", "RETURN NULL;"),
        '"Instance" drops or reverts ins',
    ),
    "a deletion of the instance that becomes nothing": (
        *trigger("Instance", "BEFORE DELETE", "RETURN NULL;"),
        '"Instance" drops or reverts deletes',
    ),
    "a deletion of a row that becomes nothing": (
        *trigger("Message", "BEFORE DELETE", "RETURN NULL;"),
        '"Message" drops or reverts deletes',
    ),
    "a channel that stays on": (*trigger("Webhook", "BEFORE UPDATE", "RETURN OLD;"), '"Webhook" drops or reverts upd'),
    "an error at the commit": (*trigger("Chat", "AFTER DELETE", "RAISE 'never';"), "deferred constraint"),
    "a rule": (
        'CREATE RULE operators AS ON DELETE TO "Contact" DO INSTEAD NOTHING',
        'DROP RULE operators ON "Contact"',
        '"Contact" drops or reverts deletes',
    ),
    "a publication of a table without a key": (
        'CREATE TABLE "Keyless" ("instanceId" text); CREATE PUBLICATION operators FOR ALL TABLES',
        'DROP PUBLICATION operators; DROP TABLE "Keyless"',
        'covers table "Keyless"',
    ),
    "a column that holds no id": (
        'CREATE TABLE "Numbered" (id int PRIMARY KEY, "instanceId" int)',
        'DROP TABLE "Numbered"',
        'table "Numbered" is of type integer',
    ),
    "a lost unique index": (
        'DROP INDEX "Instance_name_key"',
        'CREATE UNIQUE INDEX "Instance_name_key" ON "Instance" (name)',
        "having one name",
    ),
    "rows of another schema": (
        "CREATE SCHEMA reports; CREATE TABLE reports.report"
        ' (id serial PRIMARY KEY, "messageId" text REFERENCES public."Message"(id) ON DELETE CASCADE);'
        ' INSERT INTO reports.report ("messageId") SELECT id FROM "Message" WHERE "instanceId" = \'{id}\' LIMIT 3',
        "DROP SCHEMA reports CASCADE",
        '3 rows of "reports"."report"',
    ),
    "an instance with a required column more": (
        'ALTER TABLE "Instance" ADD COLUMN paid boolean NOT NULL DEFAULT true;'
        ' ALTER TABLE "Instance" ALTER paid DROP DEFAULT',
        'ALTER TABLE "Instance" DROP COLUMN paid',
        '"Instance" failed',
    ),
}
ALLOWED = {
    "another schema's table without such rows": (
        "CREATE SCHEMA reports; CREATE TABLE reports.report"
        ' (id serial PRIMARY KEY, "messageId" text REFERENCES public."Message"(id))',
        "DROP SCHEMA reports CASCADE",
    ),
    "a column of type uuid": (
        'CREATE TABLE "Typed" (id int PRIMARY KEY, "instanceId" uuid);'
        " INSERT INTO \"Typed\" VALUES (1, '{id}'), (2, gen_random_uuid())",
        'DROP TABLE "Typed"',
    ),
    "a trigger that lets all pass": trigger("Message", "BEFORE DELETE", "RETURN OLD;"),
}


# The steps run in the tests.
pytestmark = pytest.mark.system()


@contextmanager
def changed(system: System, ddl: str, undo: str, instance: SeededInstance) -> Iterator[None]:
    """The database as an operator has changed it."""
    with system.deployment.connect() as connection:
        connection.execute(ddl.replace("{id}", instance.id))
    try:
        yield
    finally:
        with system.deployment.connect() as connection:
            connection.execute(undo)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused(system: System, case: str) -> None:
    """By one sentence, before logout; every row is as it was."""
    ddl, undo, words = REFUSED[case]
    instance = seed_instance(system.deployment, case, webhook_url=system.receiver.url)

    with changed(system, ddl, undo, instance), made(system) as services:
        assert words in refusal(system, services, instance.id, case)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_works_is_not_refused(system: System, name: str) -> None:
    """The instance goes, with its rows in the operator's tables."""
    ddl, undo = ALLOWED[name]
    instance = seed_instance(system.deployment, name)

    with changed(system, ddl, undo, instance), made(system) as services:
        assert order(services, instance.id, name)[0] == "succeeded"
        if "Typed" in ddl:
            with system.deployment.connect() as connection:
                assert connection.execute('SELECT id FROM "Typed"').fetchall() == [(2,)]

    assert not fingerprint_of(system.deployment, instance.id, name)


@pytest.fixture(scope="module")
def limited(system: System) -> dict[str, Any]:
    """A role with the rights that the documents name, and no more."""
    role = f"limited_{system.deployment.database_url.rpartition('/')[2]}"
    with system.deployment.connect() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    return {"tenant_database_url": SecretStr(system.deployment.database_url.replace("postgres@", f"{role}@"))}


def test_a_rehearsal_needs_no_right_that_a_deletion_does_not_need(system: System, limited: dict[str, Any]) -> None:
    """The role of the documents is enough for both."""
    instance = seed_instance(system.deployment, "limited")

    with made(system, **limited) as services:
        assert order(services, instance.id, "limited")[0] == "succeeded"


SECURED = {
    "Message": 'ALTER TABLE "Message" ENABLE ROW LEVEL SECURITY',
    "Session": 'ALTER TABLE "Session" ENABLE ROW LEVEL SECURITY',
    "Instance": 'ALTER TABLE "Instance" ENABLE ROW LEVEL SECURITY;'
    ' CREATE POLICY operators ON "Instance" FOR SELECT USING (true)',
    "Own": 'CREATE TABLE "Own" (id int PRIMARY KEY, "instanceId" text); INSERT INTO "Own" VALUES (1, \'{id}\');'
    ' GRANT ALL ON "Own" TO PUBLIC; ALTER TABLE "Own" ENABLE ROW LEVEL SECURITY',
}


@pytest.mark.parametrize("table", SECURED)
def test_row_level_security_is_refused(system: System, limited: dict[str, Any], table: str) -> None:
    """For a role that it hides rows from: PostgreSQL would report them as gone."""
    instance = seed_instance(system.deployment, f"secured {table}")
    undo = f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS operators ON "{table}"'
    undo = 'DROP TABLE "Own"' if table == "Own" else undo

    with changed(system, SECURED[table], undo, instance), made(system, **limited) as services:
        before = fingerprint(system.deployment)
        assert order(services, instance.id, instance.name)[0] != "succeeded"
        with pytest.raises(RequirementNotMet, match=f'rows of "{table}".*BYPASSRLS'):
            services.row_rehearsal.rehearse(services.tenant, instance.id)
        assert fingerprint(system.deployment) == before


def test_a_token_that_cannot_be_looked_up_is_nobodys(system: System, limited: dict[str, Any]) -> None:
    """The caller is told no more than with any wrong key; an admin is told what is in the way."""
    instance = seed_instance(system.deployment, "hidden")
    undo = 'ALTER TABLE "Instance" DISABLE ROW LEVEL SECURITY; DROP POLICY operators ON "Instance"'

    with changed(system, SECURED["Instance"], undo, instance), made(system, **limited) as services:
        client = create(services).test_client()
        strange = client.get("/deletions", headers={"apikey": instance.token})
        order = {"instanceName": "hidden", "dryRun": True}
        told = client.post("/deletions", headers={"apikey": ADMIN_KEY}, json=order)

    assert (strange.status_code, strange.json) == (401, {"error": True, "message": "Unauthorized"})
    assert told.status_code == 400
    assert "row-level security" in told.json["message"]


def untried(services: Services, instance: SeededInstance) -> list[str]:
    """What a rehearsal says that it could not try."""
    pipeline.rehearse(Target(services, instance.id, instance.name))
    return services.row_rehearsal.untried()


def test_a_trigger_that_reaches_outside_is_not_fired(system: System) -> None:
    """What it does there could not be taken back; it is named."""
    instance = seed_instance(system.deployment, "reaching out")
    function = "CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM dblink('x'); END $$;"
    ddl, undo = trigger("MessageUpdate", "BEFORE DELETE", "PERFORM calls(); RETURN OLD;")

    with changed(system, function + ddl, f"{undo}; DROP FUNCTION calls", instance), made(system) as services:
        sentences = untried(services, instance)

    (sentence,) = sentences
    assert sentence.startswith('not tried: "IntegrationSession", "Message", "MessageUpdate": the trigger operators')


def test_what_takes_long_is_not_refused_and_not_tried_again_at_once(system: System) -> None:
    """It is said not to have been tried; the next deletion does not wait for it."""
    instance = seed_instance(system.deployment, "slow")
    ddl, undo = trigger("Chat", "BEFORE DELETE", "PERFORM pg_sleep(0.5); INSERT INTO seen VALUES (1); RETURN OLD;")
    ddl = f"CREATE TABLE seen (id int); {ddl}"

    with changed(system, ddl, f"{undo}; DROP TABLE seen", instance), made(system) as services:
        assert [untried(services, instance) for _ in range(2)] == [
            ['not tried: "Chat": it took too long, or another session held its rows']
        ] * 2
        with system.deployment.connect() as connection:
            assert connection.execute("SELECT * FROM seen").fetchall() == []


def test_another_instances_rows_make_no_second_trial(system: System) -> None:
    """What worked once is known until the schema changes; then it is tried again."""
    first, second = (seed_instance(system.deployment, name) for name in ("tried", "not tried"))
    ddl, undo = trigger("Chat", "BEFORE DELETE", "PERFORM nextval('trials'); RETURN OLD;")
    with changed(system, f"CREATE SEQUENCE trials; {ddl}", f"{undo}; DROP SEQUENCE trials", first):
        with made(system) as services:
            for instance in (first, second, first):
                assert untried(services, instance) == []
            with system.deployment.connect() as connection:
                tried = connection.execute("SELECT last_value FROM trials").fetchall()
                connection.execute('ALTER TABLE "Chat" ADD COLUMN more text')
            assert untried(services, second) == []
        with system.deployment.connect() as connection:
            again = connection.execute("SELECT last_value FROM trials").fetchall()
            connection.execute('ALTER TABLE "Chat" DROP COLUMN more')

    assert (tried, again) == ([(1,)], [(2,)])


LOOKS: dict[str, Callable[[Tenant], object]] = {
    "one by name": lambda tenant: tenant.find(name="anything"),
    "many by name": lambda tenant: listing.find_all(tenant, names=["anything"]),
    "long disconnected": lambda tenant: listing.find_disconnected(tenant, 60),
}


@pytest.mark.parametrize("look", LOOKS)
def test_an_order_says_what_the_role_lacks(system: System, limited: dict[str, Any], look: str) -> None:
    """A role that may not read the instances is told so, for one name as for many."""
    secured = seed_instance(system.deployment, f"unread {look}")
    undo = 'ALTER TABLE "Instance" DISABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS operators ON "Instance"'

    with (
        changed(system, SECURED["Instance"], undo, secured),
        made(system, **limited) as services,
        pytest.raises(RequirementNotMet, match="BYPASSRLS"),
    ):
        LOOKS[look](services.tenant)
