"""The compose file starts what Lethe's settings accept, beside an Evolution that runs in containers too."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from shared.settings import Settings
from tests.unit.conftest import REQUIRED

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
OVERRIDE: dict[str, Any] = yaml.safe_load((ROOT / "docs/operations/docker-compose.override.yml").read_text())
# What a compose file of Evolution may well call its own.
COMMON_NAMES = {"postgres", "redis", "db", "cache", "rabbitmq", "evolution"}


def test_its_stores_are_not_taken_for_evolutions() -> None:
    """A service's name is known on each of its networks: one that both have leads to either."""
    environment = SERVICES["web"]["environment"]
    hosts = {re.split("[@/]", environment[f"LETHE_{name}_URL"])[-2].split(":")[0] for name in ("DATABASE", "REDIS")}

    assert hosts <= SERVICES.keys()
    assert not SERVICES.keys() & COMMON_NAMES


def test_the_override_adds_to_services_that_there_are() -> None:
    """And leaves them in the network of their own stores."""
    assert OVERRIDE["services"].keys() <= SERVICES.keys()
    assert all("default" in service["networks"] for service in OVERRIDE["services"].values())


def test_settings_accept_what_the_compose_file_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its whole .env reaches Lethe, which refuses variables of its prefix that it does not know."""
    for variable in re.findall(r"\$\{(LETHE_\w+)", COMPOSE):
        monkeypatch.setenv(variable, "given")

    assert isinstance(Settings(**REQUIRED), BaseSettings)


def test_no_port_is_fixed() -> None:
    """Whatever has it already keeps Lethe from starting."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("${") for port in ports)


def test_no_port_is_open_to_the_network() -> None:
    """Not before somebody says so: the proxy before Lethe is on the same host, and no page suggests another way."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    pages = [*ROOT.glob("*.md"), ROOT / ".env.example"]
    pages += [path for kind in ("md", "conf", "yml") for path in ROOT.glob(f"docs/**/*.{kind}")]
    suggestions = [path.name for path in pages if "0.0.0.0" in path.read_text()]

    assert all(":-127.0.0.1:" in port for port in ports)
    assert suggestions == []
