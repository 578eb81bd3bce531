"""For `gunicorn --config api/gunicorn_config.py`: the settings are in api.server.gunicorn_config."""

from api.server.gunicorn_config import *  # noqa: F403
