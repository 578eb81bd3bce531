"""The settings of gunicorn."""

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
# Sockets of one process; a common limit of open files is 1024. Beyond half of them, the slowest clients are dropped.
worker_connections = 500
# By send(), for a thread would wait in sendfile() until a slow client has taken it all.
sendfile = False
# Loaded before the fork, so that processes share memory; no connection is open by then.
preload_app = True
graceful_timeout = int(max(_settings.wait_seconds, LONGEST_WAIT_SECONDS)) + 5
timeout = 60
# 255 characters of 4 bytes each, percent-encoded, and the path before them.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
# A slow disk must not delay the heartbeat files of workers.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its own file there
# Not used, and its socket would be in the home folder.
control_socket_disable = True

# curl sends non-ASCII letters of a name as they are; RFC 9112, and so gunicorn, refuses them. This allows only
# them, and raw_target encodes them before anything else reads the path.
http_parser = "python"
message.RFC9112_TARGET_INVALID = re.compile(r"[\x00-\x20\x7f]")


def when_ready(_: object) -> None:
    """Before the fork: load what processes share."""
    migrate.newest()  # each health check needs it
    gc.freeze()  # a garbage collection would write to shared objects, and so copy them


def post_fork(_: object, __: object) -> None:
    """Start the threads of tracing in each process."""
    tracing.start(_settings, "api")
