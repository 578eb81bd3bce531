"""What one small deletion costs, counted at the servers: statements, transactions that write, and Redis commands."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
import pytest
import redis

from demo.evolution.database import create_schema
from demo.evolution.deployment import Deployment
from demo.evolution.gateway import Gateway
from demo.evolution.receiver import Receiver
from demo.evolution.seed import seed_instance
from demo.parts import Postgres, Redis
from shared.database import connections, migrate
from tests.system import GATEWAY_KEY, System, new_settings

MOST_LINES, MOST_WRITING_COMMITS, MOST_WRITING_TRANSACTIONS, MOST_COMMANDS = 130, 8, 27, 130
WARM_UP, MEASURED = 3, 5
# Of its connections: the name, the transaction, its id once it has written, and the statement.
_LINE = re.compile(r"^lethe-(\w+)@(\S+)@(\d+) LOG:  (?:statement|execute [^:]*):\s+(\S.*)((?:\n\t.*)*)", re.MULTILINE)
_WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM)\b(?! SKIP)")
# A busy gateway cleans up late: each further look for that costs two lines, this one and its settings.
_LOOK = 'tenant: SELECT id, "clientName" FROM "public"."Instance" WHERE name = $1'
_LOOKS = 7  # at a gateway that is quick
# Once a second, however many deletions there are.
_BY_THE_CLOCK = "min(moments.at)"


@dataclass(frozen=True)
class Cost:
    """What a deletion cost: lines of PostgreSQL's log, transactions that wrote, and Redis commands."""

    lines: Counter[str]
    commands: Counter[str]
    transactions: int  # with those of one statement, which have no COMMIT
    commits: int  # of those that wrote

    @property
    def lines_in_time(self) -> int:
        """Without the looks for a clean-up that was late."""
        return self.lines.total() - 2 * max(0, self.lines[_LOOK] - _LOOKS)


@dataclass(frozen=True)
class Meter:
    """Reads a PostgreSQL's log and a Redis' counts that nothing but one system uses."""

    postgres: Postgres
    log: Path
    redis: redis.Redis

    def start_log(self) -> None:
        """Have every statement in the log, with its connection and its transaction."""
        with psycopg.connect(self.postgres.url, autocommit=True) as server:
            server.execute("ALTER SYSTEM SET log_statement TO 'all'")
            server.execute("ALTER SYSTEM SET log_line_prefix TO '%a@%v@%x '")
            server.execute("SELECT pg_reload_conf()")

    def measure(self, act: Callable[[], object]) -> Cost:
        """What the act costs."""
        position, commands = self.log.stat().st_size, self._commands()
        act()
        spent = self._commands() - commands
        spent.subtract({"info": 1})
        written = _LINE.findall(self.log.read_bytes()[position:].decode())
        found = [each for each in written if _BY_THE_CLOCK not in each[3]]
        return Cost(
            lines=Counter(" ".join(f"{name}: {first}{rest}".split()) for name, _, _, first, rest in found),
            commands=+spent,
            transactions=len({each[:2] for each in found if _WRITES.search(each[3] + each[4])}),
            commits=sum(first == "COMMIT" and number != "0" for _, _, number, first, _ in found),
        )

    def _commands(self) -> Counter[str]:
        stats = self.redis.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Meter]:
    """Servers of its own: what is counted at them is one system's."""
    with ExitStack() as stack:
        part = Redis.start(tmp_path)
        stack.callback(part.stop)
        client = stack.enter_context(redis.Redis.from_url(part.url))
        postgres = Postgres.start(tmp_path, fast=True)
        stack.callback(postgres.stop)
        yield Meter(postgres, tmp_path / "postgres.log", client)


@pytest.fixture
def system(meter: Meter, tmp_path: Path) -> Iterator[System]:
    """A system as an operator has it: Evolution beside it, with Redis and files; no periodic tasks."""
    base = f"redis://127.0.0.1:{meter.redis.get_connection_kwargs()['port']}"
    (tmp_path / "evolution" / "instances").mkdir(parents=True)
    deployment = Deployment(meter.postgres.create_database("tenant"), f"{base}/2", tmp_path / "evolution", s3=None)
    create_schema(deployment.database_url)
    own_url = meter.postgres.create_database("own")
    own = connections.connect(own_url, name="migrate")
    migrate.upgrade(own)
    own.dispose()
    gateway, receiver = Gateway(deployment.database_url, GATEWAY_KEY), Receiver()
    with ExitStack() as stack:
        for server in (gateway, receiver):
            server.start()
            stack.callback(server.stop)
        settings = new_settings(
            deployment,
            [gateway],
            own_url,
            f"{base}/1",
            worker_concurrency=1,
            heartbeat_seconds=5,
            stale_seconds=30,
            limit_per_minute=10,
            limit_per_hour=100,
        )
        made = System(deployment, [gateway], receiver, settings, tmp_path)
        stack.callback(made.close)
        yield made


def test_a_small_deletion_keeps_its_budget(meter: Meter, system: System) -> None:
    """On a schema that is known, with BEGIN, COMMIT and SET, and with what Celery and kombu send."""
    names = [seed_instance(system.deployment, f"small-{number}").name for number in range(WARM_UP + MEASURED)]
    system.gateways[0].load()
    system.start("web", "worker")
    meter.start_log()
    statuses: list[int] = []

    costs = [meter.measure(lambda name=name: statuses.append(system.delete(name).status)) for name in names]  # type: ignore[misc]

    costs = costs[WARM_UP:]
    logging.getLogger(__name__).info(report(costs))  # pytest --log-cli-level=INFO shows it
    assert statuses == [200] * len(names)
    assert median(each.lines_in_time for each in costs) <= MOST_LINES, report(costs)
    assert median(each.commits for each in costs) <= MOST_WRITING_COMMITS, report(costs)
    assert median(each.transactions for each in costs) <= MOST_WRITING_TRANSACTIONS, report(costs)
    assert min(each.commands.total() for each in costs) <= MOST_COMMANDS, report(costs)  # kombu's go by the clock


def report(costs: list[Cost]) -> str:
    """The figures of all, and where those of the one in the middle come from."""
    middle = sorted(costs, key=lambda each: each.lines.total())[len(costs) // 2]
    lines = [
        f"lines {[each.lines.total() for each in costs]}, transactions that write"
        f" {[each.transactions for each in costs]}, their COMMITs {[each.commits for each in costs]},"
        f" Redis commands {[each.commands.total() for each in costs]}"
    ]
    lines += [f"{number:5} {what[:150]}" for what, number in (middle.lines + middle.commands).most_common()]
    return "\n".join(lines)
