"""What Flower shows of a deletion: which step, of which deletion, and nothing personal."""

from collections.abc import Callable
from typing import Any

import requests

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from tasks.pipeline import NAMES
from tests.system import System, running


def test_flower_shows_each_step_with_the_deletions_id(make_system: Callable[..., System]) -> None:
    """By the names of the documentation; the arguments are an id and a number, the name is nowhere."""
    system = make_system()
    name, port = "5511999990000", server_port()
    seed_instance(system.deployment, name, messages=3)
    # Its API is off without authentication, unless one says so.
    env = {"FLOWER_PORT": str(port), "FLOWER_UNAUTHENTICATED_API": "true"}
    url = f"http://127.0.0.1:{port}"

    with running(system, "web", "worker"):
        system.start("flower", env=env)
        wait_until(lambda: answers(f"{url}/healthcheck"), 30, "Flower", process=system.processes["flower"])
        deletion_id = system.delete(name, Prefer="respond-async").body["response"]["deletionId"]
        system.wait_for(deletion_id)
        wait_until(lambda: len(done(url)) == len(NAMES), 20, "Flower's view of the steps")
        tasks, text = done(url), requests.get(f"{url}/api/tasks", timeout=5).text

    assert {task["name"] for task in tasks} == {f"lethe.{step}" for step in NAMES}
    assert all(deletion_id in task["args"] for task in tasks)
    assert name not in text


def done(url: str) -> list[dict[str, Any]]:
    """The steps that ended, as Flower has them."""
    tasks: dict[str, dict[str, Any]] = requests.get(f"{url}/api/tasks", timeout=5).json()
    steps = {f"lethe.{step}" for step in NAMES}
    return [task for task in tasks.values() if task["name"] in steps and task["state"] == "SUCCESS"]


def answers(url: str) -> bool:
    """Whether it serves."""
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
