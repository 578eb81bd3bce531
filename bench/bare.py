"""A bare Celery chain of seven no-op tasks, with Lethe's own Celery settings: the floor to compare with."""

from celery import Celery, chain
from redis import Redis

from shared import celery_app, settings

QUEUE = "bare"
DONE = "bare:done"


def create() -> Celery:
    """An application whose tasks do nothing; the last one says that its chain is over."""
    read = settings.read()
    app = celery_app.create(read)
    app.conf.update(task_default_queue=QUEUE, beat_schedule={})
    redis = Redis.from_url(read.broker)

    def nothing(_: str) -> None:
        return

    def done(token: str) -> None:
        redis.rpush(f"{DONE}:{token}", b"1")

    for number in range(6):
        app.task(name=f"bare.{number}")(nothing)
    app.task(name="bare.6")(done)
    return app


def publish(app: Celery, token: str) -> None:
    """Publish one chain, as Lethe publishes one deletion."""
    steps = [app.signature(f"bare.{number}", args=(token,), immutable=True) for number in range(7)]
    chain(*steps, app=app).apply_async()
