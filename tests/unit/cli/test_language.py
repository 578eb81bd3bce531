"""The command line in the language of the shell, or of --lang."""

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from cli import language as cli_language
from cli.main import main
from shared.translations import language
from tests.unit.cli.test_main import COMMANDS
from tests.unit.conftest import REQUIRED

NO_LOCALE = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    yield
    language.use(language.ENGLISH)


def lethe(*words: str, **env: str) -> Result:
    """The answer of `lethe` in a shell with these variables."""
    return CliRunner().invoke(main, words, prog_name="lethe", env={**NO_LOCALE, **env})


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [
        ([], {}, "Usage"),
        ([], {"LANG": "pt_BR.UTF-8"}, "Uso"),
        ([], {"LANG": "pt_PT.UTF-8"}, "Uso"),
        ([], {"LC_MESSAGES": "pt_BR"}, "Uso"),
        ([], {"LC_ALL": "C", "LANG": "pt_BR.UTF-8"}, "Usage"),
        ([], {"LC_ALL": "C.UTF-8", "LC_MESSAGES": "pt_BR"}, "Usage"),
        ([], {"LC_ALL": "pt_BR.UTF-8", "LANG": "en_US.UTF-8"}, "Uso"),
        ([], {"LANG": "de_DE.UTF-8"}, "Usage"),
        (["--lang", "pt-BR"], {"LANG": "C"}, "Uso"),
        (["--lang", "pt_BR"], {}, "Uso"),
        (["--lang", "en"], {"LANG": "pt_BR.UTF-8"}, "Usage"),
    ],
)
def test_the_language_is_that_of_the_option_else_of_the_shell(
    words: list[str], env: dict[str, str], expected: str
) -> None:
    """LC_ALL before LC_MESSAGES before LANG; what is not known is English."""
    assert lethe(*words, "delete", "--help", **env).output.startswith(f"{expected}:")


def test_an_unknown_language_is_wrong_usage() -> None:
    """If it is asked for by the option."""
    answer = lethe("--lang", "tlh", "list")

    assert answer.exit_code == 2
    assert "en, pt-BR" in answer.output


@pytest.mark.parametrize("path", [*COMMANDS, "lethe", "lethe keys", "lethe audit"])
def test_all_help_is_in_portuguese(path: str) -> None:
    """No line of it is in English, and the example is the same command."""
    words = path.split()[1:]

    english, portuguese = (lethe(*words, "--help", LANG=name).output for name in ("C", "pt_BR.UTF-8"))

    assert {"Usage:", "Options:", "Show this message and exit."}.isdisjoint(portuguese.replace("\n", " ").split("  "))
    same = set(map(str.strip, english.splitlines())) & set(map(str.strip, portuguese.splitlines()))
    assert [line for line in same if len(line.split()) > 4 and not line.startswith("-")] == []
    assert re.findall(r"Example: +(.+)", english) == re.findall(r"Exemplo: +(.+)", portuguese)


def test_wrong_usage_and_missing_settings_are_said_in_portuguese() -> None:
    """Clicks's own words, and those of Lethe; the exit codes are the same."""
    unknown, missing = lethe("nope", LANG="pt_BR"), lethe("list", LANG="pt_BR")

    assert (unknown.exit_code, missing.exit_code) == (2, 4)
    assert "Não existe o comando 'nope'" in unknown.output
    assert "LETHE_DATABASE_URL: não está definida" in missing.output


def test_what_is_wrong_with_several_settings_is_said_in_portuguese() -> None:
    """Such a sentence has no name of a setting before it."""
    given = {f"LETHE_{name.upper()}": value for name, value in REQUIRED.items()}

    answer = lethe("list", LANG="pt_BR", **given, LETHE_API_THREADS="4", LETHE_MAX_WAITERS="4")

    assert answer.exit_code == 4
    assert answer.stderr.splitlines()[-1] == (
        "  max_waiters precisa ser menor que api_threads, senão as chamadas em espera bloqueiam todas as outras"
    )


def test_nothing_of_one_call_is_left_for_the_next() -> None:
    """Neither the language nor a translated text."""
    first, again = lethe("keys", "--help").output, lethe("keys", "--help", LANG="pt_BR").output

    assert lethe("keys", "--help").output == first
    assert {"Usage:", "Options:", "Show this message and exit."} & set(again.replace("  ", "\n").splitlines()) == set()


@pytest.mark.parametrize(("typed", "expected"), [("s", True), ("sim", True), ("y", True), ("", False), ("n", False)])
def test_a_question_is_answered_in_portuguese(typed: str, expected: bool) -> None:
    """Also with the words of English."""

    @click.command()
    def ask() -> None:
        language.use(language.PORTUGUESE)
        click.echo(cli_language.confirm("Criar?"))

    assert CliRunner().invoke(ask, input=f"{typed}\n").output.splitlines()[-1].endswith(str(expected))
