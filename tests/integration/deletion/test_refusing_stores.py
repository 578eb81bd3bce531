"""A store that refuses in the middle: what will never work fails at once with its own words, the rest is waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from demo.evolution.seed import seed_instance
from shared.database.models import Deletion
from tests.integration.deletion.test_refusing_servers import deletion_of
from tests.integration.inline import accept, run_steps, run_to_end
from tests.integration.rehearsal.test_rehearsal import bucket_without
from tests.rabbitmq import RabbitMQPart
from tests.system import System

BEFORE = ("logout", "purge_cache", "send_webhook")


# The steps run in the tests.
pytestmark = pytest.mark.system()


def interrupted(system: System, name: str, steps: tuple[str, ...], refusing: dict[str, Any], **usual: Any) -> Deletion:
    """A deletion whose last of these steps meets stores that refuse; it succeeds once they do not."""
    instance, services = seed_instance(system.deployment, name), system.make_services(**usual)
    deletion_id = accept(services, instance.id, name)
    run_steps(services, deletion_id, *steps[:-1])
    run_steps(system.make_services(**{**usual, **refusing}), deletion_id, steps[-1])
    return deletion_of(services, deletion_id)


@contextmanager
def without_files_root(system: System) -> Iterator[None]:
    """Its volume is not mounted: what is left is an empty folder."""
    root = system.deployment.files_root
    away = root.rename(root.with_name("away"))
    root.mkdir()
    yield
    root.rmdir()
    away.rename(root)


def test_a_bucket_that_denies_access_in_the_middle_fails_the_deletion(system: System) -> None:
    """At once: no policy comes back by itself."""
    with bucket_without(system, "GET?list-type") as endpoint:
        found = interrupted(system, "denied", (*BEFORE, "deregister"), {"s3_endpoint": endpoint})

    assert (found.status, found.needs_operator) == ("failed", True)
    assert found.reason == "the bucket refused: Access Denied (S3 AccessDenied)"
    assert "docs/operations/errors.md#s3-accessdenied" in str(found.hint)


def test_a_files_root_that_is_not_mounted_in_the_middle_is_waited_for(system: System) -> None:
    """An empty folder says nothing about the instance's files."""
    services, instance = system.make_services(), seed_instance(system.deployment, "unmounted")
    deletion_id = accept(services, instance.id, "unmounted")
    run_steps(services, deletion_id, *BEFORE)
    with without_files_root(system):
        run_steps(services, deletion_id, "deregister")
        found = deletion_of(services, deletion_id)
    run_to_end(services, deletion_id)

    assert (found.status, found.failures) == ("waiting", 0)
    assert "the files root is empty" in str(found.reason)
    assert deletion_of(services, deletion_id).status == "succeeded"


def test_a_rabbitmq_that_refuses_the_user_in_the_middle_fails_the_deletion(
    system: System, rabbitmq_part: RabbitMQPart
) -> None:
    """At once, with its words and what helps; one that takes no more connections is waited for."""
    url = rabbitmq_part.new_virtual_host()
    wrong = {"rabbitmq_url": SecretStr(url.replace("guest:guest", "guest:wrong"))}
    usual = {"rabbitmq_url": SecretStr(url)}

    found = interrupted(system, "refused", (*BEFORE, "deregister"), wrong, **usual)
    limited = interrupted(
        system, "limited", (*BEFORE, "deregister"), {"rabbitmq_url": SecretStr(full(rabbitmq_part))}, **usual
    )

    assert (found.status, found.needs_operator) == ("failed", True)
    assert "Login was refused" in str(found.reason)
    assert "docs/operations/errors.md#amqp-access_refused" in str(found.hint)
    assert (limited.status, limited.failures) == ("waiting", 0)
    assert "(AMQP CONNECTION_LIMIT)" in str(limited.reason)


def full(part: RabbitMQPart) -> str:
    """The URL of a virtual host that takes no connection."""
    url = part.new_virtual_host()
    part.ctl("set_vhost_limits", "-p", urlsplit(url).path[1:], '{"max-connections": 0}')
    return url
