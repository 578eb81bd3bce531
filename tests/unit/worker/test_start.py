"""Beat, Flower and the workers read one module, and each loads what it needs."""

from shared import celery_app
from tasks import names, pipeline
from tests.unit.fresh import loaded_by

STORES = {"boto3", "psycopg", "requests", "sqlalchemy"}
BEFORE_THE_FORK = """
import gc, threading
from celery.signals import worker_init
from worker import celery_tasks
worker_init.send(sender=None)
assert threading.enumerate() == [threading.main_thread()] and gc.get_freeze_count()
"""


def test_beat_and_flower_load_no_store() -> None:
    """They speak with the broker alone."""
    assert loaded_by("import worker.celery_tasks") & STORES == set()


def test_a_worker_has_loaded_its_stores_before_it_forks() -> None:
    """Once for all its processes; nothing that has a thread or a connection, traces neither, and no store in vain."""
    assert loaded_by(BEFORE_THE_FORK, traces="true") & STORES == STORES - {"boto3"}


def test_a_worker_with_a_bucket_has_loaded_its_client_too() -> None:
    """Not in the first deletion, and in each process."""
    assert loaded_by(BEFORE_THE_FORK, s3_bucket="evolution") >= STORES


def test_every_step_is_a_task_of_that_name() -> None:
    """In every process: Flower shows them by name."""
    tasks = [celery_app.task_name(step) for step in pipeline.NAMES]

    assert names.IN_ORDER == pipeline.NAMES
    assert loaded_by(f"from worker.celery_tasks import app\nassert app.tasks.keys() >= set({tasks!r})")
