"""Every command says how it is used."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.main import main
from cli.runtime import INTERRUPTED, NOT_POSSIBLE, NOT_REACHABLE, NOT_SET, Commands
from tests.unit.conftest import REQUIRED

ROOT = Path(__file__).parents[3]
COMMAND_LINE = ROOT / "docs/command-line.md"
# A text for a shell, a show for people, and a document that is JSON anyway; everything else can be read by a script.
WITHOUT_JSON = {"lethe completion", "lethe demo", "lethe receipt show", "lethe receipt stamp"}
WITHOUT_SETTINGS = {
    "lethe completion",
    "lethe demo",
    "lethe init",
    "lethe receipt verify",
    "lethe export verify",
    "lethe evidence verify",
}


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """All commands, by their full names."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(main, "lethe"))
every_command = pytest.mark.parametrize("path", COMMANDS)


@every_command
def test_help_has_an_example(path: str) -> None:
    """An example of this command, with options that exist."""
    shown = CliRunner().invoke(main, [*path.split()[1:], "--help"], prog_name="lethe")

    example = re.search(r"^  Example:\s+(.+)", shown.output, re.MULTILINE)
    assert shown.exit_code == 0
    assert example
    assert example[1].startswith(path)
    known = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", example[1])) <= known


@every_command
def test_a_script_can_read_the_answer(path: str) -> None:
    """With --json."""
    names = {parameter.name for parameter in COMMANDS[path].params}

    assert "as_json" in names or path in WITHOUT_JSON


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in WITHOUT_SETTINGS])
def test_what_is_missing_in_the_settings_is_said(path: str) -> None:
    """Exit code 4, and no traceback, from each command that needs a setting."""
    filling = "3f0c0000-0000-4000-8000-000000000000"  # good as an id, and as a name
    arguments = [filling for parameter in COMMANDS[path].params if isinstance(parameter, click.Argument)]
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option) and parameter.required:
            choices = getattr(parameter.type, "choices", [filling])
            arguments += [parameter.opts[0], str(choices[0])]

    answer = CliRunner().invoke(main, [*path.split()[1:], *arguments], prog_name="lethe")

    assert answer.exit_code == 4, answer.output
    assert "LETHE_DATABASE_URL" in answer.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell: str) -> None:
    """The script is for this shell, and calls `lethe`."""
    answer = CliRunner().invoke(main, ["completion", shell], prog_name="lethe")

    assert answer.exit_code == 0
    assert f"_LETHE_COMPLETE={shell}_complete" in answer.output


def test_a_completion_knows_the_commands() -> None:
    """In the shell's completion protocol."""
    answer = CliRunner().invoke(
        main,
        [],
        prog_name="lethe",
        env={"_LETHE_COMPLETE": "bash_complete", "COMP_WORDS": "lethe do", "COMP_CWORD": "1"},
    )

    assert "plain,doctor" in answer.output.splitlines()


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, and one word."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.actions.setup.read_settings", interrupt)
    answer = CliRunner().invoke(main, ["config"], prog_name="lethe")

    assert answer.exit_code == 130
    assert answer.stderr.strip() == "Interrupted"


def test_ctrl_c_is_not_lost_within_an_import(tmp_path: Path) -> None:
    """There it can meet a destructor, in which Python ignores what is raised."""
    pressed = (
        "import os, signal\nclass Last:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGINT)\nLast()\n"
    )
    (tmp_path / "pressed.py").write_text(pressed)
    lines = "import click; from cli.runtime import Commands\n"
    lines += "Commands('lethe', {'load': click.Command('load', callback=lambda: __import__('pressed'))}).main(['load'])"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{tmp_path}"}

    ended = subprocess.run([sys.executable, "-c", lines], env=env, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(("pressed", "code"), [(KeyboardInterrupt, INTERRUPTED), (EOFError, NOT_POSSIBLE)])
def test_ctrl_c_at_a_prompt_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, pressed: type[BaseException], code: int
) -> None:
    """Ctrl-D is a wrong answer."""

    def press(_: str) -> str:
        raise pressed

    asking = Commands("lethe", {"ask": click.Command("ask", callback=lambda: click.prompt("Type it"))})
    monkeypatch.setattr("click.termui.visible_prompt_func", press)
    with pytest.raises(SystemExit) as ended:
        asking.main(["ask"])

    assert ended.value.code == code


@pytest.mark.parametrize(
    "words", [["sweep", "--remove", "--json"], ["doctor", "--fix", "--json"], ["tombstones", "replay", "--json"]]
)
def test_a_script_is_not_asked(words: list[str]) -> None:
    """It needs --yes."""
    answer = CliRunner().invoke(main, words, prog_name="lethe")

    assert answer.exit_code == 2
    assert "--yes" in answer.stderr


def test_help_and_docs_tell_the_same_exit_codes() -> None:
    """All of them, and no others."""
    shown = CliRunner().invoke(main, ["--help"], prog_name="lethe").output
    told = COMMAND_LINE.read_text().split("Exit codes: ")[1].split("\n\n")[0]

    helped = re.findall(r"^ +(\d+) +\S", shown.split("Exit codes:")[1].split("Options:")[0], re.MULTILINE)
    assert helped == re.findall(r"\b(\d+) [a-zA-Z]", told)
    assert {0, NOT_POSSIBLE, 2, NOT_REACHABLE, NOT_SET, INTERRUPTED} == {int(code) for code in helped}


def test_config_masks_secrets_and_says_where_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By variable, file or default."""
    for name, value in REQUIRED.items():
        monkeypatch.setenv(f"LETHE_{name.upper()}", value)
    monkeypatch.setenv("LETHE_DATABASE_URL", "postgresql://lethe:hidden-word@own.invalid/own")
    key_file = tmp_path / "key"
    key_file.write_text("hidden-word-of-the-file")
    monkeypatch.delenv("LETHE_ADMIN_KEY")
    monkeypatch.setenv("LETHE_ADMIN_KEY_FILE", str(key_file))

    answer = CliRunner().invoke(main, ["config", "--json"], prog_name="lethe")

    rows = {row["setting"]: (row["value"], row["from"]) for row in json.loads(answer.stdout)}
    assert "hidden-word" not in answer.output
    assert REQUIRED["secret_key"] not in answer.output
    assert rows["LETHE_DATABASE_URL"] == ("postgresql://lethe:***@own.invalid/own", "LETHE_DATABASE_URL")
    assert rows["LETHE_ADMIN_KEY"] == ("***", f"LETHE_ADMIN_KEY_FILE={key_file}")
    assert rows["LETHE_WAIT_SECONDS"] == (25.0, "default")
