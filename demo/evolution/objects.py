"""The objects of one instance in the deployment's bucket."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from demo.evolution.deployment import Deployment, S3Place

ROOT = "evolution-api"
EVENT_MILLISECONDS = 1_760_000_000_000
KEY_BYTES = 1024
PART_BYTES = 255  # of a path
WRITERS = 8


def prefix_by_id(instance_id: str) -> str:
    """What all keys of an instance's media start with."""
    return f"{ROOT}/{instance_id}/"


def event_key(name: str) -> str:
    """The key of the one oversize event that was kept, by name."""
    return f"{ROOT}/messages/{name}_messages_upsert_{EVENT_MILLISECONDS}.json"


def is_storable(key: str, *, any_key: bool) -> bool:
    """Whether every S3 takes this key: not too long, no control characters; and where not any key is taken, a path."""
    if len(key.encode()) > KEY_BYTES or min(key) < " ":
        return False
    parts = key.split("/")
    return any_key or not (
        "\\" in key or {"", ".", ".."} & set(parts) or max(map(len, map(str.encode, parts))) > PART_BYTES
    )


def fill(deployment: Deployment, instance_id: str, name: str, media: list[str]) -> None:
    """Put an object for every Media row, one that has no row, and an oversize event."""
    if not deployment.s3:
        return
    without_row = f"{prefix_by_id(instance_id)}5511900000001@s.whatsapp.net/3EB0/audioMessage/voice.ogg"
    keys = [f"{ROOT}/{file}" for file in media] + [without_row, event_key(name)]
    place, client = deployment.s3, deployment.s3.connect()

    def put(key: str) -> None:
        client.put_object(Bucket=place.bucket, Key=key, Body=f"{key} of {instance_id}".encode())

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, (key for key in keys if is_storable(key, any_key=place.any_key))))


def entries(place: S3Place, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and etag of every object whose key starts with the prefix."""
    client = place.connect()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            yield found["Key"], found["ETag"]
