"""`lethe` on the server: what it does, what it says, and with which exit code."""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from demo.evolution.seed import seed_instance
from demo.processes import free_port
from tests.integration.inline import accept, run_steps
from tests.integration.shell import lethe
from tests.system import System


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A deployment without processes."""
    made = make_system()
    yield made
    made.stop()


def test_cancel_and_show(system: System) -> None:
    """Once it can be cancelled, then it is too late."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "regretted")
    deletion_id = str(accept(services, instance.id, "regretted"))

    first, second = lethe(system, "cancel", deletion_id), lethe(system, "cancel", deletion_id)
    shown = lethe(system, "show", deletion_id, "--json")

    assert (first.returncode, second.returncode) == (0, 1)
    assert "it is cancelled" in second.stderr
    assert json.loads(shown.stdout)["status"] == "cancelled"
    services.close()


def test_retry_lets_a_failed_one_go_on(system: System) -> None:
    """And says so when there is nothing to resume."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "retried")
    deletion_id = accept(services, instance.id, "retried")
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed' WHERE id = %s", (deletion_id,))

    first, second = lethe(system, "retry", str(deletion_id)), lethe(system, "retry", str(deletion_id))
    run_steps(services, deletion_id, "logout", attempt=2)

    assert (first.returncode, second.returncode) == (0, 1)
    assert "logout          done" in lethe(system, "show", str(deletion_id)).stdout
    services.close()


@pytest.mark.parametrize("words", [("show",), ("retry",), ("cancel",)])
def test_an_unknown_deletion_is_said_to_be_unknown(system: System, words: tuple[str, ...]) -> None:
    """With an exit code of its own, and on standard error."""
    answer = lethe(system, *words, str(uuid4()))

    assert answer.returncode == 1
    assert "no such deletion" in answer.stderr


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"LETHE_DATABASE_URL": f"postgresql://x@127.0.0.1:{free_port()}/x"}, 3, "own database cannot be reached"),
        ({"LETHE_DATABASE_URL": ""}, 4, "LETHE_DATABASE_URL"),
        ({"LETHE_SECRET_KEY": "short"}, 4, "LETHE_SECRET_KEY"),
        ({"LETHE_ADMIN_KEY": "", "LETHE_ADMIN_KEY_FILE": "/nonexistent/key"}, 4, "/nonexistent/key"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(system: System, changes: dict[str, str], code: int, words: str) -> None:
    """Never a traceback, never a secret."""
    answer = lethe(system, "show", str(uuid4()), **changes)

    assert answer.returncode == code, answer.stderr
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "short" not in answer.stderr.replace("LETHE", "")
