"""What Flower shows of a deletion: which step, of which deletion, and nothing personal."""

from collections.abc import Callable
from itertools import count
from typing import Any

import requests

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from tasks.pipeline import NAMES
from tests.system import System, running


def test_flower_shows_each_step_with_the_deletions_id(make_system: Callable[..., System]) -> None:
    """By the names of the documentation; the arguments are an id and a number, the name is nowhere.

    Flower turns the workers' events on some seconds after its start: an earlier deletion is not shown.
    """
    system = make_system()
    port, names = server_port(), (f"55119999900{number:02}" for number in count())
    # Its API is off without authentication, unless one says so.
    env = {"FLOWER_PORT": str(port), "FLOWER_UNAUTHENTICATED_API": "true"}
    url = f"http://127.0.0.1:{port}"

    with running(system, "web", "worker"):
        system.start("flower", env=env)
        wait_until(lambda: answers(f"{url}/healthcheck"), 30, "Flower", process=system.processes["flower"])
        deletions = list[str]()

        def is_last_one_shown() -> bool:
            if deletions and len(done(url, deletions[-1])) == len(NAMES):
                return True
            seed_instance(system.deployment, name := next(names), messages=3)
            deletions.append(system.delete(name, Prefer="respond-async").body["response"]["deletionId"])
            return not system.wait_for(deletions[-1])

        wait_until(is_last_one_shown, 60, "Flower's view of the steps")
        tasks, text = done(url, deletions[-1]), requests.get(f"{url}/api/tasks", timeout=5).text

    assert {task["name"] for task in tasks} == {f"lethe.{step}" for step in NAMES}
    assert "55119999900" not in text


def done(url: str, deletion_id: str) -> list[dict[str, Any]]:
    """The deletion's steps that ended, as Flower has them."""
    tasks: dict[str, dict[str, Any]] = requests.get(f"{url}/api/tasks", timeout=5).json()
    steps = {f"lethe.{step}" for step in NAMES}
    ended = [task for task in tasks.values() if task["name"] in steps and task["state"] == "SUCCESS"]
    return [task for task in ended if deletion_id in task["args"]]


def answers(url: str) -> bool:
    """Whether it serves."""
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
