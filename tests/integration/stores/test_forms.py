"""Real servers are reached with addresses in the forms of Evolution's own .env."""

from collections.abc import Callable
from urllib.parse import urlsplit

from sqlalchemy import text

from shared import services
from tests.system import System, new_settings

PRISMA = "schema=evolution_api&pgbouncer=true&connection_limit=5&pool_timeout=10&sslmode=prefer&host=127.0.0.1"


def test_stores_answer_at_evolutions_addresses(make_system: Callable[..., System]) -> None:
    """PostgreSQL with Prisma's parameters and schema, Redis with those of Node, S3 by host, port and TLS."""
    system = make_system()
    deployment, own = system.deployment, system.settings
    assert deployment.s3
    s3 = urlsplit(deployment.s3.endpoint)
    settings = new_settings(
        deployment,
        system.gateways,
        f"'{own.database_url.get_secret_value()}?schema=public'",
        f"{own.redis_url.get_secret_value()}?family=4",
        tenant_database_url=f"'{deployment.database_url}?{PRISMA}'",
        cache_url=f'"{deployment.cache_url}?family=0"',
        s3_endpoint=s3.hostname,
        s3_port=str(s3.port),
        s3_use_ssl="false",
    )
    made = services.create(settings)
    system.closing.callback(made.close)
    with made.tenant.transaction() as connection:
        connection.execute(text("ALTER SCHEMA public RENAME TO evolution_api"))

    tables = [each.table for each in made.tenant.plan().tables]
    with made.own.connect() as connection:
        answer = connection.execute(text("SELECT 1")).scalar_one()

    assert settings.left_out["tenant_database_url"] == ("pgbouncer", "connection_limit", "pool_timeout")
    assert "Message" in tables
    assert answer == 1
    assert made.redis.ping()
    assert made.cache
    assert made.cache.redis.ping()
    for storage in made.storages:
        storage.probe()
