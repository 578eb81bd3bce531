"""One form of URL for Redis, read alike for redis-py and for Celery."""

import pytest
from celery import Celery
from kombu.utils.json import dumps
from redis.connection import SSLConnection
from redis.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

from shared.servers import redis
from tests.unit.fresh import loaded_by

SENTINEL = "sentinel://lethe:p%3Ba%40ss@one,two:5000,[::1]:5001/2?service=main&sentinel_password=s%20x"
TLS = "ssl_certfile=/c&ssl_keyfile=/k&ssl_ca_certs=/ca"
OF_TLS = {"ssl_certfile": "/c", "ssl_keyfile": "/k", "ssl_ca_certs": "/ca"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://server", "redis://:word@server:1/3", f"rediss://server?{TLS}", "unix:///run/redis.sock?db=2", SENTINEL,
        SENTINEL.replace(",", ";"), f"{SENTINEL.replace('sentinel:', 'sentinels:')}&{TLS}",
    ],
)  # fmt: skip
def test_a_url_is_accepted(url: str) -> None:
    """With certificates, and with Sentinels behind commas or kombu's semicolons."""
    redis.check(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sentinel://one,two/0", "?service=NAME"),
        ("sentinel://one,/0?service=main", "host1:26379,host2:26379"),
        ("sentinel://one;sentinel://two/0?service=main", "host1:26379,host2:26379"),
        ("sentinel://one:x/0?service=main", "percent-encoded"),
        ("redis://user:hunter2/x@server/0", "percent-encoded"),
        ("rediss://server?ssl_cafile=/ca", "ssl_cafile"),
        ("rediss://server?ssl_cert_reqs=perhaps", "perhaps"),
        ("redis://server?socket_timeout=soon", "socket_timeout"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, says: str) -> None:
    """At the start, and without a part that may be a password."""
    with pytest.raises(ValueError, match=says.replace("?", "[?]")) as raised:
        redis.check(url)

    assert "hunter2" not in str(raised.value)


def test_sentinel_is_asked_with_a_login_of_its_own() -> None:
    """The servers' one never goes there; neither does Sentinel's to them."""
    pool = redis.connect(SENTINEL, timeout_seconds=3).connection_pool

    assert isinstance(pool, SentinelConnectionPool)
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == [("one", 26379), ("two", 5000), ("::1", 5001)]
    assert {each["credential_provider"].get_credentials() for each in asked} == {("s x",)}
    assert {(each["username"], each["password"]) for each in asked} == {(None, None)}
    assert pool.service_name == "main"
    of_servers = {name: pool.connection_kwargs[name] for name in ("username", "password", "db", "socket_timeout")}
    assert of_servers == {"username": "lethe", "password": "p;a@ss", "db": 2, "socket_timeout": 3}


def test_celery_gets_every_sentinel_with_all_that_it_needs() -> None:
    """kombu takes the login and the database from whichever it connects to."""
    url, options, ssl = redis.for_celery(SENTINEL)

    with Celery(broker=url).connection() as connection:
        assert connection.alt == [
            "sentinel://lethe:p%3Ba%40ss@one:26379/2",
            "sentinel://lethe:p%3Ba%40ss@two:5000/2",
            "sentinel://lethe:p%3Ba%40ss@[::1]:5001/2",
        ]
        assert (connection.userid, connection.password, connection.virtual_host) == ("lethe", "p;a@ss", "2")
    assert options["master_name"] == "main"
    assert options["sentinel_kwargs"]["credential_provider"].get_credentials() == ("s x",)
    assert ssl == {}


def test_a_workers_answer_hides_sentinels_password() -> None:
    """`celery inspect stats` shows the options of the broker."""
    assert "s x" not in dumps(redis.for_celery(SENTINEL)[1])


def test_certificates_are_the_same_for_redis_py_and_celery() -> None:
    """In the URL's query alone; kombu is told apart, and checks the server unless the URL says otherwise."""
    url = f"rediss://lethe:word@server:1/3?{TLS}"
    pool = redis.connect(url, timeout_seconds=1).connection_pool

    assert pool.connection_class is SSLConnection
    assert {name: pool.connection_kwargs[name] for name in OF_TLS} == OF_TLS
    assert redis.for_celery(url) == ("rediss://lethe:word@server:1/3", {}, {"ssl_cert_reqs": "required", **OF_TLS})
    assert redis.for_celery(f"{url}&ssl_cert_reqs=none")[2]["ssl_cert_reqs"] == "none"


def test_sentinels_and_their_servers_both_speak_tls() -> None:
    """With the same certificates."""
    url = f"{SENTINEL.replace('sentinel:', 'sentinels:')}&{TLS}"
    pool = redis.connect(url, timeout_seconds=1).connection_pool

    assert isinstance(pool, SentinelConnectionPool)
    assert pool.connection_class is SentinelManagedSSLConnection
    asked = pool.sentinel_manager.sentinels[0].connection_pool
    assert asked.connection_class is SSLConnection
    assert {name: asked.connection_kwargs[name] for name in OF_TLS} == OF_TLS
    _, options, ssl = redis.for_celery(url)
    assert ssl == {"ssl_cert_reqs": "required", **OF_TLS}
    assert options["sentinel_kwargs"].items() >= {"ssl": True, **OF_TLS}.items()


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://server", "redis://server/0"),
        ("redis://server/1?db=4&client_name=x", "redis://server/4"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("amqp://user:word@server//", "amqp://user:word@server//"),
    ],
)
def test_celery_gets_a_url_that_kombu_reads(url: str, broker: str) -> None:
    """It knows no socket by redis-py's form, and takes no option of redis-py's; another broker's URL is left alone."""
    assert redis.for_celery(url) == (broker, {}, {})


def test_flower_loads_no_store_for_sentinel() -> None:
    """Nor beat."""
    assert loaded_by("import worker.celery_tasks", redis_url=SENTINEL) & {"psycopg", "sqlalchemy", "requests"} == set()
