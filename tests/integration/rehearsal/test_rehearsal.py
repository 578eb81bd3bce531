"""Before logout, all that the steps will use is tried: what cannot work is refused, and nothing was touched."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests
from pydantic import SecretStr
from redis import Redis

from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.seed import seed_instance
from shared.errors import RequirementNotMet
from shared.services import Services
from tasks import pipeline
from tasks.context import Target
from tests.integration.inline import accept, run_all
from tests.system import System

NOBODY = 65534


# The steps run in the tests.
pytestmark = pytest.mark.system()


@contextmanager
def made(system: System, **changes: Any) -> Iterator[Services]:
    """Services that have rehearsed nothing yet."""
    services = system.make_services(**changes)
    yield services
    services.close()


def order(services: Services, instance_id: str, name: str) -> tuple[str, str | None, str]:
    """Run a deletion; its status, failed step and reason."""
    deletion_id = accept(services, instance_id, name)
    run_all(services, deletion_id)
    with services.own.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT status, failed_step, coalesce(reason, '') FROM deletions WHERE id = %s", (deletion_id,)
        ).one()
    return row[0], row[1], row[2]


def refusal(system: System, services: Services, instance_id: str, name: str) -> str:
    """The sentence with which a deletion is refused before logout; nothing was touched by then."""
    before = fingerprint(system.deployment)
    status, step, reason = order(services, instance_id, name)
    assert (status, step) == ("failed", "logout"), reason
    assert "docs/requirements.md#" in reason
    assert fingerprint(system.deployment) == before
    return reason


def cache_of(system: System, user: str, *rules: str) -> dict[str, Any]:
    """A user of the cache who may do what the rules say, as the settings name it."""
    parts = urlsplit(system.deployment.cache_url)
    with Redis.from_url(system.deployment.cache_url) as redis:
        redis.execute_command("ACL", "SETUSER", user, "reset", "on", ">word", *rules)  # type: ignore[no-untyped-call]
    return {"cache_url": SecretStr(parts._replace(netloc=f"{user}:word@{parts.netloc}").geturl())}


@pytest.mark.parametrize("rules", [("+@all",), ("+@all", "-@scripting")], ids=["with scripts", "without scripts"])
def test_a_cache_user_who_is_limited_to_the_prefix_is_enough(system: System, rules: tuple[str, ...]) -> None:
    """All of the instance's keys go, by a script or without one."""
    name = f"limited {len(rules)}"
    instance = seed_instance(system.deployment, name)

    with made(system, **cache_of(system, f"limited{len(rules)}", "~evolution-cache:*", *rules)) as services:
        assert order(services, instance.id, name)[0] == "succeeded"

    assert not fingerprint_of(system.deployment, instance.id, name)


@pytest.mark.parametrize("command", ["unlink", "hdel", "scan", "dbsize"])
def test_a_cache_that_refuses_a_command_is_refused(system: System, command: str) -> None:
    """By its name, before logout."""
    name = f"without {command}"
    instance = seed_instance(system.deployment, name)

    with made(system, **cache_of(system, command, "~evolution-cache:*", "+@all", f"-{command}")) as services:
        assert command.upper() in refusal(system, services, instance.id, name)


def test_a_rehearsal_is_remembered(system: System) -> None:
    """The next deletion does not pay for it: here its second command of each kind would be refused."""
    instance = seed_instance(system.deployment, "again")
    limits = cache_of(system, "again", "~evolution-cache:*", "+@all")
    with made(system, **limits) as services:
        target = Target(services, instance.id, "again")
        pipeline.rehearse(target)
        cache_of(system, "again", "~evolution-cache:*", "+ping")

        pipeline.rehearse(target)


@contextmanager
def bucket_without(system: System, action: str) -> Iterator[str]:
    """A proxy before the S3 server that refuses one call, as a policy would."""

    def pass_on(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        query, method = environ["QUERY_STRING"], environ["REQUEST_METHOD"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if action in f"{method}?{query}":
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
        assert system.deployment.s3
        headers = {key[5:].replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")}
        url = f"{system.deployment.s3.endpoint}{environ['PATH_INFO']}?{query}"
        answer = requests.request(method, url, data=body, headers=headers, timeout=10)
        kept = [(key, value) for key, value in answer.headers.items() if key.lower().startswith(("content-type", "x-"))]
        start_response(f"{answer.status_code} as answered", kept)
        return [answer.content]

    with make_server("127.0.0.1", 0, pass_on, handler_class=_Silent) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """The tests do not read it."""


@pytest.mark.parametrize(
    ("action", "right"),
    [
        ("GET?versions", "s3:ListBucketVersions"),
        ("GET?uploads", "s3:ListBucketMultipartUploads"),
        ("DELETE?uploadId", "s3:AbortMultipartUpload"),
        ("POST?delete", "s3:DeleteObjectVersion"),
    ],
)
def test_a_bucket_that_refuses_a_call_is_refused(system: System, action: str, right: str) -> None:
    """With the right that is missing."""
    instance = seed_instance(system.deployment, right)

    with bucket_without(system, action) as endpoint, made(system, s3_endpoint=endpoint) as services:
        assert right in refusal(system, services, instance.id, right)


@pytest.mark.parametrize("status", [None, "Enabled", "Suspended"])
def test_a_bucket_is_as_it_was_after_a_rehearsal(system: System, status: str | None) -> None:
    """No delete marker is left, whether it keeps versions or not."""
    assert system.deployment.s3
    place = system.deployment.s3
    client = place.connect()
    if status:
        client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": status})
    instance = seed_instance(system.deployment, f"versions {status}")
    before = client.list_object_versions(Bucket=place.bucket)

    with made(system) as services:
        pipeline.rehearse(Target(services, instance.id, f"versions {status}"))

    after = client.list_object_versions(Bucket=place.bucket)
    assert [after.get(kind, []) for kind in ("Versions", "DeleteMarkers")] == [
        before.get(kind, []) for kind in ("Versions", "DeleteMarkers")
    ]


@contextmanager
def as_nobody(root: Path) -> Iterator[None]:
    """Lethe without root's rights; the files root is its own."""
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def make_read_only(folder: Path) -> None:
    """r-xr-xr-x"""
    folder.chmod(0o555)


def make_list_only(folder: Path) -> None:
    """r--r--r--"""
    folder.chmod(0o444)


def give_away(folder: Path) -> None:
    """rwxr-xr-x, of another user."""
    folder.chmod(0o755)
    os.chown(folder, 12345, 12345)


def make_sticky(folder: Path) -> None:
    """rwxrwxrwt, of another user, with another user's files."""
    for path in (folder, *folder.iterdir()):
        os.chown(path, 12345, 12345)
    folder.chmod(0o1777)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("spoil", [make_read_only, make_list_only, give_away, make_sticky])
def test_a_folder_that_cannot_be_emptied_is_refused(
    system: System, tmp_path_factory: pytest.TempPathFactory, spoil: Callable[[Path], None]
) -> None:
    """It is named, with its owner; nothing was moved."""
    name = f"folder {spoil.__name__}"
    instance = seed_instance(system.deployment, name)
    root = system.deployment.files_root
    folder = root / "instances" / instance.id / "deep"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    for parent in root.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)

    with made(system) as services:
        target = Target(services, instance.id, name)
        pipeline.rehearse(target)
        with as_nobody(root):
            os.seteuid(0)
            spoil(folder)
            os.seteuid(NOBODY)
            with pytest.raises(RequirementNotMet, match=f"instances/{instance.id}/deep"):
                pipeline.rehearse(target)
    folder.chmod(0o755)


def test_a_deletion_that_may_do_all_it_needs_is_not_refused(system: System) -> None:
    """Nor is anything changed by the rehearsal."""
    instance = seed_instance(system.deployment, "fine")
    before = fingerprint(system.deployment)

    with made(system) as services:
        pipeline.rehearse(Target(services, instance.id, "fine"))

    assert fingerprint(system.deployment) == before
