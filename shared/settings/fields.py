"""The settings: names, types, defaults, meanings, and the bounds of each by itself."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.settings.sources import PREFIX


class ConfirmationMode(StrEnum):
    """How a deletion over HTTP must be confirmed."""

    OFF = "off"
    TOKEN = "token"  # noqa: S105 - of a preview
    TOTP = "totp"  # a one-time code of the API key


class NotifyForm(StrEnum):
    """The body of what LETHE_NOTIFY_URL is told."""

    STANDARD = "standard"  # type, timestamp and data, as Standard Webhooks has them
    SLACK = "slack"  # {"text": ...}


class WebhookForm(StrEnum):
    """The body of webhooks."""

    DOCUMENTED = "documented"
    SERVER = "server"  # what a running server sends


class Fields(BaseSettings):
    """Every setting, without the checks that model.py adds. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    admin_key: SecretStr = Field(min_length=16, description="API key with all permissions; 16 characters or more")
    instance_tokens_may_delete: bool = Field(True, description="Whether an instance's own token may delete it")
    limit_per_minute: int = Field(10, ge=1, description="Deletions that one API key may order in a minute")
    limit_per_hour: int = Field(100, ge=1, description="Deletions that one API key may order in an hour")
    limit_bulk_per_hour: int = Field(
        1000, ge=0, description="Deletions that one API key may order in an hour by lists of names; 0: none"
    )
    wrong_keys_per_minute: int = Field(20, ge=1, description="Wrong keys that one address may send in a minute")
    confirmation: ConfirmationMode = Field(
        ConfirmationMode.OFF, description="How deletions are confirmed: off, token or totp"
    )
    grace_seconds: float = Field(
        0,
        ge=0,
        le=7_776_000,
        description="How long a new deletion stays scheduled, and can be cancelled; 90 days at most",
    )
    code_lock_seconds: float = Field(900, gt=0, description="How long a key is locked after five wrong codes")
    console_idle_seconds: int = Field(1800, ge=60, description="How long an idle console stays signed in")
    secret_key: SecretStr = Field(
        min_length=32, description="For encryption, hashes, signatures; 32 characters or more"
    )

    database_url: SecretStr = Field(description="Lethe's own PostgreSQL database")
    tenant_database_url: SecretStr = Field(description="Evolution's PostgreSQL database")
    tenant_schema: str = Field("public", description="PostgreSQL schema of Evolution's tables")
    redis_url: SecretStr = Field(description="Lethe's own Redis: redis://, rediss://, unix:// or sentinel://")
    broker_url: SecretStr | None = Field(None, description="Celery broker; else LETHE_REDIS_URL")
    cache_url: SecretStr | None = Field(None, description="Evolution's Redis cache")
    cache_prefix: str = Field("evolution-cache", description="Evolution's CACHE_REDIS_PREFIX_KEY")

    gateways: Annotated[tuple[str, ...], NoDecode] = Field(
        description="URLs of all Evolution servers, separated by commas"
    )
    gateway_key: SecretStr = Field(description="Evolution's global API key (AUTHENTICATION_API_KEY)")
    gateway_key_may_delete: bool = Field(
        False, description="Whether clients may list, log out and delete with Evolution's global API key"
    )
    gateway_timeout_seconds: float = Field(10, gt=0, le=20, description="Timeout of a request to a gateway")
    gateway_late_seconds: float = Field(1500, gt=0, description="Longest wait until a server has forgotten a name")

    ca_file: Path | None = Field(None, description="PEM file of private CAs, trusted beside the public ones")

    files_root: Path | None = Field(None, description="Folder that contains Evolution's instances/ and store/")
    s3_bucket: str | None = Field(None, description="Evolution's S3 bucket")
    s3_endpoint: str | None = Field(None, description="S3 endpoint: a URL or Evolution's S3_ENDPOINT; without it, AWS")
    s3_port: int | None = Field(None, ge=1, le=65535, description="Evolution's S3_PORT, for an endpoint without a port")
    s3_use_ssl: bool | None = Field(None, description="Evolution's S3_USE_SSL, for an endpoint without https://")
    s3_region: str = Field("us-east-1", description="S3 region")
    s3_addressing: Literal["path", "virtual"] = Field(
        "path", description="Where the bucket's name stands: path, or virtual (in the host name)"
    )
    s3_access_key: SecretStr | None = Field(None, description="S3 access key")
    s3_secret_key: SecretStr | None = Field(None, description="S3 secret key")

    rabbitmq_url: SecretStr | None = Field(None, description="Evolution's RabbitMQ")
    sqs_region: str | None = Field(None, description="Region of Evolution's Amazon SQS")
    sqs_endpoint: str | None = Field(None, description="SQS endpoint URL; without it, AWS")
    sqs_access_key: SecretStr | None = Field(None, description="SQS access key")
    sqs_secret_key: SecretStr | None = Field(None, description="SQS secret key")
    kafka_url: SecretStr | None = Field(
        None, description="Evolution's Kafka: kafka:// or, with TLS, kafka+ssl://; needs lethe[kafka]"
    )
    kafka_topic_prefix: str = Field("evolution", description="Evolution's KAFKA_TOPIC_PREFIX")
    shared_queue_names: str = Field(
        "evolution_exchange,evolution,global",
        description="Exchange and prefixes that all instances share, separated by commas: never removed",
    )

    webhook_global_url: str | None = Field(None, description="URL that receives INSTANCE_DELETE of every instance")
    webhook_global_by_events: bool = Field(False, description="Append /instance-delete to the global URL")
    webhook_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Private hosts and networks that webhooks may use, separated by commas"
    )
    webhook_key: SecretStr | None = Field(None, description="Signs webhooks: whsec_<base64>; else derived")
    webhook_timeout_seconds: float = Field(3, gt=0, le=10, description="Timeout of a webhook")
    webhook_keep_seconds: float = Field(86_400, gt=0, description="How long an undelivered webhook is retried")

    webhook_form: WebhookForm = Field(
        WebhookForm.DOCUMENTED, description="Body of webhooks: documented, or server (what a running server sends)"
    )
    webhook_server_url: str = Field("", description="Evolution's SERVER_URL, which the server's form has in it")
    notify_url: SecretStr | None = Field(
        None, description="Your own receiver: told when a deletion has succeeded, failed, or waits for long"
    )
    notify_form: NotifyForm = Field(NotifyForm.STANDARD, description="Its body: standard, or slack (`text` alone)")
    notify_waiting_minutes: float = Field(30, gt=0, description="How long a deletion waits before it is told of")

    export: Literal["off", "required"] = Field(
        "off", description="Whether each deletion writes an export first: off (those that ask for it) or required"
    )
    export_to: str | None = Field(
        None, description="Where exports of deletions go: a folder that all workers see, or s3://bucket/prefix"
    )
    export_recipient: str | None = Field(
        None,
        description="age public key (age1...): exports of deletions are encrypted, and only its owner can read them",
    )

    receipt_key: SecretStr | None = Field(None, description="Key for receipts: Ed25519, PEM or base64; else generated")
    timestamp_url: SecretStr | None = Field(
        None, description="Time-stamp authority (RFC 3161) for receipts and the audit"
    )
    timestamp_ca_file: Path | None = Field(
        None, description="PEM file of the time-stamp authority's roots; else the public ones"
    )

    bind: str = Field("127.0.0.1:8080", description="Address and port of the API")
    api_processes: int = Field(2, ge=1, description="Processes of the API")
    trusted_proxies: int = Field(0, ge=0, description="Proxies to trust (X-Forwarded-For and -Proto)")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of web pages that may call the API (CORS), separated by commas"
    )
    worker_concurrency: int = Field(4, ge=1, description="Steps that one worker runs at a time")

    wait_seconds: float = Field(25, ge=0, le=60, description="How long a DELETE waits before it answers 202")
    api_threads: int = Field(32, ge=4, description="Threads of one API process")
    max_waiters: int = Field(20, ge=1, description="Calls per API process that wait; further ones get 202 at once")

    slice_seconds: float = Field(20, gt=0, description="How long a step works before other deletions get a turn")
    yield_seconds: float = Field(2, gt=0, description="The same, while other deletions wait in the queue")
    soft_limit_seconds: int = Field(45, gt=0, description="Celery's soft time limit of a task")
    hard_limit_seconds: int = Field(60, gt=0, description="Celery's hard time limit of a task")
    visibility_seconds: int = Field(300, gt=0, description="When Redis redelivers an unacknowledged message")
    batch_seconds: float = Field(0.05, gt=0, description="Target time of one DELETE statement")
    row_triggers: Literal["auto", "always"] = Field(
        "auto", description="Whether triggers fire for deleted rows: auto (not where that is safe) or always"
    )
    pause_between_batches_seconds: float = Field(0, ge=0, le=10, description="Pause before each batch of rows")
    replica_urls: SecretStr | None = Field(
        None, description="Replicas of Evolution's database, separated by commas: batches wait for them"
    )
    replica_lag_seconds: float = Field(10, gt=0, description="Lag of a replica above which batches wait")

    heartbeat_seconds: float = Field(5, gt=0, description="How often a worker sends a heartbeat for its step")
    stale_seconds: float = Field(30, gt=0, description="Time without a heartbeat after which a worker counts as dead")
    redeliver_seconds: float = Field(15, gt=0, description="How often undelivered webhooks are checked")
    reconcile_seconds: float = Field(30, gt=0, description="How often the reconciler runs")
    nudge_seconds: float = Field(60, gt=0, description="First pause before an unclaimed deletion is published again")
    retry_seconds: float = Field(10, gt=0, description="How long a step is retried before it is postponed")
    pause_seconds: float = Field(5, gt=0, description="First pause of a postponed step")
    max_pause_seconds: float = Field(600, gt=0, description="Longest pause of a postponed step")
    max_failures: int = Field(5, ge=1, description="Failures in a row of one step before the deletion fails")
    deadline_seconds: float = Field(86_400, gt=0, description="How long a deletion waits for what is unreachable")

    log_format: str = Field("json", pattern="^(json|pretty)$", description="json or pretty")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level logged")
    traces: bool = Field(False, description="Send traces to OTEL_EXPORTER_OTLP_ENDPOINT; needs lethe[otel]")
