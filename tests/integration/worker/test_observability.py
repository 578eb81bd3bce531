"""Alerts and dashboard look at metrics that exist, and every alert has its section."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from api import metrics
from demo.parts import Postgres
from shared.database import connections
from tests.servers import copy_database

OPERATIONS = Path(__file__).parents[3] / "docs/operations"
ALERTS = [
    rule for group in yaml.safe_load((OPERATIONS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
PANELS = json.loads((OPERATIONS / "grafana.json").read_text())["panels"]


@pytest.fixture(scope="module")
def scraped(postgres_part: Postgres) -> set[str]:
    """Every name that /metrics has, as Prometheus stores it."""
    engine = connections.connect(copy_database(postgres_part, "own_template"), name="own")
    text = generate_latest(metrics.registry(engine)).decode()
    engine.dispose()
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


def names_in(expression: str) -> set[str]:
    """The metrics of a query."""
    return set(re.findall(r"\blethe_\w+", expression))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_metrics_that_exist(alert: dict[str, str], scraped: set[str]) -> None:
    """Else it would be silent for ever."""
    assert names_in(alert["expr"])
    assert names_in(alert["expr"]) <= scraped


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_exist(panel: dict[str, list[dict[str, str]]], scraped: set[str]) -> None:
    """Else it would be empty for ever."""
    asked = {name for target in panel["targets"] for name in names_in(target["expr"])}

    assert asked
    assert asked <= scraped


def test_every_metric_is_on_the_dashboard(scraped: set[str]) -> None:
    """A new one is not forgotten."""
    shown = {name for panel in PANELS for target in panel["targets"] for name in names_in(target["expr"])}

    assert scraped - shown == set()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_a_section_of_the_page(alert: dict[str, str]) -> None:
    """Under its name, and the alert leads there."""
    page = (OPERATIONS / "three-in-the-morning.md").read_text()

    assert f"\n## {alert['alert']}\n" in page
    assert alert["annotations"]["runbook"].endswith(f"#{alert['alert'].lower()}")  # type: ignore[attr-defined]
