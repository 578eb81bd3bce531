"""Metrics for Prometheus, read from Lethe's own database at each scrape: no process keeps counters."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Connection, Engine, text

from shared.database.connections import translate_errors
from shared.deletions import rechecks
from tasks import pipeline

_UNFINISHED = """
SELECT d.status, coalesce(s.name, 'none'), count(*) FROM deletions d
LEFT JOIN steps s ON s.deletion_id = d.id AND s.position = d.position
WHERE d.status NOT IN ('succeeded', 'cancelled') GROUP BY 1, 2"""
_OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(greatest(accepted_at, not_before))), 0) FROM deletions
WHERE status IN ('queued', 'running', 'waiting') OR (status = 'scheduled' AND not_before < now())"""
_STEPS = "SELECT name, sum(attempts), sum(failures) FROM steps GROUP BY 1"
_ENDED = "SELECT status, count(*) FROM deletions WHERE status IN ('succeeded', 'cancelled', 'failed') GROUP BY 1"
_NEED_OPERATOR = "SELECT count(*) FROM deletions WHERE status = 'failed' AND irrevocable_at IS NOT NULL"
_WEBHOOKS = "SELECT status, count(*) FROM webhook_events GROUP BY 1"
_STAMPS = "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM stamps WHERE next_try_at IS NOT NULL"
_CAME_BACK = """
SELECT kind, sum(CAST(number AS bigint)) FROM deletions, jsonb_each_text(came_back) AS found (kind, number)
WHERE came_back_at IS NOT NULL GROUP BY 1"""
_RECONCILER = "SELECT coalesce(extract(epoch FROM max(ticked_at)), 0) FROM clocks WHERE name = 'reconciler'"


class Deletions:
    """Collects all metrics in one database connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """All metric families; every step is present, also with a count of 0."""
        with translate_errors("the own database"), self._engine.connect() as connection:
            yield from _collect(connection)


def _collect(connection: Connection) -> Iterable[Metric]:
    unfinished = GaugeMetricFamily(
        "lethe_deletions_unfinished", "Deletions by status and step", labels=["status", "step"]
    )
    for status, step, number in connection.execute(text(_UNFINISHED)):
        unfinished.add_metric([status, step], number)
    yield unfinished
    oldest = connection.execute(text(_OLDEST)).scalar_one()
    yield GaugeMetricFamily("lethe_oldest_deletion_seconds", "Age of the oldest deletion under way", oldest)
    stuck = connection.execute(text(_NEED_OPERATOR)).scalar_one()
    yield GaugeMetricFamily(
        "lethe_deletions_need_operator", "Deletions that failed after the point of no return", stuck
    )
    yield _by_status(connection, _ENDED, "lethe_deletions_ended", "Deletions that have ended")
    attempts = CounterMetricFamily("lethe_step_attempts", "Times a step was claimed", labels=["step"])
    failures = CounterMetricFamily("lethe_step_failures", "Failures of the step itself", labels=["step"])
    found = {name: (tries, errors) for name, tries, errors in connection.execute(text(_STEPS))}
    for name in pipeline.NAMES:
        tries, errors = found.get(name, (0, 0))
        attempts.add_metric([name], float(tries))
        failures.add_metric([name], float(errors))
    yield from (attempts, failures)
    yield _by_status(connection, _WEBHOOKS, "lethe_webhooks", "Webhooks by status")
    yield _came_back(connection)
    waited = connection.execute(text(_STAMPS)).scalar_one()
    yield GaugeMetricFamily("lethe_oldest_stamp_seconds", "Age of the oldest time stamp that is not there yet", waited)
    last = connection.execute(text(_RECONCILER)).scalar_one()
    yield GaugeMetricFamily("lethe_reconciler_last_run_timestamp_seconds", "When the reconciler last ran", float(last))


def _by_status(connection: Connection, query: str, name: str, description: str) -> Metric:
    family = GaugeMetricFamily(name, description, labels=["status"])
    for status, number in connection.execute(text(query)):
        family.add_metric([status], number)
    return family


def _came_back(connection: Connection) -> Metric:
    family = CounterMetricFamily("lethe_came_back", "What was found after a success, by kind", labels=["kind"])
    found = {kind: float(number) for kind, number in connection.execute(text(_CAME_BACK))}
    for kind in rechecks.KINDS:  # start at 0, else Prometheus does not count the first increase
        family.add_metric([kind], found.get(kind, 0.0))
    return family


def registry(engine: Engine) -> CollectorRegistry:
    """A registry with only these metrics."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Deletions(engine))
    return made
