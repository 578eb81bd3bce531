"""Files against `rm -rf`, objects against serial loops of deletes."""

import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from bench.figures import Figure
from bench.ground import Ground
from bench.steps import ready, run_step
from bench.timing import timed
from demo.evolution.deployment import Deployment, S3Place, SeededInstance
from demo.evolution.seed import seed_instance
from shared import services

_FILES = {"small": 2_000, "medium": 50_000, "large": 50_000}
_OBJECTS = {"small": 200, "medium": 5_000, "large": 50_000}
_SINGLE_OBJECTS = 200
_ROUNDS = 3
_LATENCY_SECONDS = 0.05


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """The step delete_files, with nothing but files, then with nothing but objects."""
    yield _files(ground, _FILES[scale])
    number = max(_OBJECTS["medium"], _OBJECTS[scale])
    with ground.distant_bucket(_LATENCY_SECONDS) as (place, near):
        yield _objects(ground, near, near, _OBJECTS[scale], "a serial loop of bulk deletes", _bare)
        yield _objects(ground, place, near, number, "a serial loop of bulk deletes", _bare)
    with ground.distant_bucket(_LATENCY_SECONDS, "POST delete") as (place, near):
        yield _objects(ground, place, near, _SINGLE_OBJECTS, "a serial loop of single deletes", _bare_one_by_one)


def _files(ground: Ground, number: int) -> Figure:
    deployment = ground.deployment()
    made = services.create(ground.settings(deployment, "http://127.0.0.1:9"))
    ours, theirs = [], []
    for at in range(_ROUNDS):
        instance = seed_instance(deployment, f"files {at}")
        _write(deployment.files_root / "instances" / instance.id, number)
        mine = ready(made, instance, "delete_files")
        plain = deployment.files_root / "instances" / str(uuid4())
        _write(plain, number)
        os.sync()  # so that neither pays for the writing of what was just made
        for way in ("ours", "theirs") if at % 2 else ("theirs", "ours"):
            if way == "ours":
                ours.append(timed(lambda: run_step(made, mine, "delete_files")))  # noqa: B023
            else:
                theirs.append(timed(lambda: subprocess.run(["rm", "-rf", str(plain)], check=True)))  # noqa: B023
    made.close()
    return Figure(f"{number:,} files", "rm -rf", statistics.median(ours), statistics.median(theirs), "s", at_most=1.1,
                  notes={"ours": ours, "theirs": theirs})  # fmt: skip


def _write(folder: Path, number: int) -> None:
    for at in range(number):
        if at % 1000 == 0:
            (folder / f"part-{at}").mkdir(parents=True)
        (folder / f"part-{at // 1000 * 1000}" / f"pre-key-{at}.json").write_text("{}")


def _objects(
    ground: Ground, place: S3Place, near: S3Place, number: int, against: str, bare: Callable[[S3Place, str], None]
) -> Figure:
    """On a real server, as it is or behind a proxy that adds latency; the objects are put without it."""
    deployment = ground.deployment(s3=near)
    made = services.create(ground.settings(replace(deployment, s3=place), "http://127.0.0.1:9", files_root=None))
    ours, theirs = [], []
    for at in range(_ROUNDS):
        instance, plain = _seed(deployment, f"ours {at}", number), _seed(deployment, f"plain {at}", number)
        mine = ready(made, instance, "delete_files")
        for way in ("ours", "theirs") if at % 2 else ("theirs", "ours"):
            if way == "ours":
                ours.append(timed(lambda: run_step(made, mine, "delete_files")))  # noqa: B023
            else:
                theirs.append(timed(lambda: bare(place, plain.id)))  # noqa: B023
        _check_gone(near, instance, plain)
    made.close()
    far = "" if place == near else f", {_LATENCY_SECONDS * 1000:.0f} ms away"
    return Figure(
        f"{number:,} objects{far}", against, statistics.median(ours), statistics.median(theirs), "s",
        at_most=0.33 if far else 1.2, notes={"ours": ours, "theirs": theirs},
    )  # fmt: skip


def _check_gone(place: S3Place, *instances: SeededInstance) -> None:
    """A way that leaves objects is not measured."""
    for each in instances:
        found = place.connect().list_objects_v2(Bucket=place.bucket, Prefix=f"evolution-api/{each.id}/", MaxKeys=1)
        if found.get("Contents"):
            raise AssertionError(f"objects of {each.name} are left")


def _bare(place: S3Place, instance_id: str) -> None:
    client = place.connect()
    for page in client.get_paginator("list_object_versions").paginate(
        Bucket=place.bucket, Prefix=f"evolution-api/{instance_id}/"
    ):
        if found := page.get("Versions"):
            listed = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            client.delete_objects(Bucket=place.bucket, Delete={"Objects": listed, "Quiet": True})  # type: ignore[typeddict-item]


def _bare_one_by_one(place: S3Place, instance_id: str) -> None:
    client = place.connect()
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=place.bucket, Prefix=f"evolution-api/{instance_id}/"
    ):
        for each in page.get("Contents", []):
            client.delete_object(Bucket=place.bucket, Key=each["Key"])


def _seed(deployment: Deployment, name: str, number: int) -> SeededInstance:
    return seed_instance(deployment, name, messages=number, updates_per_message=0, media=number)
