"""Seven steps, in the documented order; each a plain module."""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from amqp.exceptions import AccessRefused, NotAllowed
from kombu.exceptions import OperationalError

from docs.syntax import parse
from shared import celery_app
from shared.deletions.republishing import StepMessage
from shared.settings import Settings
from tasks import pipeline, publishing
from tasks.context import Target

ORDER = ["logout", "purge_cache", "send_webhook", "deregister", "delete_records", "delete_files", "confirm"]
DELETION = UUID(int=7)


def tree(step: str) -> ast.Module:
    """A step's code."""
    return parse(inspect.getsource(importlib.import_module(f"tasks.{step}")))


def imports(step: str) -> set[str]:
    """Everything a step imports, as module and module.name."""
    found = set()
    for node in ast.walk(tree(step)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_steps_are_the_seven_in_their_order() -> None:
    """As documented; what is told comes before what is removed, what is checked comes last."""
    assert list(pipeline.NAMES) == ORDER
    assert [step.name for step in pipeline.PIPELINE] == ORDER


def test_every_step_is_found_by_its_name() -> None:
    """And is the one of the pipeline, not a copy."""
    assert {name: pipeline.BY_NAME[name] for name in ORDER} == {step.name: step for step in pipeline.PIPELINE}


@pytest.mark.parametrize("step", ORDER)
def test_a_step_runs_the_functions_of_its_own_module(step: str) -> None:
    """The name leads to the file."""
    module = importlib.import_module(f"tasks.{step}")

    assert pipeline.BY_NAME[step].rehearse is module.rehearse
    assert pipeline.BY_NAME[step].preview is module.preview
    assert pipeline.BY_NAME[step].run is module.run


@pytest.mark.parametrize("step", ORDER)
def test_a_step_says_what_it_does_in_one_sentence(step: str) -> None:
    """One line, one full stop at its end."""
    docstring = ast.get_docstring(tree(step)) or ""

    assert re.fullmatch(r"[A-Z][^\n]*\.", docstring)
    assert not re.search(r"\. [A-Z]", docstring)


@pytest.mark.parametrize("step", ORDER)
def test_a_step_has_a_rehearsal_a_preview_and_a_run(step: str) -> None:
    """Of one argument each."""
    functions = {node.name: node for node in tree(step).body if isinstance(node, ast.FunctionDef)}

    assert [argument.arg for argument in functions["rehearse"].args.args] == ["target"]
    assert [argument.arg for argument in functions["preview"].args.args] == ["target"]
    assert [argument.arg for argument in functions["run"].args.args] == ["ctx"]


@pytest.mark.parametrize("step", ORDER)
def test_a_step_knows_neither_celery_nor_flask_nor_another_step(step: str) -> None:
    """It can be called from anywhere."""
    forbidden = {"celery", "kombu", "flask", "werkzeug"}
    others = {f"tasks.{other}" for other in (*ORDER, "pipeline")}

    assert {name.split(".")[0] for name in imports(step)} & forbidden == set()
    assert imports(step) & others == set()


@dataclass
class Broker:
    """Takes messages, or does not."""

    failure: Exception | None = None
    chains: list[list[tuple[str, tuple[Any, ...]]]] = field(default_factory=list)
    priorities: list[int] = field(default_factory=list)

    @contextmanager
    def taking(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """In place of the real one."""
        with monkeypatch.context() as patch:
            patch.setattr(publishing, "chain", self._chain)
            yield

    def _chain(self, *steps: Any, app: object) -> SimpleNamespace:
        assert all(step.immutable for step in steps)
        messages = [(step.task, tuple(step.args)) for step in steps]
        return SimpleNamespace(apply_async=lambda *, priority: self._take(messages, priority))

    def _take(self, steps: list[tuple[str, tuple[Any, ...]]], priority: int) -> None:
        if self.failure:
            raise self.failure
        self.chains.append(steps)
        self.priorities.append(priority)


@pytest.fixture
def services(make_settings: Callable[..., Settings]) -> Any:
    """As much of them as publishing needs."""
    return SimpleNamespace(
        settings=make_settings(), redis=SimpleNamespace(get=lambda _: None), celery=celery_app.create(make_settings())
    )


@pytest.mark.parametrize("position", range(7))
def test_the_chain_begins_at_the_next_step(services: Any, monkeypatch: pytest.MonkeyPatch, position: int) -> None:
    """Each message carries the deletion and its attempt, nothing else."""
    broker = Broker()

    with broker.taking(monkeypatch):
        published = publishing.publish(services, StepMessage(DELETION, 3, position))

    assert published
    assert broker.chains == [[(f"lethe.{name}", (str(DELETION), 3)) for name in ORDER[position:]]]


@pytest.mark.parametrize(
    ("in_bulk", "position", "priority"),
    [
        (True, 0, celery_app.BULK_PRIORITY),
        (True, 1, celery_app.NORMAL_PRIORITY),
        (False, 0, celery_app.NORMAL_PRIORITY),
    ],
)
def test_one_of_many_begins_after_all_others(
    services: Any, monkeypatch: pytest.MonkeyPatch, in_bulk: bool, position: int, priority: int
) -> None:
    """And then goes on like them."""
    broker = Broker()

    with broker.taking(monkeypatch):
        publishing.publish(services, StepMessage(DELETION, 1, position, in_bulk))

    assert broker.priorities == [priority]


@pytest.mark.parametrize(
    "failure",
    [
        OperationalError("away"),
        ConnectionRefusedError("away"),
        TimeoutError("away"),
        AccessRefused("RabbitMQ: another password"),
        NotAllowed("RabbitMQ: no such virtual host"),
    ],
)
def test_a_broker_that_is_away_is_no_error(services: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """The reconciler publishes what nobody claims."""
    with Broker(failure).taking(monkeypatch):
        assert publishing.publish(services, StepMessage(DELETION, 1, 0)) is False


def test_a_preview_rehearses_and_asks_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its name, in order."""
    tried: list[str] = []
    steps = tuple(
        pipeline.PipelineStep(
            name,
            lambda target, name=name: tried.append(name) or [],  # type: ignore[misc]
            lambda target, name=name: {name: len(target.instance_name)},  # type: ignore[misc]
            lambda ctx: None,  # type: ignore[arg-type, return-value]
        )
        for name in ("one", "two")
    )
    monkeypatch.setattr(pipeline, "PIPELINE", steps)

    planned = pipeline.preview(Target(cast(Any, None), "id", "name"))

    assert list(planned.items()) == [("one", {"one": 4}), ("two", {"two": 4})]
    assert tried == ["one", "two"]
