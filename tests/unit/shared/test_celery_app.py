"""The settings that durability rests on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery

from shared import celery_app
from shared.settings import Settings


@pytest.fixture
def app(make_settings: Callable[..., Settings]) -> Celery:
    """Settings that differ from every default, so that a constant in the code would show."""
    return celery_app.create(
        make_settings(
            slice_seconds=11,
            retry_seconds=5,
            soft_limit_seconds=41,
            hard_limit_seconds=53,
            visibility_seconds=211,
            reconcile_seconds=17,
            redeliver_seconds=19,
            worker_concurrency=3,
            broker_url="redis://broker.invalid/1",
        )
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", True),
        ("worker_prefetch_multiplier", 1),
        ("task_ignore_result", True),
        ("worker_cancel_long_running_tasks_on_connection_loss", True),
        ("worker_soft_shutdown_timeout", 20),
        ("task_serializer", "json"),
        ("accept_content", ["json"]),
        ("task_default_queue", "lethe"),
        ("broker_connection_retry_on_startup", True),
        ("broker_connection_max_retries", None),
        ("task_soft_time_limit", 41),
        ("task_time_limit", 53),
        ("worker_concurrency", 3),
    ],
)
def test_a_message_is_not_lost_and_not_hoarded(app: Celery, name: str, value: Any) -> None:
    """Each of these is a promise; the code says why beside it."""
    assert app.conf[name] == value


def test_the_visibility_timeout_is_the_same_in_all_three_places(app: Celery) -> None:
    """One that differs hands a message out twice."""
    seen = {
        app.conf.broker_transport_options["visibility_timeout"],
        app.conf.result_backend_transport_options["visibility_timeout"],
        app.conf.visibility_timeout,
    }

    assert seen == {211}


def test_the_limits_are_in_order(app: Celery) -> None:
    """A hung step is stopped before anybody else gets its message."""
    limits = [app.conf.task_soft_time_limit, app.conf.task_time_limit, app.conf.visibility_timeout]

    assert limits == sorted(set(limits))


def test_a_killed_workers_messages_come_back_soon(app: Celery) -> None:
    """Looked for every 10 s, and in each round."""
    options = app.conf.broker_transport_options

    assert (options["unacked_restore_interval"], options["unacked_restore_throttle"]) == (10, 1)


def test_a_dead_broker_is_noticed_in_seconds(app: Celery) -> None:
    """But a blocking read is not taken for one."""
    options = app.conf.broker_transport_options

    assert 1 < options["socket_timeout"] <= 10
    assert options["socket_connect_timeout"] <= 5


def test_publishing_is_given_up_quickly(app: Celery) -> None:
    """The reconciler publishes what is in the database; an HTTP call must not wait for a broker."""
    policy = app.conf.task_publish_retry_policy

    assert policy["max_retries"] <= 3
    assert policy["max_retries"] * policy["interval_max"] <= 1


def test_no_results_are_kept(app: Celery) -> None:
    """Nobody reads them."""
    assert app.conf.result_backend is None


@pytest.mark.parametrize(
    ("name", "task", "seconds"),
    [
        ("reconcile", "lethe.reconcile", 17),
        ("look_again", "lethe.look_again", 17),
        ("redeliver", "lethe.redeliver", 19),
    ],
)
def test_a_round_expires_before_the_next_one(app: Celery, name: str, task: str, seconds: float) -> None:
    """One that nobody took is as good as the next one; they do not pile up."""
    entry = app.conf.beat_schedule[name]

    assert entry["task"] == task
    assert entry["schedule"].total_seconds() == seconds
    assert entry["options"]["expires"] <= seconds


def test_the_broker_is_the_one_that_was_named(app: Celery, make_settings: Callable[..., Settings]) -> None:
    """Redis, unless there is another."""
    other = celery_app.create(make_settings())

    assert app.conf.broker_url == "redis://broker.invalid/1"
    assert other.conf.broker_url == "redis://redis.invalid/0"


def test_rabbitmq_keeps_messages_in_a_quorum_queue(make_settings: Callable[..., Settings]) -> None:
    """And says that it has them; what only Redis understands is not sent there."""
    app = celery_app.create(make_settings(broker_url="amqp://broker.invalid//"))

    assert app.amqp.queues["lethe"].queue_arguments == {"x-queue-type": "quorum"}
    assert app.conf.broker_transport_options["confirm_publish"] is True
    assert "visibility_timeout" not in app.conf.broker_transport_options


@pytest.mark.parametrize(("broker", "first"), [("redis://x/0", min), ("rediss://x/0", min), ("amqp://x//", max)])
def test_a_giant_stands_behind_on_every_broker(broker: str, first: Callable[[int, int], int]) -> None:
    """Redis serves the smallest number first, RabbitMQ the greatest."""
    order = celery_app.NORMAL_PRIORITY, celery_app.LOW_PRIORITY, celery_app.BULK_PRIORITY
    normal, behind, of_many = (celery_app.priority_on(broker, each) for each in order)

    assert len({normal, behind, of_many}) == 3
    assert first(normal, behind) == normal
    assert first(behind, of_many) == behind


def test_steps_have_a_task_each() -> None:
    """Under the product's name, as Flower shows it."""
    assert celery_app.task_name("logout") == "lethe.logout"


def test_making_an_application_replaces_no_other(make_settings: Callable[..., Settings]) -> None:
    """Each deployment in a process has its own."""
    first, second = (celery_app.create(make_settings(worker_concurrency=number)) for number in (1, 2))

    assert (first.conf.worker_concurrency, second.conf.worker_concurrency) == (1, 2)
    assert json.dumps(first.conf.broker_transport_options) == json.dumps(second.conf.broker_transport_options)
