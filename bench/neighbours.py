"""Neighbours: another tenant's inserts and selects at a steady rate, idle, beside Lethe, and beside the plain way."""

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, cycle
from multiprocessing.connection import Connection

import psycopg

from bench.figures import Figure
from bench.ground import Ground
from bench.rows import plain_way, seed_tenant, settle
from bench.steps import ready, run_step
from demo.evolution.deployment import Deployment, SeededInstance
from shared import services

_APART = multiprocessing.get_context("spawn")  # so that it does not wait for this process's interpreter lock
_RATE = 200  # calls a second
_IDLE_SECONDS = {"small": 2, "medium": 3, "large": 3}
_MESSAGES = {"small": 10_000, "medium": 200_000, "large": 500_000}
_ROUNDS = {"small": 2, "medium": 3, "large": 3}


@dataclass
class Watch:
    """What the neighbour felt, and what the database was under."""

    waits: list[float] = field(default_factory=list)
    longest_transaction: float = 0.0
    wal_per_second: float = 0.0


@contextmanager
def _neighbour(deployment: Deployment, instance: SeededInstance) -> Iterator[Watch]:
    """A tenant that writes and reads, in a process of its own; and a look at the longest transaction and the WAL."""
    watch, over = Watch(), threading.Event()
    ours, its = _APART.Pipe()
    process = _APART.Process(target=_live, args=(deployment.database_url, instance.id, its))
    process.start()
    its.close()  # so that its end is seen here, should it die
    ours.recv()  # it lives
    looker = threading.Thread(target=_look, args=(deployment, watch, over))
    looker.start()
    try:
        yield watch
    finally:
        over.set()
        looker.join()
        ours.send(None)
        watch.waits = ours.recv()
        process.join()


def _live(database_url: str, instance_id: str, bench: Connection) -> None:
    """Call at a steady rate until told to end; then hand over how long each call took.

    What Evolution does for each message that arrives: look the contact up by its index, write the message. A SELECT
    with a LIMIT and no order would be planned as a sequential scan, which begins where another one is just reading.
    """
    insert = (
        'INSERT INTO "Message" (id, key, "messageType", message, source, "messageTimestamp", "instanceId")'
        " VALUES (gen_random_uuid()::text, '{}', 'conversation', '{}', 'android', 1760000000, %s)"
    )
    contacts = 'SELECT "remoteJid" FROM "Contact" WHERE "instanceId" = %s'
    select = 'SELECT * FROM "Contact" WHERE "instanceId" = %s AND "remoteJid" = %s'
    waits: list[float] = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        known = cycle([jid for (jid,) in connection.execute(contacts, (instance_id,)).fetchall()])
        bench.send(None)
        due = time.perf_counter()
        while not bench.poll():
            # A steady rate: the next call comes when it is due, however fast the last one was.
            # From when it was due: a call that had to wait for the one before it has waited, too.
            time.sleep(max(0.0, due - time.perf_counter()))
            if len(waits) % 2:
                connection.execute(insert, (instance_id,))
            else:
                connection.execute(select, (instance_id, next(known))).fetchall()
            waits.append(time.perf_counter() - due)
            due = max(due + 1 / _RATE, time.perf_counter() - 1.0)
    bench.send(waits)


def _look(deployment: Deployment, watch: Watch, over: threading.Event) -> None:
    longest = (
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float FROM pg_stat_activity"
        " WHERE state = 'active' AND query LIKE 'DELETE%'"
    )
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        began, start = time.perf_counter(), _wal(connection)
        while not over.wait(0.05):
            row = connection.execute(longest).fetchone()
            watch.longest_transaction = max(watch.longest_transaction, float(row[0]) if row else 0.0)
        watch.wal_per_second = (_wal(connection) - start) / (time.perf_counter() - began)


def _wal(connection: psycopg.Connection) -> float:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float").fetchone()
    assert row
    return float(row[0])


def _during(deployment: Deployment, neighbour: SeededInstance, act: Callable[[], object]) -> Watch:
    with _neighbour(deployment, neighbour) as watch:
        act()
    return watch


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """p99 beside Lethe against idle, and against the plain way."""
    deployment = ground.deployment()
    made = services.create(ground.settings(deployment, "http://127.0.0.1:9"))
    neighbour = seed_tenant(deployment, "neighbour", _MESSAGES[scale])
    found: dict[str, list[Watch]] = {"idle": [], "ours": [], "theirs": []}
    for at in range(_ROUNDS[scale]):
        mine, plain = (seed_tenant(deployment, f"{way} {at}", _MESSAGES[scale]) for way in ("ours", "theirs"))
        deletion_id = ready(made, mine, "delete_records")
        settle(made)
        # The reference: as long a look at the neighbour while nothing else is done.
        found["idle"].append(_during(deployment, neighbour, lambda: time.sleep(_IDLE_SECONDS[scale])))
        found["ours"].append(_during(deployment, neighbour, lambda: run_step(made, deletion_id, "delete_records")))  # noqa: B023
        settle(made)
        found["theirs"].append(_during(deployment, neighbour, lambda: plain_way(made, plain)))  # noqa: B023
    made.close()
    # Of all rounds' calls together: one round has so few that its p99 is its second worst.
    waits = {way: list(chain.from_iterable(watch.waits for watch in watches)) for way, watches in found.items()}
    p99 = {way: statistics.quantiles(waits[way], n=100)[98] * 1000 for way in found}
    notes = {
        way: {
            "calls": len(waits[way]),
            "p50, ms": statistics.median(waits[way]) * 1000,
            "longest transaction, s": max(watch.longest_transaction for watch in watches),
            "WAL, MB/s": statistics.median(watch.wal_per_second for watch in watches) / 1e6,
        }
        for way, watches in found.items()
    }
    yield Figure("a neighbour's p99 beside Lethe", "idle", p99["ours"], p99["idle"], "ms", at_most=1.5, notes=notes)
    yield Figure(
        "a neighbour's p99 beside Lethe", "beside one DELETE per table", p99["ours"], p99["theirs"], "ms", at_most=0.5
    )
    yield Figure(
        "longest transaction", "one DELETE per table", notes["ours"]["longest transaction, s"],
        notes["theirs"]["longest transaction, s"], "s",
    )  # fmt: skip
