"""No secret is shown: each is set, used in a run with many errors, and looked for in all that Lethe writes."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis import Redis

from demo.evolution.seed import seed_instance
from demo.parts import Redis as RedisPart
from demo.ports import server_port
from demo.processes import wait_until
from shared.celery_app import QUEUE
from shared.services import Services
from tests.integration.places import decoded, files, redis_values
from tests.system import GATEWAY_KEY, System

USER = "lethe-secrets"
SECRETS = {
    "admin_key": "planted-admin-key-Q9",
    "secret_key": "planted-secret-key-Q9-of-32-characters",
    "gateway_key": GATEWAY_KEY,
    "own_password": "planted-own-password-Q9",
    "tenant_password": "planted-tenant-password-Q9",
    "redis_password": "planted-redis-password-Q9",
    "rabbitmq_password": "planted-rabbitmq-password-Q9",
    "s3_access_key": "planted-s3-access-Q9",
    "s3_secret_key": "planted-s3-secret-Q9",
    "webhook_key": f"whsec_{base64.b64encode(b'planted-webhook-key-Q9-of-24-bytes').decode()}",
    "token": "planted-token-Q9",
    "wrong_key": "planted-wrong-key-Q9",
}
FORMS = {**SECRETS, "webhook_key, decoded": "planted-webhook-key-Q9"}
MESSAGES = f"Redis {QUEUE.encode()!r}"
WORKER = ("worker", "beat")
MESSAGES_SEEDED = 20


def with_login(url: str, user: str, password: str) -> SecretStr:
    """The URL with a user and a password in it."""
    parts = urlsplit(url)
    return SecretStr(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl())


@pytest.fixture
def system(make_system: Callable[..., System], redis_part: RedisPart, moto_part: str) -> Iterator[System]:
    """A system in which each secret is one of the planted; PostgreSQL and S3 here take any, Redis only this."""
    made = make_system(
        any_key_s3=moto_part,
        broker_url=None,
        max_failures=1,
        **{
            name: SECRETS[name] for name in ("admin_key", "secret_key", "s3_access_key", "s3_secret_key", "webhook_key")
        },
    )
    password = SECRETS["redis_password"]
    with Redis.from_url(redis_part.url) as redis:
        redis.execute_command("ACL", "SETUSER", USER, "on", f">{password}", "~*", "&*", "+@all")
    urls = {
        "database_url": with_login(made.settings.database_url.get_secret_value(), "postgres", SECRETS["own_password"]),
        "tenant_database_url": with_login(made.deployment.database_url, "postgres", SECRETS["tenant_password"]),
        "redis_url": with_login(made.settings.redis_url.get_secret_value(), USER, password),
        "cache_url": with_login(made.deployment.cache_url, USER, password),
    }
    made.settings = made.settings.model_copy(update=urls)
    yield made
    made.close()


def refuse_to_delete_messages(system: System) -> None:
    """From now on one step fails, but not its rehearsal: the first row may go."""
    with system.deployment.connect() as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f' IF (SELECT count(*) FROM "Message" WHERE "instanceId" = OLD."instanceId") < {MESSAGES_SEEDED} THEN'
            " RAISE EXCEPTION 'refused'; END IF; RETURN OLD; END $$"
        )
        connection.execute('CREATE TRIGGER refuse BEFORE DELETE ON "Message" FOR EACH ROW EXECUTE FUNCTION refuse()')


def out_of_reach(system: System) -> dict[str, str]:
    """Variables that lead to stores which do not answer, by URLs and keys with the same secrets in them."""
    nowhere = f"127.0.0.1:{server_port()}"
    rabbitmq = with_login(f"amqp://{nowhere}/", USER, SECRETS["rabbitmq_password"])
    cache = with_login(f"redis://{nowhere}/0", USER, SECRETS["redis_password"])
    tenant = with_login(f"postgresql://{nowhere}/tenant", USER, SECRETS["tenant_password"])
    return {
        "LETHE_RABBITMQ_URL": rabbitmq.get_secret_value(),
        "LETHE_CACHE_URL": cache.get_secret_value(),
        "LETHE_TENANT_DATABASE_URL": tenant.get_secret_value(),
        "LETHE_S3_ENDPOINT": f"http://{nowhere}",
    }


@contextmanager
def listening(system: System) -> Iterator[list[dict[str, Any]]]:
    """Every event of Celery's, as Flower would get it."""
    heard: list[dict[str, Any]] = []
    begun, ended = Event(), Event()
    services = system.make_services()

    def listen() -> None:
        with services.celery.connection_for_read() as connection:
            receiver = services.celery.events.Receiver(connection, handlers={"*": heard.append})
            with receiver.consumer_context(wakeup=False) as (listener, _, _):
                begun.set()
                while not ended.is_set():
                    try:
                        listener.drain_events(timeout=0.2)  # it has a connection of its own
                    except TimeoutError:
                        continue

    thread = Thread(target=listen, daemon=True)
    thread.start()
    assert begun.wait(20)
    yield heard
    ended.set()
    thread.join(timeout=10)
    services.close()


def enable_events(services: Services) -> None:
    """As Flower does; a worker that has just been started does not listen yet."""
    enable = partial(services.celery.control.broadcast, "enable_events", reply=True, limit=1)
    wait_until(lambda: bool(enable()), 20, "a worker that sends events")


def stop(system: System, *names: str) -> None:
    """Stop some of its processes."""
    for name in names:
        system.processes.pop(name).stop(timeout=30)


def test_no_secret_is_in_anything_that_lethe_says(system: System) -> None:
    """Log files, messages and events of Celery, /metrics and /health: with a failed step, webhook and store."""
    admin, token = SECRETS["admin_key"], SECRETS["token"]
    hook = f"{system.receiver.url}/hook"
    failing = seed_instance(system.deployment, "failing", token=token, webhook_url=hook, messages=MESSAGES_SEEDED)
    seed_instance(system.deployment, "waiting")
    system.receiver.answer_status = 500
    refuse_to_delete_messages(system)
    services = system.make_services()
    said: list[tuple[str, bytes]] = []

    def listen_to_the_api() -> None:
        for path in ("/metrics", "/health/live", "/health/ready"):
            said.append((path, system.send("GET", path, key=admin).text.encode()))

    system.start("web")
    refused = system.delete("failing", key=SECRETS["wrong_key"])
    queued = system.delete("waiting", key=admin, Prefer="respond-async").body["response"]["deletionId"]
    said += redis_values(services.redis)  # before a worker takes the message
    with listening(system) as heard:
        system.start(*WORKER, env=out_of_reach(system))
        enable_events(services)
        wait_until(lambda: status(system, queued) == "waiting", 60, "a deletion that waits")
        listen_to_the_api()
        stop(system, *WORKER)
        system.start(*WORKER)
        enable_events(services)
        failed = system.delete("failing", key=token)
        erring = failed.body["deletionId"]
        # The other one may run, and end, before its worker sends events.
        wait_until(lambda: erring in json.dumps(heard, default=str), 20, "events of a deletion")
        listen_to_the_api()
    stop(system, "web")
    system.start("web", env=out_of_reach(system))
    unavailable = system.send("GET", "/health/ready", key=admin)
    broken = system.delete("waiting", key=admin)
    listen_to_the_api()
    said += [("events", json.dumps(heard, default=str).encode()), *redis_values(services.redis), *files(system.folder)]
    found = {(where, name) for where, what in said for name, form in FORMS.items() if form.encode() in decoded(what)}

    assert found == set()
    # That there was trouble, and that the search went where it could have been said:
    assert (refused.status, failed.status, unavailable.status, broken.status) == (401, 400, 503, 500)
    assert system.receiver.received
    places = [where for where, what in said if queued.encode() in decoded(what)]
    assert {"worker.log", MESSAGES} <= set(places), places
    assert failing.id in (system.folder / "web.log").read_text()
    for words in ("step put off", "webhook"):
        assert words in (system.folder / "worker.log").read_text() + (system.folder / "beat.log").read_text()
    services.close()


def status(system: System, deletion_id: str) -> str:
    """How far it is."""
    shown: str = system.call("GET", f"/deletions/{deletion_id}", key=SECRETS["admin_key"]).json()["status"]
    return shown
