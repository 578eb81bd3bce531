"""How deletions are confirmed on a terminal."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import click
import pytest
from click.testing import CliRunner, Result

from cli import confirmation, orders
from shared.access.confirmation import text_to_type
from shared.database.enums import ConfirmationMethod
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from shared.settings import ConfirmationMode
from tasks.orders.delete import UnknownInstance


def instance(name: str) -> Instance:
    """An instance whose id contains its name."""
    return Instance(f"id of {name}", name, None)


def deployment(*names: str, confirmation: ConfirmationMode = ConfirmationMode.OFF) -> Services:
    """Services with a tenant database in which instances have these names."""
    there = {instance(name).id: instance(name) for name in names}

    def find(*, name: str = "", instance_id: str | None = None) -> Instance | None:
        return there.get(instance_id or instance(name).id)

    tenant = SimpleNamespace(find=find)
    return cast(Services, SimpleNamespace(tenant=tenant, settings=SimpleNamespace(confirmation=confirmation)))


def run(body: Callable[[], None], typed: str = "") -> Result:
    """Run the body as a command, with this input."""
    return CliRunner().invoke(click.Command("c", callback=body), input=typed)


@pytest.mark.parametrize(
    ("name", "word"),
    [("acme", "acme"), ("a b", "a b"), ("", "id"), (" a", "id"), ("a\n", "id"), ("a\x1b[2J", "id"), ("é", "é")],
)
def test_what_is_typed_can_be_typed(name: str, word: str) -> None:
    """The name, or the id when the name cannot be typed or seen."""
    assert text_to_type("id", name) == word


@pytest.mark.parametrize(
    ("typed", "code"), [("acme\n", 0), ("acme \n", 1), ("Acme\n", 1), ("yes\n", 1), ("\n", 1), ("", 1)]
)
def test_one_is_confirmed_by_its_name_alone(typed: str, code: int) -> None:
    """Exactly; its id is shown beside it."""
    answer = run(lambda: click.echo(confirmation.of_one(deployment("acme"))(instance("acme"))), typed)

    assert answer.exit_code == code
    assert "'acme' (id id of acme) will be erased" in answer.stderr
    assert (ConfirmationMethod.TERMINAL.value in answer.stdout) is (code == 0)


def test_an_instance_that_was_erased_while_the_operator_typed_is_not_deleted_again() -> None:
    """A second deletion would call the webhooks again, and its receipt would be empty."""
    answer = run(lambda: click.echo(confirmation.of_one(deployment())(instance("acme"))), "acme\n")

    assert isinstance(answer.exception, UnknownInstance)


@pytest.mark.parametrize(("typed", "code"), [("2\n", 0), ("3\n", 1), ("yes\n", 1), ("", 1)])
def test_many_are_confirmed_by_their_number(typed: str, code: int) -> None:
    """By nothing else."""
    answer = run(lambda: confirmation.ask_for_number(2), typed)

    assert answer.exit_code == code
    assert "Type 2 to delete them" in answer.stderr


@pytest.mark.parametrize(
    ("yes", "demand", "code", "says"),
    [
        (True, ConfirmationMode.OFF, 0, ""),
        (False, ConfirmationMode.OFF, 2, "a script needs --yes"),
        (True, ConfirmationMode.TOTP, 1, "LETHE_CONFIRMATION is totp"),
        (False, ConfirmationMode.TOKEN, 2, "no terminal"),
    ],
)
def test_a_script_needs_yes(yes: bool, demand: ConfirmationMode, code: int, says: str) -> None:
    """Unless LETHE_CONFIRMATION requires more."""
    answer = run(lambda: confirmation.check_possible(deployment(confirmation=demand), yes=yes))

    assert answer.exit_code == code
    assert says in answer.stderr


def test_a_file_is_read_exactly_as_it_is(tmp_path: Path) -> None:
    """A name may begin with # or a space; repeated names and empty lines do not count."""
    (tmp_path / "names").write_text("\ufeff# one\n two \r\n\n# one\ntwo\n", encoding="utf-8")

    assert orders.read_names(tmp_path / "names") == ["# one", " two ", "two"]


def test_orders_that_were_not_done_are_counted_and_unknown_names_listed() -> None:
    """At the end, with an exit code; nothing is printed when all were done."""
    good = orders.Result("a", "an id", "queued")
    unknown = [orders.Result(name, None, "refused", "why", exists=False) for name in ("b", "c")]

    some = run(lambda: orders.check_all_done([unknown[0], good, unknown[1]]))
    every, one = run(lambda: orders.check_all_done([good, good])), run(lambda: orders.check_all_done([unknown[0]]))

    assert some.exit_code == 1
    assert some.stderr == "No instance has these names: 'b', 'c'\n2 of 3 deletions not done\n"
    assert (every.exit_code, every.stderr) == (0, "")
    assert (one.exit_code, one.stderr) == (1, "It was not done\n")
