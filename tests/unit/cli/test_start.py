"""Commands import heavy libraries only when they run, so that help and wrong usage answer at once."""

import pytest

from tests.unit.cli.test_main import COMMANDS
from tests.unit.fresh import loaded_by

HEAVY = {
    "alembic",
    "babel",
    "boto3",
    "celery",
    "cryptography",
    "kombu",
    "psycopg",
    "pydantic",
    "redis",
    "requests",
    "sqlalchemy",
}


def after(*calls: list[str], ends: int, **env: str) -> set[str]:
    """The modules that are loaded after these calls of `lethe` in one process; each ends with this exit code."""
    nowhere = {"database_url": "postgresql://127.0.0.1:9/own"}
    return loaded_by(
        f"from click.testing import CliRunner\nfrom cli.main import main\nfor words in {list(calls)!r}:\n"
        f"    answer = CliRunner().invoke(main, words, prog_name='lethe', env={env!r})\n"
        f"    assert answer.exit_code == {ends}, (words, answer.output)\n",
        **nowhere,
    )


def test_help_loads_nothing_heavy() -> None:
    """Neither the help of `lethe`, nor that of a command."""
    assert after(["--help"], *([*path.split()[1:], "--help"] for path in COMMANDS), ends=0) & HEAVY == set()


def test_wrong_usage_loads_nothing_heavy() -> None:
    """An unknown command, and an unknown option of each."""
    wrong = ([*path.split()[1:], "--no-such-option"] for path in COMMANDS)

    assert after(["no-such-command"], *wrong, ends=2) & HEAVY == set()


@pytest.mark.parametrize(
    "typed", ["lethe do", "lethe list --st", "lethe list --status fa", "lethe keys create --role "]
)
def test_a_completion_loads_nothing_heavy(typed: str) -> None:
    """The shell calls it at each Tab."""
    words = {"_LETHE_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}

    assert after([], ends=0, **words) & HEAVY == set()


def test_the_list_needs_only_the_own_database() -> None:
    """It cannot be reached here: exit code 3."""
    assert after(["list"], ends=3) & {"alembic", "boto3", "celery", "redis", "requests"} == set()
