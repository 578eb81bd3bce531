"""What an operator installs: a wheel with its dependencies alone, in a folder of its own, run as the units run it."""

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.evolution.seed import seed_instance
from demo.lethe import environment
from demo.parts import Postgres
from demo.processes import Process, wait_until
from shared.version import VERSION
from tests.system import ROOT, System

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
UNITS = ROOT / "docs/operations/systemd"
_INSTALL_SECONDS = 400


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, as pipx makes it; the versions are those of the image."""
    folder = tmp_path_factory.mktemp("installed")
    source, home = folder / "source", folder / "home"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info", "tests"))
    pip = [home / "bin/python", "-m", "pip"]
    quiet = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    for argv in (
        [sys.executable, "-m", "venv", home],
        [*quiet, "--require-hashes", "-r", ROOT / "requirements-image.lock"],
        [*quiet, "--no-deps", source],
        [*pip, "check"],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr[-3000:]}"
    return home


def command(unit: str, installed: Path) -> list[str]:
    """What the unit starts, from this folder."""
    (line,) = re.findall(r"^ExecStart=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return shlex.split(line.replace("/opt/lethe", str(installed)).replace("%i", "1").replace("%%", "%"))


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], postgres_part: Postgres) -> System:
    """A system whose own database is empty."""
    own = postgres_part.create_database("of_the_installed")
    return make_system(database_url=own)


@pytest.fixture
def run(installed: Path, system: System, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command with the settings and nothing else, in a folder where no file of the source is."""

    def run_command(argv: list[str]) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{installed}/bin:/usr/bin:/bin", **environment(system.settings)}
        return subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return run_command


def test_the_command_line_is_there(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """With its texts in both languages, and without anything that only the tests need."""
    version, help_page = run(["lethe", "--version"]), run(["lethe", "--lang", "pt-BR", "--help"])
    packages = run(["python", "-c", "import importlib.util as u; print(u.find_spec('pytest'), u.find_spec('tests'))"])

    assert version.stdout == f"lethe, version {VERSION}\n"
    assert help_page.returncode == 0, help_page.stderr
    assert "Comandos" in help_page.stdout
    assert packages.stdout == "None None\n"


def test_the_units_run_a_deletion(
    run: Callable[..., subprocess.CompletedProcess[str]], installed: Path, system: System, tmp_path: Path
) -> None:
    """The migrations, then web and a worker; web tells systemd when it is ready, and both end when asked to."""
    migrated = run(command("lethe-migrate.service", installed))
    assert migrated.returncode == 0, migrated.stderr
    instance = seed_instance(system.deployment, "installed", messages=5)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(60)
        processes = list(start(installed, system, tmp_path))
        said = notified.recv(4096)
    wait_until(system._worker_answers, 60, "the worker", process=processes[1])
    answer = system.delete(instance.name)
    console = system.send("GET", "/console/sign-in", key=None)
    ends = [process.stop(timeout=70, ask=signal.SIGTERM) for process in processes]

    assert b"READY=1" in said
    assert answer.status == 200, answer.text
    assert console.status == 200
    assert ends == [0, 0]


def start(installed: Path, system: System, folder: Path) -> Iterator[Process]:
    """Web and a worker, as the units have them."""
    env = {**environment(system.settings), "NOTIFY_SOCKET": str(folder / "notify")}
    for name, unit in {"web": "lethe-web.service", "worker": "lethe-worker@.service"}.items():
        argv = command(unit, installed)
        yield Process.start(name, argv, log=folder / f"{name}.log", env=env, cwd=folder)
