"""Each of Evolution's own variables becomes what it means for Lethe."""

import pytest

from cli.setup import mapping
from cli.setup.problems import Problem

DATABASE = "postgresql://u:hunter2@h:5432/evolution?schema=evolution_api"


@pytest.mark.parametrize(
    ("evolution", "becomes"),
    [
        ({}, {}),
        ({"DATABASE_CONNECTION_URI": DATABASE}, {"tenant_database_url": DATABASE}),
        ({"DATABASE_PROVIDER": "postgresql"}, {}),
        ({"DATABASE_PROVIDER": "psql_bouncer"}, {}),
        ({"DATABASE_CONNECTION_CLIENT_NAME": "evolution", "DATABASE_SAVE_DATA_CHATS": "true"}, {}),
        ({"CACHE_REDIS_ENABLED": "false", "CACHE_REDIS_URI": "redis://h/6"}, {}),
        ({"CACHE_REDIS_ENABLED": "TRUE", "CACHE_REDIS_URI": "redis://h/6"}, {}),
        ({"CACHE_REDIS_ENABLED": "true", "CACHE_REDIS_URI": "redis://h/6"}, {"cache_url": "redis://h/6"}),
        (
            {"CACHE_REDIS_ENABLED": "true", "CACHE_REDIS_URI": "redis://h/6", "CACHE_REDIS_PREFIX_KEY": "e"},
            {"cache_url": "redis://h/6", "cache_prefix": "e"},
        ),
        ({"S3_ENABLED": "false", "S3_BUCKET": "b", "S3_ENDPOINT": "h"}, {}),
        (
            {"S3_ENABLED": "true", "S3_BUCKET": "b", "S3_ENDPOINT": "h", "S3_PORT": "443", "S3_USE_SSL": "true"},
            {"s3_bucket": "b", "s3_endpoint": "https://h"},
        ),
        (
            {"S3_ENABLED": "true", "S3_BUCKET": "b", "S3_ENDPOINT": "h", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"},
            {"s3_bucket": "b", "s3_endpoint": "http://h:9000", "s3_access_key": "a", "s3_secret_key": "s"},
        ),
        (
            {"S3_ENABLED": "true", "S3_BUCKET": "b", "S3_ENDPOINT": "s3.eu-west-3.amazonaws.com", "S3_PORT": "443"},
            {"s3_bucket": "b", "s3_endpoint": "https://s3.eu-west-3.amazonaws.com", "s3_region": "eu-west-3"},
        ),
        ({"RABBITMQ_ENABLED": "false", "RABBITMQ_URI": "amqp://h"}, {}),
        ({"RABBITMQ_ENABLED": "true", "RABBITMQ_URI": "amqp://h"}, {"rabbitmq_url": "amqp://h"}),
        (
            {"RABBITMQ_ENABLED": "true", "RABBITMQ_URI": "amqp://h", "RABBITMQ_EXCHANGE_NAME": "mine"},
            {"rabbitmq_url": "amqp://h", "shared_queue_names": "evolution_exchange,evolution,global,mine"},
        ),
        ({"RABBITMQ_EXCHANGE_NAME": "evolution"}, {}),
        (
            {"SQS_ENABLED": "true", "SQS_REGION": "r", "SQS_ACCESS_KEY_ID": "a", "SQS_SECRET_ACCESS_KEY": "s"},
            {"sqs_region": "r", "sqs_access_key": "a", "sqs_secret_key": "s"},
        ),
        ({"SQS_ENABLED": "false", "SQS_REGION": "r", "SQS_ACCOUNT_ID": "1"}, {}),
        ({"KAFKA_ENABLED": "false", "KAFKA_BROKERS": "h:9092"}, {}),
        ({"KAFKA_ENABLED": "true", "KAFKA_CLIENT_ID": "x"}, {"kafka_url": "kafka://localhost:9092"}),
        (
            {"KAFKA_ENABLED": "true", "KAFKA_BROKERS": "a:9092,b:9093", "KAFKA_TOPIC_PREFIX": "acme"},
            {"kafka_url": "kafka://a:9092,b:9093", "kafka_topic_prefix": "acme"},
        ),
        (
            {
                "KAFKA_ENABLED": "true",
                "KAFKA_BROKERS": "a:9092",
                "KAFKA_TOPIC_PREFIX": "evolution",
                "KAFKA_SASL_ENABLED": "true",
                "KAFKA_SASL_MECHANISM": "scram-sha-512",
                "KAFKA_SASL_USERNAME": "u@x",
                "KAFKA_SASL_PASSWORD": "p/?",
                "KAFKA_SSL_ENABLED": "true",
                "KAFKA_SSL_REJECT_UNAUTHORIZED": "false",
            },
            {"kafka_url": "kafka+ssl://u%40x:p%2F%3F@a:9092?mechanism=scram-sha-512&verify=false"},
        ),
        (
            {"KAFKA_ENABLED": "true", "KAFKA_SASL_USERNAME": "u", "KAFKA_SSL_CA": "x"},
            {"kafka_url": "kafka://localhost:9092"},
        ),
        ({"WEBHOOK_GLOBAL_ENABLED": "false", "WEBHOOK_GLOBAL_URL": "https://r.example.com"}, {}),
        (
            {
                "WEBHOOK_GLOBAL_ENABLED": "true",
                "WEBHOOK_GLOBAL_URL": "https://r.example.com",
                "WEBHOOK_EVENTS_INSTANCE_DELETE": "true",
                "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS": "true",
            },
            {"webhook_global_url": "https://r.example.com", "webhook_global_by_events": "true"},
        ),
        (
            {
                "WEBHOOK_GLOBAL_ENABLED": "true",
                "WEBHOOK_GLOBAL_URL": "http://n8n:5678/x",
                "WEBHOOK_EVENTS_INSTANCE_DELETE": "true",
            },
            {"webhook_global_url": "http://n8n:5678/x"},  # the operator's: it may be private, customers' may not
        ),
        ({"AUTHENTICATION_API_KEY": "abc"}, {"gateway_key": "abc", "gateway_key_may_delete": "true"}),
        ({"SERVER_URL": "https://api.example.com", "CORS_ORIGIN": "*", "SERVER_PORT": "8080"}, {}),
    ],
)
def test_a_variable_of_evolution_becomes_a_setting(evolution: dict[str, str], becomes: dict[str, str]) -> None:
    """Only 'true' switches something on, as in Evolution."""
    assert mapping.translate(evolution).settings == becomes


@pytest.mark.parametrize(
    ("evolution", "note"),
    [
        ({"KAFKA_ENABLED": "true", "KAFKA_SSL_ENABLED": "true", "KAFKA_SSL_CA": "PEM"}, "LETHE_CA_FILE"),
        ({"KAFKA_ENABLED": "true", "KAFKA_SSL_ENABLED": "true", "KAFKA_SSL_CERT": "PEM"}, "add cert="),
        ({"WEBHOOK_GLOBAL_ENABLED": "true", "WEBHOOK_GLOBAL_URL": "https://h.example.com"}, "INSTANCE_DELETE"),
    ],
)
def test_what_is_not_taken_over_is_said(evolution: dict[str, str], note: str) -> None:
    """In one sentence."""
    (said,) = mapping.translate(evolution).notes

    assert note in said


@pytest.mark.parametrize(
    ("evolution", "says"),
    [
        ({"DATABASE_PROVIDER": "mysql"}, "DATABASE_PROVIDER is mysql: Lethe erases from Evolution's PostgreSQL only"),
        ({"DATABASE_PROVIDER": "oracle"}, "DATABASE_PROVIDER is neither"),
        ({"AUTHENTICATION_API_KEY": "429683C4C977415CAAFCCE10F7D57E11"}, "published example"),
        ({"AUTHENTICATION_API_KEY": "BQYHJGJHJ"}, "published example"),
        ({"KAFKA_ENABLED": "true", "KAFKA_BROKERS": "h:port"}, "KAFKA_ variables: a broker is a host and a port"),
        (
            {"KAFKA_ENABLED": "true", "KAFKA_SASL_ENABLED": "true", "KAFKA_SASL_MECHANISM": "oauthbearer"},
            "the mechanism is none of",
        ),
        ({"S3_ENABLED": "true", "S3_ENDPOINT": "minio/bucket"}, "S3_ENDPOINT: write the host alone"),
    ],
)
def test_what_lethe_cannot_serve_is_refused(evolution: dict[str, str], says: str) -> None:
    """In one sentence."""
    with pytest.raises(Problem, match=says):
        mapping.translate(evolution)


@pytest.mark.parametrize(
    "url",
    ["mysql://u:hunter2@h/x", "file:./dev.db", "postgresql://u:hunter2@h:port/x", f"{DATABASE}&sslidentity=x.p12"],
)
def test_a_database_that_cannot_be_used_is_refused(url: str) -> None:
    """Without its password."""
    with pytest.raises(Problem) as raised:
        mapping.check_database(url)

    assert str(raised.value).startswith("DATABASE_CONNECTION_URI: ")
    assert "hunter2" not in str(raised.value)
