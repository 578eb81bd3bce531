"""Where `gunicorn --config` looks: api.server.gunicorn_config."""

from api.server.gunicorn_config import *  # noqa: F403
