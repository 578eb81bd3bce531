"""Connections to everything outside that Lethe uses, made in one place."""

from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import Engine

from shared import celery_app, certificates
from shared.database import connections
from shared.evolution.cache.cache import Cache
from shared.evolution.gateway import Gateway
from shared.evolution.media.local_folder import LocalFolder
from shared.evolution.media.storage import Storage
from shared.evolution.queues.queues import Queues
from shared.evolution.queues.rabbitmq import RabbitMQ
from shared.evolution.rehearsed import Rehearsed
from shared.evolution.rows.rehearsal.trial import Rehearsal
from shared.evolution.rows.tenant import Tenant
from shared.servers import redis as redis_servers
from shared.settings import Settings


@dataclass(frozen=True)
class Services:
    """The connections of one process. They open at first use, after the fork."""

    settings: Settings
    own: Engine
    tenant: Tenant
    replicas: tuple[Engine, ...]
    redis: Redis
    cache: Cache | None
    gateways: tuple[Gateway, ...]
    storages: tuple[Storage, ...]
    queues: tuple[Queues, ...]
    celery: Celery
    rehearsed: Rehearsed = field(default_factory=Rehearsed)
    row_rehearsal: Rehearsal = field(default_factory=Rehearsal)

    def close(self) -> None:
        """Close all connections."""
        self.own.dispose()
        for engine in (self.tenant.engine, *self.replicas):
            engine.dispose()
        self.redis.close()
        if self.cache:
            self.cache.redis.close()
        self.celery.close()


def create(settings: Settings, *, celery: Celery | None = None, pool_size: int = 5) -> Services:
    """The services of this process; nothing is connected before its first use."""
    ca_file = settings.ca_file
    tenant = connections.connect(settings.tenant_database_url.get_secret_value(), name="tenant", ca_file=ca_file)
    replicas = (
        connections.connect(url, name="replica", pool_size=1, may_be_standby=True, ca_file=ca_file)
        for url in settings.replicas
    )
    return Services(
        settings=settings,
        own=connections.connect_own(settings, pool_size=pool_size),
        tenant=Tenant(tenant, settings.tenant_schema),
        replicas=tuple(replicas),
        redis=_redis(settings.redis_url, ca_file, timeout_seconds=1),
        cache=_cache(settings),
        gateways=_gateways(settings),
        storages=_storages(settings),
        queues=_queues(settings),
        celery=celery or celery_app.create(settings),
    )


def _gateways(settings: Settings) -> tuple[Gateway, ...]:
    key, seconds, roots = settings.gateway_key, settings.gateway_timeout_seconds, certificates.bundle(settings.ca_file)
    return tuple(Gateway(url, key.get_secret_value(), seconds, roots) for url in settings.gateways)


def _storages(settings: Settings) -> tuple[Storage, ...]:
    storages: list[Storage] = []
    if settings.files_root:
        storages.append(LocalFolder(settings.files_root))
    if settings.s3_bucket:
        from shared.evolution.media.s3_bucket import S3Bucket  # boto3 takes 23 MB: load it only for a bucket

        storages.append(S3Bucket(settings, settings.s3_bucket))
    return tuple(storages)


def _queues(settings: Settings) -> tuple[Queues, ...]:
    shared_names = frozenset(name.strip() for name in settings.shared_queue_names.split(","))
    queues: list[Queues] = []
    if settings.rabbitmq_url:
        queues.append(RabbitMQ(settings.rabbitmq_url.get_secret_value(), shared_names, settings.ca_file))
    if settings.sqs_region:
        from shared.evolution.queues.sqs import Sqs  # boto3 again

        queues.append(Sqs(settings, settings.sqs_region, shared_names))
    if settings.kafka_url:
        from shared.evolution.queues.kafka import Kafka  # of an extra

        url, prefix = settings.kafka_url.get_secret_value(), settings.kafka_topic_prefix
        queues.append(Kafka(url, prefix, certificates.bundle(settings.ca_file)))
    return tuple(queues)


def _cache(settings: Settings) -> Cache | None:
    if settings.cache_url is None:
        return None
    return Cache(_redis(settings.cache_url, settings.ca_file, timeout_seconds=5), settings.cache_prefix)


def _redis(url: SecretStr, ca_file: Path | None, *, timeout_seconds: float) -> Redis:
    with_roots = certificates.in_redis_url(url.get_secret_value(), ca_file)
    return redis_servers.connect(with_roots, timeout_seconds=timeout_seconds)
