"""What Evolution's own variables mean for Lethe; only 'true' switches something on, as in Evolution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from cli.setup.problems import Problem
from shared.servers import kafka
from shared.settings.forms import postgresql, published, servers
from shared.translations.marks import N_

_POSTGRESQL = ("", "postgresql", "psql_bouncer")
_SHARED_QUEUES = ("evolution_exchange", "evolution", "global")
_LOCAL = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORT = 8080


@dataclass
class Mapped:
    """Settings of Lethe by their names, and sentences on what was not taken over."""

    settings: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def translate(evolution: Mapping[str, str]) -> Mapped:
    """The settings that follow from Evolution's variables. Raises Problem for a deployment that Lethe cannot serve."""
    _check_provider(evolution.get("DATABASE_PROVIDER", "").strip().lower())
    made = Mapped()
    if uri := evolution.get("DATABASE_CONNECTION_URI", ""):
        made.settings["tenant_database_url"] = uri
    _key(evolution, made)
    _cache(evolution, made)
    _bucket(evolution, made)
    _queues(evolution, made)
    _webhook(evolution, made)
    return made


def check_database(url: str) -> postgresql.PostgresUrl:
    """The URL as Lethe reads it. Raises Problem."""
    try:
        found = postgresql.translate(url)
        parts = urlsplit(found.url)
        _ = parts.port
    except ValueError as error:
        raise Problem(f"DATABASE_CONNECTION_URI: {error}") from None
    if parts.scheme not in postgresql.SCHEMES:
        raise Problem("DATABASE_CONNECTION_URI: a URL is needed that begins with postgresql://")
    return found


def check_key(key: str) -> None:
    """Raise Problem for a global key that everyone knows."""
    try:
        published.check(key)
    except ValueError as error:
        raise Problem(str(error)) from None


def is_local(url: str) -> bool:
    """Whether the host is the machine itself: for a container, that is the container."""
    return (urlsplit(url if "://" in url else f"//{url}").hostname or "") in _LOCAL


def _check_provider(provider: str) -> None:
    if provider == "mysql":
        raise Problem("DATABASE_PROVIDER is mysql: Lethe erases from Evolution's PostgreSQL only")
    if provider not in _POSTGRESQL:
        raise Problem("DATABASE_PROVIDER is neither postgresql nor psql_bouncer: Lethe knows no other")


def _key(evolution: Mapping[str, str], made: Mapped) -> None:
    if key := evolution.get("AUTHENTICATION_API_KEY", ""):
        check_key(key)
        made.settings |= {"gateway_key": key, "gateway_key_may_delete": "true"}


def _is_on(evolution: Mapping[str, str], name: str) -> bool:
    return evolution.get(name, "") == "true"


def _cache(evolution: Mapping[str, str], made: Mapped) -> None:
    if not _is_on(evolution, "CACHE_REDIS_ENABLED"):
        return
    made.settings["cache_url"] = evolution.get("CACHE_REDIS_URI", "")
    if prefix := evolution.get("CACHE_REDIS_PREFIX_KEY", ""):
        made.settings["cache_prefix"] = prefix


def _bucket(evolution: Mapping[str, str], made: Mapped) -> None:
    if not _is_on(evolution, "S3_ENABLED"):
        return
    port, secure = evolution.get("S3_PORT", ""), evolution.get("S3_USE_SSL", "")
    try:
        endpoint = servers.s3_endpoint(
            evolution.get("S3_ENDPOINT", ""),
            int(port) if port.isdigit() else None,
            secure == "true" if secure else None,
        )
    except ValueError as error:
        raise Problem(f"S3_ENDPOINT: {error}") from None
    region = evolution.get("S3_REGION", "") or servers.region_of(endpoint) or ""
    made.settings |= {"s3_bucket": evolution.get("S3_BUCKET", ""), "s3_endpoint": endpoint} | _set(s3_region=region)
    made.settings |= _set(
        s3_access_key=evolution.get("S3_ACCESS_KEY", ""), s3_secret_key=evolution.get("S3_SECRET_KEY", "")
    )


def _queues(evolution: Mapping[str, str], made: Mapped) -> None:
    if _is_on(evolution, "RABBITMQ_ENABLED"):
        made.settings["rabbitmq_url"] = evolution.get("RABBITMQ_URI", "")
    if _is_on(evolution, "SQS_ENABLED"):
        made.settings |= _set(
            sqs_region=evolution.get("SQS_REGION", ""),
            sqs_access_key=evolution.get("SQS_ACCESS_KEY_ID", ""),
            sqs_secret_key=evolution.get("SQS_SECRET_ACCESS_KEY", ""),
        )
    if _is_on(evolution, "KAFKA_ENABLED"):
        _kafka(evolution, made)
    own = (
        evolution.get(name, "") for name in ("RABBITMQ_EXCHANGE_NAME", "RABBITMQ_PREFIX_KEY", "SQS_GLOBAL_PREFIX_NAME")
    )
    if more := [name for name in own if name and name not in _SHARED_QUEUES]:
        made.settings["shared_queue_names"] = ",".join([*_SHARED_QUEUES, *dict.fromkeys(more)])


def _kafka(evolution: Mapping[str, str], made: Mapped) -> None:
    brokers, parameters, login = evolution.get("KAFKA_BROKERS", "") or "localhost:9092", dict[str, str](), ""
    if _is_on(evolution, "KAFKA_SASL_ENABLED"):
        user, password = evolution.get("KAFKA_SASL_USERNAME", ""), evolution.get("KAFKA_SASL_PASSWORD", "")
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
        parameters |= _set(mechanism=evolution.get("KAFKA_SASL_MECHANISM", "").lower())
    is_tls = _is_on(evolution, "KAFKA_SSL_ENABLED")
    if is_tls and evolution.get("KAFKA_SSL_REJECT_UNAUTHORIZED", "") == "false":
        parameters["verify"] = "false"
    url = f"kafka{'+ssl' if is_tls else ''}://{login}{brokers}{'?' if parameters else ''}{urlencode(parameters)}"
    try:
        kafka.configuration(url, None)
    except ValueError as error:
        raise Problem(f"KAFKA_ variables: {error}") from None
    made.settings["kafka_url"] = url
    if (prefix := evolution.get("KAFKA_TOPIC_PREFIX", "")) not in ("", "evolution"):
        made.settings["kafka_topic_prefix"] = prefix
    if is_tls and evolution.get("KAFKA_SSL_CA"):
        made.notes.append(N_("KAFKA_SSL_CA is set: write it into a file, and let LETHE_CA_FILE name that"))
    if is_tls and evolution.get("KAFKA_SSL_CERT"):
        made.notes.append(
            N_("KAFKA_SSL_CERT is set: write it and KAFKA_SSL_KEY into files, and add cert= and key= to the URL")
        )


def _webhook(evolution: Mapping[str, str], made: Mapped) -> None:
    url = evolution.get("WEBHOOK_GLOBAL_URL", "")
    if not (_is_on(evolution, "WEBHOOK_GLOBAL_ENABLED") and url):
        return
    if not _is_on(evolution, "WEBHOOK_EVENTS_INSTANCE_DELETE"):
        made.notes.append(N_("WEBHOOK_EVENTS_INSTANCE_DELETE is not true: the global webhook is not told of deletions"))
        return
    made.settings["webhook_global_url"] = url
    if _is_on(evolution, "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS"):
        made.settings["webhook_global_by_events"] = "true"


def _set(**given: str) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}
