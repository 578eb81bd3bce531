"""Media go from S3 servers that lack calls, or demand more: a proxy refuses what they do, before a real server."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from bench.s3_proxy import Answer, Refuse, S3Proxy, refusal
from demo.evolution.deployment import S3Place
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from demo.s3 import DOMAIN
from shared.errors import RefusesForNow, RequirementNotMet
from shared.evolution.media.in_flight import MOST_IN_BULK, MOST_SINGLE
from shared.evolution.media.s3_bucket import S3Bucket
from shared.receipts import receipt
from tests.integration.inline import accept, run_all
from tests.servers import make_bucket
from tests.system import System, running

SEVERAL_PAGES = 2_500


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> System:
    """A system without processes: the steps run here."""
    return make_system()


@pytest.fixture
def place(system: System) -> S3Place:
    """Its bucket."""
    assert system.deployment.s3
    return system.deployment.s3


def refusing(*answers: tuple[str, int, str]) -> Refuse:
    """Refuse these kinds of calls."""
    known = {kind: refusal(status, code) for kind, status, code in answers}
    return lambda kind, headers: known.get(kind)


def without_md5(kind: str, headers: Mapping[str, str]) -> Answer | None:
    """As older MinIO: a bulk delete needs Content-MD5."""
    return refusal(400, "MissingContentMD5") if kind == "POST delete" and "content-md5" not in headers else None


def plain_list(kind: str, headers: Mapping[str, str]) -> Answer | None:
    """A server that does not look at ?versions, and answers with the list of objects."""
    return (200, b"<ListBucketResult><Name>x</Name></ListBucketResult>") if kind == "GET versions" else None


R2 = refusing(("GET versions", 501, "NotImplemented"), ("GET versioning", 501, "NotImplemented"))
GARAGE = refusing(("GET versions", 501, "NotImplemented"))
NO_BULK = refusing(("POST delete", 501, "NotImplemented"))
NO_BULK_405 = refusing(("POST delete", 405, "MethodNotAllowed"))
NEITHER = refusing(("GET versions", 501, "NotImplemented"), ("POST delete", 501, "NotImplemented"))

DIALECTS = pytest.mark.parametrize(
    ("refuse", "reach"),
    [
        pytest.param(R2, "current versions only", id="R2"),
        pytest.param(GARAGE, "current versions only", id="Garage", marks=pytest.mark.slow),
        pytest.param(plain_list, "current versions only", id="a plain list", marks=pytest.mark.slow),
        pytest.param(without_md5, "all versions", id="older MinIO", marks=pytest.mark.slow),
        pytest.param(NO_BULK, "all versions", id="no bulk deletes"),
        pytest.param(NO_BULK_405, "all versions", id="bulk deletes not allowed", marks=pytest.mark.slow),
        pytest.param(NEITHER, "current versions only", id="neither", marks=pytest.mark.slow),
    ],
)


@contextmanager
def bucket_behind(system: System, place: S3Place, proxy: S3Proxy) -> Iterator[S3Bucket]:
    """The bucket, as this process sees it through the proxy."""
    with proxy:
        yield S3Bucket(system.settings.model_copy(update={"s3_endpoint": proxy.url}), place.bucket)


def put(place: S3Place, instance_id: str, number: int) -> None:
    """Objects of the instance."""
    client = place.connect()
    for at in range(number):
        client.put_object(Bucket=place.bucket, Key=f"evolution-api/{instance_id}/a b/{at}+ü.jpg", Body=b"x")


def keys(place: S3Place, instance_id: str) -> list[str]:
    """What the real server still has."""
    found = place.connect().list_objects_v2(Bucket=place.bucket, Prefix=f"evolution-api/{instance_id}/")
    return [each["Key"] for each in found.get("Contents", [])]


def receipt_of(services: Any, deletion_id: UUID) -> dict[str, Any]:
    """The signed content."""
    document = receipt.load(services.own, deletion_id)
    assert document
    content: dict[str, Any] = json.loads(document)["receipt"]
    return content


@DIALECTS
def test_a_deletion_succeeds_on_every_server(system: System, place: S3Place, refuse: Refuse, reach: str) -> None:
    """Rehearsal included; the receipt says what was seen, and nothing of another instance went."""
    name = f"dialect {uuid4()}"
    instance, other = seed_instance(system.deployment, name), seed_instance(system.deployment, f"{name} other")
    before = keys(place, other.id)
    with S3Proxy(place.endpoint, refuse) as proxy:
        services = system.make_services(s3_endpoint=proxy.url)
        deletion_id = accept(services, instance.id, name)
        run_all(services, deletion_id)

        assert receipt_of(services, deletion_id)["verified"]["objects"] == reach
    assert keys(place, instance.id) == []
    assert keys(place, other.id) == before != []


@DIALECTS
def test_a_process_that_has_rehearsed_nothing_finds_the_dialect(
    system: System, place: S3Place, refuse: Refuse, reach: str
) -> None:
    """After a restart: by the first call that it makes anyway."""
    mine = str(uuid4())
    put(place, mine, 5)
    with bucket_behind(system, place, S3Proxy(place.endpoint, refuse)) as bucket:
        assert bucket.ids() >= {mine}
    with bucket_behind(system, place, S3Proxy(place.endpoint, refuse)) as bucket:
        assert sum(bucket.erase(mine, uuid4())) == 5
        assert bucket.count(mine) == 0
        assert bucket.reach == reach
        assert bool(bucket.uncovered(mine, "", list)) == (reach != "all versions")
    assert keys(place, mine) == []


def test_old_versions_that_nobody_lists_are_refused(system: System, place: S3Place) -> None:
    """A bucket that keeps them would give a delete marker, and keep the data."""
    with ExitStack() as closing:
        keeping = make_bucket(replace(place, bucket=f"keeping-{uuid4()}"), closing)
        enabled = {"Status": "Enabled"}
        keeping.connect().put_bucket_versioning(Bucket=keeping.bucket, VersioningConfiguration=enabled)  # type: ignore[arg-type]
        bucket = closing.enter_context(bucket_behind(system, keeping, S3Proxy(place.endpoint, GARAGE)))
        for act in (lambda: bucket.rehearse("", "", list), lambda: list(bucket.erase(str(uuid4()), uuid4()))):
            with pytest.raises(RequirementNotMet, match="keeps old versions"):
                act()


def test_the_buckets_name_may_stand_in_the_host(
    system: System, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LETHE_S3_ADDRESSING=virtual: the server, which knows its own domain, gets no path with the bucket's name."""
    mine, look_up = str(uuid4()), socket.getaddrinfo
    put(place, mine, 3)

    def look_up_loopback(host: Any, *rest: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if str(host).endswith(DOMAIN) else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_loopback)
    changes = {"s3_endpoint": place.endpoint.replace("127.0.0.1", DOMAIN), "s3_addressing": "virtual"}
    bucket = S3Bucket(system.settings.model_copy(update=changes), place.bucket)
    urls = list[str]()
    bucket._client.meta.events.register("before-send.s3", lambda request, **_: urls.append(request.url))

    assert sum(bucket.erase(mine, uuid4())) == 3
    assert {urlsplit(url).hostname for url in urls} == {f"{place.bucket}.{DOMAIN}"}
    assert keys(place, mine) == []


def test_objects_go_with_a_few_calls_in_flight(system: System, place: S3Place) -> None:
    """The next page is listed meanwhile; never more calls than allowed, and all are counted."""
    mine = str(uuid4())
    put(place, mine, SEVERAL_PAGES)

    def hold_the_first(kind: str, _: Mapping[str, str]) -> None:
        if kind == "POST delete":
            wait_until(lambda: proxy.most_at_once[kind] >= 2, 20, "a second call in flight")

    proxy = S3Proxy(place.endpoint, hold_the_first)
    with bucket_behind(system, place, proxy) as bucket:
        assert sum(bucket.erase(mine, uuid4())) == SEVERAL_PAGES

    assert 2 <= proxy.most_at_once["POST delete"] <= MOST_IN_BULK
    assert keys(place, mine) == []


def test_a_server_that_lists_on_behind_a_stored_key_only(
    system: System, moto_part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second page is empty once the last key of the first one is removed."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    place = S3Place(moto_part, "lists-on", "any", "any")
    place.connect().create_bucket(Bucket=place.bucket)
    mine = str(uuid4())
    put(place, mine, 35)

    def remove_before_the_next_page(kind: str, _: Mapping[str, str]) -> None:
        if kind == "GET versions" and proxy.calls[kind] > 1:
            wait_until(lambda: proxy.calls["POST delete"] and not proxy._running["POST delete"], 20, "a removed page")

    proxy = S3Proxy(place.endpoint, remove_before_the_next_page)
    with bucket_behind(system, place, proxy) as bucket:
        assert sum(bucket.erase(mine, uuid4())) == 35

    assert keys(place, mine) == []


def test_a_page_without_uploads_is_not_the_end(system: System, moto_part: str) -> None:
    """A server may answer with an empty page and say that more follow."""
    place, mine = S3Place(moto_part, "empty-page", "any", "any"), str(uuid4())
    place.connect().create_bucket(Bucket=place.bucket)
    place.connect().create_multipart_upload(Bucket=place.bucket, Key=f"evolution-api/{mine}/half")
    more = f"<IsTruncated>true</IsTruncated><NextKeyMarker>evolution-api/{mine}/a</NextKeyMarker>"
    empty = 200, f"<ListMultipartUploadsResult>{more}</ListMultipartUploadsResult>".encode()
    proxy = S3Proxy(place.endpoint, lambda kind, _: empty if (kind, proxy.calls[kind]) == ("GET uploads", 1) else None)

    with bucket_behind(system, place, proxy) as bucket:
        assert sum(bucket.erase(mine, uuid4())) == 1


def test_single_deletes_go_in_flight_too(system: System, place: S3Place) -> None:
    """Where there are no bulk deletes."""
    mine = str(uuid4())
    put(place, mine, 60)
    with bucket_behind(system, place, proxy := S3Proxy(place.endpoint, NO_BULK, delay_seconds=0.1)) as bucket:
        assert sum(bucket.erase(mine, uuid4())) == 60

    assert 4 <= proxy.most_at_once["DELETE"] <= MOST_SINGLE
    assert keys(place, mine) == []


def test_a_server_that_is_busy_gets_fewer_calls(system: System, place: S3Place) -> None:
    """It refuses all but two at a time: everything goes, and is counted once."""
    mine, lock = str(uuid4()), Lock()
    put(place, mine, 200)
    running = refused = 0

    def busy(kind: str, headers: Mapping[str, str]) -> Answer | None:
        nonlocal running, refused
        if kind == "POST delete":
            return refusal(501, "NotImplemented")
        with lock:
            running = proxy._running["DELETE"]
            too_many = kind == "DELETE" and running > 2
            refused += too_many
        return refusal(503, "SlowDown") if too_many else None

    proxy = S3Proxy(place.endpoint, busy, delay_seconds=0.02)
    with bucket_behind(system, place, proxy) as bucket:
        assert sum(bucket.erase(mine, uuid4())) == 200

    assert keys(place, mine) == []
    assert refused < 100


def test_a_server_that_stays_busy_lets_the_deletion_wait(system: System, place: S3Place) -> None:
    """What went before is counted."""
    mine, served = str(uuid4()), iter(range(1))
    put(place, mine, 1_200)

    def busy(kind: str, headers: Mapping[str, str]) -> Answer | None:
        return refusal(503, "SlowDown") if kind == "POST delete" and next(served, None) is None else None

    numbers = list[int]()
    with (
        bucket_behind(system, place, S3Proxy(place.endpoint, busy)) as bucket,
        pytest.raises(RefusesForNow, match="SlowDown"),
    ):
        numbers.extend(bucket.erase(mine, uuid4()))

    removed = sum(numbers)
    assert removed == 1_200 - len(keys(place, mine)) > 0


def test_what_is_in_flight_at_the_end_of_a_slice_is_counted(system: System, place: S3Place) -> None:
    """And no further call is begun."""
    mine = str(uuid4())
    put(place, mine, 50)
    with bucket_behind(system, place, S3Proxy(place.endpoint, NO_BULK, delay_seconds=0.02)) as bucket:
        removed = sum(bucket.erase(mine, uuid4(), lambda: True))

        assert removed + len(keys(place, mine)) == 50
        assert 0 < removed < 50
        assert sum(bucket.erase(mine, uuid4())) == 50 - removed


def test_a_worker_that_is_killed_in_the_middle_finishes_once(make_system: Callable[..., System]) -> None:
    """Calls in flight die with it; a new worker removes the rest, and their numbers fit."""
    system = make_system()
    assert system.deployment.s3
    place, name = system.deployment.s3, "killed in the middle"
    instance = seed_instance(system.deployment, name)
    put(place, instance.id, 400)
    with S3Proxy(place.endpoint, NO_BULK, delay_seconds=0.2) as proxy:
        system = replace(system, settings=system.settings.model_copy(update={"s3_endpoint": proxy.url}))
        with running(system, "web", "worker", "beat"):
            deletion_id = system.delete_by_id(instance.id).json()["id"]
            wait_until(lambda: proxy.calls["DELETE"] > 100, 60, "objects that are removed")
            system.processes.pop("worker").kill()
            system.start("worker")
            shown = system.wait_for(deletion_id)

    removed = next(step["removed"]["objects"] for step in shown["steps"] if step["name"] == "delete_files")
    assert keys(place, instance.id) == []
    assert 300 < removed <= 400 + 20
