"""The units of docs/operations are valid, and run what the Procfile runs, as the page says."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from demo.lethe import PROCFILE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/operations/systemd"
PAGE = (ROOT / "docs/operations/systemd.md").read_text()
UNITS = {path.name: path.read_text() for path in FOLDER.glob("lethe*") if path.is_file()}
COMMON = (FOLDER / "lethe-.service.d/common.conf").read_text()
HOME = "/opt/lethe"


def value(unit: str, name: str) -> str:
    """Of a directive that is there once."""
    (found,) = re.findall(rf"^{name}=(.*)$", UNITS[unit], re.MULTILINE)
    return str(found)


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """With what they share; the programs that they start are stand-ins."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        missing = "no systemd-analyze here: apt-get install systemd"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "bin").mkdir()
    for name in ("lethe", "gunicorn", "celery"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for path in tmp_path.rglob("*"):
        if path.suffix in (".service", ".conf"):
            path.write_text(path.read_text().replace(HOME, str(tmp_path)))
    names = [name.replace("@.", "@1.") for name in UNITS]

    done = subprocess.run(
        [analyze, "verify", "--man=no", *names],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("process", PROCFILE)
def test_a_unit_runs_what_the_procfile_runs(process: str) -> None:
    """From the folder of an installed package: no file of the source is there, and each worker has a name."""
    unit = f"lethe-{process}{'@' if process == 'worker' else ''}.service"
    command = value(unit, "ExecStart").replace(" --hostname worker-%i@%%h", "")

    assert shlex.split(command) == [
        word.replace("api/gunicorn_config.py", "python:api.gunicorn_config")
        for word in shlex.split(f"{HOME}/bin/{PROCFILE[process]}")
    ]


@pytest.mark.parametrize("unit", ["lethe-web.service", "lethe-worker@.service"])
def test_a_unit_has_the_time_to_end_that_compose_gives(unit: str) -> None:
    """And the signal goes to the first process alone."""
    assert "stop_grace_period: 70s" in (ROOT / "docker-compose.yml").read_text()
    assert value(unit, "TimeoutStopSec") == "70"
    assert value(unit, "KillMode") == "mixed"


def test_the_page_names_what_there_is() -> None:
    """Units, and the file that the common part reads."""
    named = set(re.findall(r"lethe-(?:web|worker@|beat|flower|migrate)", PAGE))

    assert named == {name.removesuffix(".service") for name in UNITS if name.endswith(".service")}
    (settings,) = re.findall(r"--output (\S+)", PAGE)
    assert f"EnvironmentFile={settings}" in COMMON
