"""Neighbours: what another tenant at a steady rate loses, idle, beside Lethe, and beside the plain way."""

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, cycle
from multiprocessing.connection import Connection

import psycopg

from bench.figures import Figure
from bench.ground import Ground
from bench.rows import Template, seed_tenant
from demo.evolution.deployment import Deployment, SeededInstance

_APART = multiprocessing.get_context("spawn")  # so that it does not wait for this process's interpreter lock
_RATE = 200  # calls a second
_IDLE_SECONDS = {"small": 2, "medium": 3, "large": 3}
_MESSAGES = {"small": 10_000, "medium": 200_000, "large": 500_000}
_ROUNDS = {"small": 2, "medium": 7, "large": 3}


@dataclass
class Watch:
    """What the neighbour felt, and what the database was under."""

    waits: list[float] = field(default_factory=list)  # of a SELECT and an INSERT in turn
    longest_transaction: float = 0.0
    wal_per_second: float = 0.0

    def lost(self, usual: tuple[float, float]) -> float:
        """Seconds by which its calls took longer than usual, in all."""
        return sum(max(0.0, wait - usual[at % 2]) for at, wait in enumerate(self.waits))


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
            time.sleep(max(0.0, due - time.perf_counter()))  # until the next call is due: the steady rate
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
        " WHERE state <> 'idle' AND query LIKE '%DELETE FROM%' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        began, start = time.perf_counter(), _wal(connection)
        while not over.wait(0.02):
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
    """What the neighbour loses beside Lethe, and its p99, against the plain way."""
    deployment = ground.deployment()
    neighbour = seed_tenant(deployment, "neighbour", _MESSAGES[scale])
    template = Template.of(ground, deployment, seed_tenant(deployment, "ours", _MESSAGES[scale]))
    found: dict[str, list[Watch]] = {"idle": [], "ours": [], "theirs": []}
    for at in range(_ROUNDS[scale]):
        for way in found if at % 2 else reversed(found):
            with template.deletion(way) as (copy, act):
                if way == "idle":
                    act = partial(time.sleep, _IDLE_SECONDS[scale])  # the reference: nothing else is done
                found[way].append(_during(copy, neighbour, act))
    yield from _figures(found)


def _figures(found: dict[str, list[Watch]]) -> Iterator[Figure]:
    idle = found["idle"]
    usual = tuple(statistics.median(chain.from_iterable(each.waits[kind::2] for each in idle)) for kind in (0, 1))
    notes = {way: _notes(watches, (usual[0], usual[1])) for way, watches in found.items()}
    for what, unit, at_most in (
        ("a neighbour's loss in all", "s", 0.3), ("a neighbour's p99", "ms", 1.0), ("a neighbour's p95", "ms", None),
        ("longest transaction", "s", None),
    ):  # fmt: skip
        ours, theirs = notes["ours"][what], notes["theirs"][what]
        yield Figure(f"{what} beside Lethe", "beside one DELETE per table", ours, theirs, unit, at_most, notes=notes)
    for what in ("a neighbour's p99", "a neighbour's p95"):
        yield Figure(f"{what} beside Lethe", "idle", notes["ours"][what], notes["idle"][what], "ms")


def _notes(watches: list[Watch], usual: tuple[float, float]) -> dict[str, float]:
    """The percentiles of all rounds' calls together: one round has so few that its p99 is its second worst."""
    waits = [wait for watch in watches for wait in watch.waits]
    percentiles = statistics.quantiles(waits, n=100)
    return {
        "calls": len(waits),
        "a neighbour's loss in all": statistics.median(watch.lost(usual) for watch in watches),
        "a neighbour's loss a second": sum(watch.lost(usual) for watch in watches) / len(waits) * _RATE,
        "a neighbour's p50": statistics.median(waits) * 1000,
        "a neighbour's p95": percentiles[94] * 1000,
        "a neighbour's p99": percentiles[98] * 1000,
        "longest transaction": max(watch.longest_transaction for watch in watches),
        "WAL, MB/s": statistics.median(watch.wal_per_second for watch in watches) / 1e6,
    }
