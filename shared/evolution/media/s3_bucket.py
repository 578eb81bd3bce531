"""Media in an S3 bucket: all versions of all objects under the instance's id."""

import re
import time
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Refused
from shared.evolution import instance_ids
from shared.evolution.media import bucket_rehearsal
from shared.evolution.media.storage import COUNT_SECONDS, names_of_payload
from shared.evolution.rehearsed import Rehearsed
from shared.evolution.usage import Neighbours, Usage
from shared.faults import s3 as faults
from shared.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_ROOT = "evolution-api"
_PAYLOADS = f"{_ROOT}/messages/"
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")  # not every server accepts them in a prefix, so it ends before
_MAX_KEYS_PER_CALL = 1_000  # of DeleteObjects


class S3Bucket:
    """Evolution's bucket, with or without versions."""

    unit = "objects"

    def __init__(self, settings: Settings, bucket: str) -> None:
        key, secret = settings.s3_access_key, settings.s3_secret_key
        self.bucket = bucket
        self._rehearsed = Rehearsed()
        self._client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            region_name=settings.s3_region,
            aws_access_key_id=key.get_secret_value() if key else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            # MinIO and most self-hosted servers need path style.
            config=Config(
                connect_timeout=3, read_timeout=15, retries={"max_attempts": 1}, s3={"addressing_style": "path"}
            ),
        )

    def probe(self) -> None:
        """Raise Unreachable or Refused when the bucket cannot be used."""
        with self._translate_errors():
            # Not HEAD: its answer has no body that says which of all errors it is.
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=f"{_ROOT}/", MaxKeys=1)

    def rehearse(self, instance_id: str, name: str, neighbours: Neighbours) -> None:
        """Check the permissions for every call, on a key that does not exist. Runs once; the arguments are unused."""
        with self._translate_errors():
            self._rehearsed.once("calls", lambda: bucket_rehearsal.rehearse(self._client, self.bucket, _ROOT))

    def count(self, instance_id: str) -> int:
        """The number of object versions and unfinished uploads under the id; after COUNT_SECONDS, at least so many."""
        ends, found, prefix = time.monotonic() + COUNT_SECONDS, 0, self._prefix(instance_id)
        pages: Iterator[Sized] = chain(self._uploads(prefix), self._pages(prefix))
        for page in pages:
            found += len(page)
            if time.monotonic() > ends:
                break
        return found

    def erase(self, instance_id: str, deletion_id: UUID) -> Iterator[int]:
        """Remove all object versions and unfinished uploads under the id; yields numbers of removed ones."""
        for page in self._pages(self._prefix(instance_id)):
            yield self._remove(page)
        for uploads in self._uploads(self._prefix(instance_id)):
            for key, upload_id in uploads:
                with self._translate_errors():
                    self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
                yield 1

    def ids(self) -> set[str]:
        """Instance ids that have objects, or old versions of objects."""
        pages = self._client.get_paginator("list_object_versions")
        with self._translate_errors():
            listed = pages.paginate(Bucket=self.bucket, Prefix=f"{_ROOT}/", Delimiter="/")
            names = {each["Prefix"].split("/")[1] for page in listed for each in page.get("CommonPrefixes", [])}
        return {name for name in names if instance_ids.is_uuid(name)}

    def measure(self, instance_id: str) -> Usage:
        """Number and bytes of all object versions under the id, without unfinished uploads."""
        return _total([held for _, held in self._listed(self._prefix(instance_id))])

    def find_named(self, neighbours: Neighbours) -> dict[str, Usage]:
        """Large SQS payloads that belong to no existing instance, by the shortest name that they may belong to."""
        found = [(names_of_payload(key.removeprefix(_PAYLOADS)), held) for key, held in self._listed(_PAYLOADS)]
        others, orphans = set(neighbours()), dict[str, list[Usage]]()
        for names, held in found:
            if names and not names & others:
                orphans.setdefault(min(names, key=len), []).append(held)
        return {name: _total(each) for name, each in orphans.items()}

    def count_named(self, name: str, neighbours: Neighbours) -> int:
        """The number of large SQS payloads that belong to this name alone."""
        return len(self._named(name, neighbours)[0])

    def remove_named(self, name: str, deletion_id: UUID, neighbours: Neighbours) -> tuple[int, list[str]]:
        """Remove the large SQS payloads that belong to this name alone.

        Returns their number, and the keys that were kept because another instance may own them.
        """
        mine, shared = self._named(name, neighbours)
        batches = (mine[at : at + _MAX_KEYS_PER_CALL] for at in range(0, len(mine), _MAX_KEYS_PER_CALL))
        return sum(map(self._remove, batches)), shared

    def _named(self, name: str, neighbours: Neighbours) -> tuple[list["ObjectIdentifierTypeDef"], list[str]]:
        """Payloads that belong to this name alone, and keys that may belong to another instance as well."""
        # A prefix finds candidates.
        found = [
            version for page in self._pages(_PAYLOADS + _CONTROL_CHARACTERS.split(f"{name}_")[0]) for version in page
        ]
        owners = {version["Key"]: names_of_payload(version["Key"].removeprefix(_PAYLOADS)) for version in found}
        found = [version for version in found if name in owners[version["Key"]]]
        others = set(neighbours()) if found else set()
        mine = [version for version in found if not owners[version["Key"]] & others]
        return mine, sorted({version["Key"] for version in found} - {version["Key"] for version in mine})

    def _prefix(self, instance_id: str) -> str:
        if not instance_id or "/" in instance_id:
            raise Refused("the instance's id cannot be a folder of the bucket")
        return f"{_ROOT}/{instance_id}/"  # the slash, so that `fo` does not match `foo`

    def _uploads(self, prefix: str) -> Iterator[list[tuple[str, str]]]:
        """Pages of unfinished uploads (key and upload id): their parts use space, and no other list shows them."""
        pages = self._client.get_paginator("list_multipart_uploads")
        with self._translate_errors():
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                yield [(each["Key"], each["UploadId"]) for each in page.get("Uploads", [])]

    def _listed(self, prefix: str) -> Iterator[tuple[str, Usage]]:
        """The key and the usage of every object version and delete marker."""
        with self._translate_errors():
            for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix):
                for version in page.get("Versions", []):
                    yield version["Key"], Usage(1, version["Size"], version["LastModified"])
                for marker in page.get("DeleteMarkers", []):
                    yield marker["Key"], Usage(1, 0, marker["LastModified"])

    def _pages(self, prefix: str) -> Iterator[list["ObjectIdentifierTypeDef"]]:
        with self._translate_errors():
            for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                if found:
                    yield [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]

    def _remove(self, versions: list["ObjectIdentifierTypeDef"]) -> int:
        with self._translate_errors():
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": versions, "Quiet": True})
        errors = answer.get("Errors", [])
        if errors:  # in an answer with status 200
            raise faults.explain_code("the bucket", errors[0], does=f"to remove {len(errors)} objects")
        return len(versions)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise faults.explain("the bucket", error) from error


def _total(held: list[Usage]) -> Usage:
    newest = max((each.newest for each in held if each.newest), default=None)
    return Usage(len(held), sum(each.size_bytes for each in held), newest)
