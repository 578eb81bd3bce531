"""Every command that the README and the docs show works as it stands there."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.evolution.seed import seed_instance
from demo.lethe import environment
from tests.system import ROOT, System

# The pages of docs/operations show commands for a deletion that has failed.
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line[2:].split("   #")[0] for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]
MADE = sorted({command for command in COMMANDS if command.startswith("make ")})
TYPED = [command for command in COMMANDS if not command.startswith("make ")]


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A running system with one succeeded deletion, whose receipt lies where the docs have it."""
    made = make_system()
    made.start("web", "worker")
    instance = seed_instance(made.deployment, "of the readme")
    deletion_id = made.delete(instance.name, Prefer="respond-async").body["response"]["deletionId"]
    made.wait_for(deletion_id)
    (made.folder / "receipt.json").write_bytes(made.call("GET", f"/deletions/{deletion_id}/receipt").content)
    yield made
    made.close()


def test_the_docs_show_commands() -> None:
    """A rule about none would always hold."""
    assert "make demo" in MADE
    assert [command for command in TYPED if command.startswith("lethe ")]


@pytest.mark.parametrize("command", [command for command in MADE if command != "make demo"])
def test_what_is_made_can_be_made(command: str) -> None:
    """The target is there; to run the tests from here would never end."""
    shown = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
def test_the_demo_runs() -> None:
    """To its end, with the documented answer, and says that the neighbours are unchanged."""
    ran = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert '200 {"status":"SUCCESS","error":false,"response":{"message":"Instance deleted"}}' in ran.stdout
    assert "Neighbours unchanged" in ran.stdout


@pytest.mark.parametrize("command", TYPED)
def test_a_command_works_as_it_stands_there(system: System, command: str) -> None:
    """In a shell on the server, one after the other; only the address is this system's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"

    ran = subprocess.run(
        ["/bin/sh", "-c", command.replace("https://lethe.example", system.url)],
        cwd=system.folder, env={"PATH": path, **environment(system.settings)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
