"""`lethe` on the server: what it does, what it says, and with which exit code."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from demo.evolution.seed import seed_instance
from demo.lethe import Lethe, environment
from demo.parts import Postgres
from demo.ports import server_port
from demo.processes import NotReady, wait_until
from tests.integration.inline import accept, run_all, run_steps
from tests.integration.shell import lethe
from tests.system import ROOT, System

pytestmark = pytest.mark.system()
_PORTUGUESE = {"LC_ALL": "pt_BR.UTF-8"}


def test_the_demos_settings_bring_the_command_along(system: System, tmp_path: Path) -> None:
    """A shell that has read them, from whatever folder, knows `lethe`."""
    path = Lethe(system.settings, tmp_path).write_environment()

    told = subprocess.run(
        ["sh", "-c", f". {shlex.quote(str(path))}; lethe --version"],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.stdout.startswith("lethe, version"), told.stderr


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


def test_the_list_says_how_old_where_and_by_whom(system: System) -> None:
    """Under a header; an empty one says so beside its output, and is [] for a script."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "listed")
    deletion_id = str(accept(services, instance.id, "listed"))

    listed, none = lethe(system, "list", "--limit", "1"), lethe(system, "list", "--status", "failed")
    (first, *_), empty = (
        json.loads(lethe(system, "list", "--json", *more).stdout) for more in ([], ["--status", "failed"])
    )

    header, row = listed.stdout.splitlines()
    assert header.split() == ["id", "status", "age", "step", "by", "name", "reason"]
    assert re.fullmatch(rf"{deletion_id}  queued +[\d.]+ (?:s|min)  logout +admin bootstrap +'listed'", row)
    assert "--limit" in listed.stderr
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "There are no failed deletions\n")
    assert (first["id"], first["step"], first["reason"], empty) == (deletion_id, "logout", None, [])
    assert first["requestedBy"] == {"role": "admin", "keyId": "bootstrap", "keyName": None}
    services.close()


def test_a_finished_one_shows_its_times_and_its_webhook(system: System) -> None:
    """As it ran on a real database, the refused webhook with its reason."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "timed", webhook_url="http://10.0.0.1/hook")
    system.gateways[0].load()
    deletion_id = accept(services, instance.id, "timed")
    run_all(services, deletion_id)
    services.close()

    shown = lethe(system, "show", str(deletion_id), COLUMNS="200").stdout
    facts = json.loads(lethe(system, "show", str(deletion_id), "--json").stdout)

    assert re.search(r"finished +\d{4}-.*, after \d", shown)
    assert "requested by  admin, LETHE_ADMIN_KEY" in shown
    assert "instance: refused, its address is not allowed (LETHE_WEBHOOK_ALLOW" in shown
    assert facts["webhooks"][0]["status"] == "refused"
    assert facts["steps"]["confirm"]["finishedAt"] <= facts["finishedAt"]


def test_a_waiting_one_shows_why_and_until_when(system: System) -> None:
    """A gateway that is away: the next try, and when it gives up."""
    services = system.make_services(gateways=(f"http://127.0.0.1:{server_port()}",), retry_seconds=0.1)
    instance = seed_instance(system.deployment, "kept waiting")
    deletion_id = accept(services, instance.id, "kept waiting")
    run_steps(services, deletion_id, "logout")
    services.close()

    shown = lethe(system, "show", str(deletion_id), COLUMNS="200").stdout
    (row,) = json.loads(lethe(system, "list", "--status", "waiting", "--json").stdout)

    assert re.search(r"reason +.*cannot be reached", shown)
    assert re.search(r"next try +20.* \((in \d+\.?\d* s|due)\)", shown)
    assert re.search(r"without progress it fails 20.* \(in 24 h\)", shown)
    assert (row["id"], row["step"], "cannot be reached" in row["reason"]) == (str(deletion_id), "logout", True)
    lethe(system, "cancel", str(deletion_id))


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
        ({"LETHE_DATABASE_URL": f"postgresql://x@127.0.0.1:{server_port()}/x"}, 3, "own database cannot be reached"),
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


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("LETHE_REDIS_URL", "Redis cannot be reached"),
        ("LETHE_TENANT_DATABASE_URL", "Is LETHE_TENANT_SCHEMA right"),
    ],
)
def test_an_order_says_which_setting_leads_nowhere(system: System, variable: str, words: str) -> None:
    """By the part's name, and never with Lethe's own migrations for tables of Evolution's."""
    seed_instance(system.deployment, f"wanted beside {variable}")
    wrong = {
        "LETHE_REDIS_URL": f"redis://127.0.0.1:{server_port()}/0",
        "LETHE_TENANT_DATABASE_URL": system.settings.database_url.get_secret_value(),
    }

    answer = lethe(system, "delete", f"wanted beside {variable}", "--yes", **{variable: wrong[variable]})

    assert answer.returncode == 3, answer.stderr
    assert words in answer.stderr
    assert "db upgrade" not in answer.stderr


def test_show_watches_until_the_end(system: System) -> None:
    """Line by line in a pipe: how many steps are done, and exit code 0 when it has succeeded."""
    instance = seed_instance(system.deployment, "watched")
    services = system.make_services()
    deletion_id = accept(services, instance.id, "watched")
    system.gateways[0].load()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(lethe, system, "show", str(deletion_id), "--watch")
        run_all(services, deletion_id)
        answer = watching.result()

    lines = answer.stdout.splitlines()
    assert answer.returncode == 0, answer.stderr
    assert lines[-1] == "succeeded  7 of 7 steps"
    assert max(map(len, lines)) <= 120
    services.close()


def test_show_watches_for_a_script(system: System) -> None:
    """One JSON document a line; exit code 1 for one that did not succeed."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "watched by a script")
    deletion_id = str(accept(services, instance.id, "watched by a script"))
    lethe(system, "cancel", deletion_id)

    answer = lethe(system, "show", deletion_id, "--watch", "--json")

    (line,) = answer.stdout.splitlines()
    assert answer.returncode == 1
    assert json.loads(line)["status"] == "cancelled"
    assert json.loads(line)["steps"]["logout"] == {
        "status": "pending",
        "removed": 0,
        "planned": 0,
        "perSecond": 0.0,
        "etaSeconds": None,
    }
    services.close()


def test_a_terminal_sees_a_table(system: System) -> None:
    """Each step with what it removed, drawn again and again."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "drawn [bold]")
    deletion_id = accept(services, instance.id, "drawn [bold]")
    system.gateways[0].load()
    run_all(services, deletion_id)
    services.close()

    screen = in_a_terminal(system, "show", str(deletion_id), "--watch")

    assert re.search(r"delete_records +done +\d+ / \d+", screen)
    assert "drawn [bold]" in screen
    assert "\x1b[" in screen


def in_a_terminal(system: System, *words: str) -> str:
    """What the command writes to a terminal of 100 columns."""
    master, slave = pty.openpty()
    env = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "COLUMNS": "100", **environment(system.settings)}
    command = [sys.executable, "-m", "cli", *words]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=ROOT) as process:
        os.close(slave)
        written = b"".join(iter(lambda: _read(master), b""))
        process.wait(60)
    os.close(master)
    return written.decode()


def _read(terminal: int) -> bytes:
    """Some of what was written; nothing when the other side is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_no_line_is_too_long(system: System) -> None:
    """Not even for an instance with rows in every table and a long name."""
    services = system.make_services()
    name = "long " * 50
    instance = seed_instance(system.deployment, name)
    system.gateways[0].load()
    deletion_id = accept(services, instance.id, name)
    run_all(services, deletion_id)
    services.close()

    shown = lethe(system, "show", str(deletion_id), COLUMNS="90")

    assert "Message" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 90


def test_a_closed_pipe_is_no_traceback(system: System) -> None:
    """As with `lethe config | head -1`: nothing on standard error."""
    command = f"{shlex.quote(sys.executable)} -m cli config | head -1"
    env = {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **environment(system.settings)}
    answer = subprocess.run(
        ["/bin/sh", "-c", command], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert answer.stdout.startswith("LETHE_ADMIN_KEY")
    assert answer.stderr == ""


def handles_ctrl_c(pid: int) -> bool:
    """Whether the process has a handler for it: the interpreter's at its start, or that of a command."""
    caught = re.search(r"^SigCgt:\s*(\S+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.parametrize("pause_seconds", [0.2, 0.6, 3])
def test_ctrl_c_is_no_traceback(system: System, pause_seconds: float) -> None:
    """Whenever it comes: while the program is loaded, or while it follows a deletion."""
    services = system.make_services()
    instance = seed_instance(system.deployment, f"interrupted after {pause_seconds}")
    deletion_id = str(accept(services, instance.id, instance.name))
    services.close()
    command = [sys.executable, "-m", "cli", "show", deletion_id, "--watch"]
    env = {"PATH": "/usr/bin:/bin", **environment(system.settings)}

    with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(pause_seconds)
        # Before Lethe's first line, the interpreter itself shows what was interrupted; on a busy machine it is slow.
        with suppress(NotReady):
            wait_until(lambda: not handles_ctrl_c(process.pid), 2, "Lethe's first line, or its command")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert process.returncode in (130, -signal.SIGINT), errors
    assert errors.strip() in ("Interrupted", "")


def test_migrations_are_shown_and_run(system: System, postgres_part: Postgres) -> None:
    """A new database has no schema; the upgrade brings it to the newest, and can be run again."""
    url = {"LETHE_DATABASE_URL": postgres_part.create_database("not_migrated")}

    before, listed = lethe(system, "db", "status", **url), lethe(system, "list", **url)
    first, second = (lethe(system, "db", "upgrade", "--json", **url) for _ in range(2))
    after = lethe(system, "db", "status", "--json", **url)

    assert (before.returncode, after.returncode) == (1, 0)
    assert "There is no schema yet, the newest is " in before.stdout
    assert "lethe db upgrade" in before.stderr
    assert (listed.returncode, "lethe db upgrade" in listed.stderr) == (3, True)
    assert json.loads(first.stdout)["before"] is None
    assert json.loads(second.stdout)["before"] == json.loads(after.stdout)["newest"]


@pytest.mark.parametrize("words", [("list",), ("doctor",), ("sweep",), ("db", "status"), ("db", "upgrade")])
@pytest.mark.parametrize(
    "changes",
    [
        {"LETHE_DATABASE_URL": f"postgresql://x:hidden-word@127.0.0.1:{server_port()}/x"},
        {"LETHE_TENANT_DATABASE_URL": f"postgresql://x:hidden-word@127.0.0.1:{server_port()}/x"},
        {"LETHE_CACHE_URL": f"redis://:hidden-word@127.0.0.1:{server_port()}/0"},
        {"LETHE_REDIS_URL": "redis://:hidden-word@127.0.0.1:port/0"},
        {"LETHE_DATABASE_URL": "postgresql://x:hidden-word@127.0.0.1:port/x"},
    ],
    ids=["no database", "no tenant database", "no cache", "a Redis URL without sense", "a URL without sense"],
)
def test_no_command_shows_a_traceback_or_a_password(
    system: System, words: tuple[str, ...], changes: dict[str, str]
) -> None:
    """Whatever is wrong or away."""
    answer = lethe(system, *words, **changes)

    assert answer.returncode in (0, 1, 3, 4)
    assert answer.returncode == 0 or answer.stderr or words == ("doctor",)
    assert "Traceback" not in answer.stderr
    assert "hidden-word" not in answer.stdout + answer.stderr


def test_people_read_portuguese(system: System) -> None:
    """A preview, and the reason why a name cannot be deleted."""
    name = seed_instance(system.deployment, "pousada").name

    preview, unknown = lethe(system, "preview", name, **_PORTUGUESE), lethe(system, "preview", "nada", **_PORTUGUESE)

    assert "Nada disto pode ser recuperado" in preview.stdout
    assert (preview.returncode, unknown.returncode) == (0, 1)
    assert unknown.stderr == 'A instância "nada" não existe\n'


def test_scripts_and_the_audit_read_english(system: System) -> None:
    """The same keys, values and reasons, whatever the language of the shell."""
    order = ("delete", "nada", "--yes", "--json")
    english, portuguese = lethe(system, *order, LC_ALL="C"), lethe(system, *order, **_PORTUGUESE)
    lines = json.loads(lethe(system, "audit", "list", "--limit", "2", "--json", **_PORTUGUESE).stdout)["lines"]

    assert json.loads(portuguese.stdout) == json.loads(english.stdout)
    assert json.loads(portuguese.stdout)[0]["reason"] == 'The "nada" instance does not exist'
    assert [line["reason"] for line in lines] == ["unknown instance", "unknown instance"]
