"""Logging: Lethe's and the libraries' lines as JSON or readable text, from one formatter."""

import logging
import re
import sys
import traceback

import structlog

from shared.errors import LetheError
from shared.settings import Settings

_LONGEST_CHAIN = 10
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ONLY_WARNINGS = """
urllib3 botocore boto3 kombu amqp alembic celery.beat celery.worker.strategy celery.app.trace requests_hardened
""".split()  # noqa: SIM905 - a list of quoted words would be longer
_OF_MANY_LINES = ("exception", "stack")  # stack traces, which Lethe makes itself


def _without_messages(exc_info: structlog.typing.ExcInfo) -> str:
    """A stack trace without error messages, for those of drivers and clients contain names, URLs and values."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error and len(parts) < _LONGEST_CHAIN:
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        last_line = f"{kind}: {error.title}" if isinstance(error, LetheError) else kind
        parts.append("".join([*traceback.format_tb(error.__traceback__), last_line]))
        error = error.__cause__ or error.__context__
    return "\n\ncaused by:\n".join(parts)


def _without_controls(
    _: structlog.typing.WrappedLogger, __: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape control characters in readable text, so that one line stays one line. JSON does that by itself."""
    return {
        key: _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], value)
        if isinstance(value, str) and key not in _OF_MANY_LINES
        else value
        for key, value in line.items()
    }


_BEFORE: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.ExceptionRenderer(_without_messages),
]


def configure(settings: Settings) -> None:
    """Send every log line of this process to standard error, in the format of LETHE_LOG_FORMAT."""
    last: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [_without_controls, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_BEFORE, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _ONLY_WARNINGS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # psycopg warns of each pipeline that an error ended. The error itself is raised and logged where it is handled.
    logging.getLogger("psycopg").setLevel(max(logging.ERROR, root.level))
    structlog.configure(
        processors=[*_BEFORE, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    for setting, names in settings.left_out.items():
        get(__name__).info("parameters of a URL are not used", setting=setting, parameters=names)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger. Messages are constant; facts are fields."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
