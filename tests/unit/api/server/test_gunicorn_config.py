"""The application is created before gunicorn forks, so it must not start threads or connections."""

from tests.unit.fresh import loaded_by


def test_making_the_application_starts_no_thread_and_opens_no_connection() -> None:
    """Not with traces on either; none of its databases can be reached here."""
    code = (
        "import threading\nfrom api import app\napp.create()\nassert threading.enumerate() == [threading.main_thread()]"
    )

    assert "flask" in loaded_by(code, traces="true", s3_bucket="evolution", rabbitmq_url="amqp://rabbitmq.invalid")


def test_the_application_alone_loads_no_migrations() -> None:
    """They take a tenth of its start; gunicorn's configuration loads them once for all processes."""
    assert "alembic" not in loaded_by("from api import app\napp.create()")
    assert "alembic" in loaded_by("from api import gunicorn_config")
