"""How gunicorn serves the API; read by `gunicorn --config`."""

import gc
import re
from pathlib import Path

from gunicorn.http import message

from api.request.prefer_header import LONGEST_WAIT_SECONDS
from shared import settings, tracing
from shared.database import migrate

_settings = settings.read()

bind = _settings.bind
workers = _settings.api_processes
# gthread: a waiting call costs a thread, and on SIGTERM requests in flight are finished.
worker_class = "api.server.gunicorn_worker.Worker"
threads = _settings.api_threads
# The application is made before the fork, so that its processes share its memory; no connection is open by then.
preload_app = True
graceful_timeout = int(max(_settings.wait_seconds, LONGEST_WAIT_SECONDS)) + 5
timeout = 60
# 255 characters of 4 bytes each, percent-encoded, and the path before them.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
# Heartbeat files on a disk that hangs would stop the workers.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its own file there
# Nobody asks it, and it would lie in the home folder.
control_socket_disable = True

# curl sends the letters of a name that was not percent-encoded as they are; RFC 9112, and so gunicorn, refuses what is
# not ASCII. Nothing else is let in by this, and raw_target encodes it before anybody reads it.
http_parser = "python"
message.RFC9112_TARGET_INVALID = re.compile(r"[\x00-\x20\x7f]")


def when_ready(_: object) -> None:
    """Before the fork: what is shared from now on."""
    migrate.newest()  # each look at the health asks for it
    gc.freeze()  # a collection in a process would write to every object, and so copy it


def post_fork(_: object, __: object) -> None:
    """Start what has a thread of its own."""
    tracing.start(_settings, "api")
