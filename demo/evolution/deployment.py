"""Where one deployment keeps its data: the places that seeding fills and the census reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import psycopg
import redis
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class S3Place:
    """A bucket and how to reach it."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    any_key: bool = False  # whether it takes keys that are no paths: AWS does, MinIO and SeaweedFS do not

    def connect(self) -> "S3Client":
        """A client for this place; path-style, as MinIO needs it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=16),
        )


@dataclass(frozen=True)
class Deployment:
    """The four stores of one Evolution deployment."""

    database_url: str
    cache_url: str
    files_root: Path
    cache_prefix: str = "evolution-cache"
    s3: S3Place | None = None

    def connect(self) -> psycopg.Connection:
        """A connection to its database, in one transaction until it is committed."""
        return psycopg.connect(self.database_url, connect_timeout=10)

    def cache(self) -> "redis.Redis":
        """A client for its cache; names and values as bytes."""
        return redis.Redis.from_url(self.cache_url, socket_timeout=30)


@dataclass(frozen=True)
class SeededInstance:
    """An instance that was put into a deployment."""

    id: str
    name: str
    token: str


def living(connection: psycopg.Connection) -> dict[str, str]:
    """The id and name of every instance that has a row."""
    return {str(found[0]): str(found[1]) for found in connection.execute('SELECT id, name FROM "Instance"')}
