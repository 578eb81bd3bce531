"""The objects of a bucket in the server's own dialect: with or without lists of versions and bulk deletes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.errors import LetheError, RequirementNotMet
from shared.evolution.media.items import Readable, Vanished
from shared.faults import s3 as faults

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOT_OFFERED = ("NotImplemented", "MethodNotAllowed", "501", "405")
_GONE = ("NoSuchKey", "NoSuchVersion", "404")
_MOST_KEYS = 1_000  # of one bulk delete


@dataclass(frozen=True)
class Entry:
    """A version of an object, or a delete marker; without a version, the current object."""

    key: str
    version: str | None
    size_bytes: int
    newest: datetime
    is_marker: bool = False

    @property
    def address(self) -> dict[str, str]:
        """How calls name it."""
        return {"Key": self.key} if self.version is None else {"Key": self.key, "VersionId": self.version}


@dataclass(frozen=True)
class Removal:
    """What one call has removed, and what it left."""

    removed: int
    left: Sequence[Entry] = ()
    failure: LetheError | None = None  # why; without one, the server offers no bulk deletes


class S3Objects:
    """Lists and removes. It takes every call to be offered until the server says otherwise; forget() begins anew."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self.bucket = bucket
        self._client = client
        self.forget()

    def forget(self) -> None:
        """Take every call to be offered again."""
        self.lists_versions = True
        self._removes_in_bulk = True

    def keys_per_call(self) -> int:
        """The most objects that one call removes."""
        return _MOST_KEYS if self._removes_in_bulk else 1

    def pages(self, prefix: str, after: str = "") -> Iterator[list[Entry]]:
        """All versions and delete markers below the prefix; where the server lists none, the current objects."""
        for answer in self._answers(prefix, after):
            entries = [
                Entry(
                    each["Key"],
                    each.get("VersionId"),
                    each.get("Size", 0),
                    each["LastModified"],
                    is_marker=kind == "DeleteMarkers",
                )
                for kind in ("Versions", "DeleteMarkers", "Contents")
                for each in answer.get(kind, [])
            ]
            if entries:
                yield entries

    def stored(self, prefix: str, begin: str) -> Iterator[Entry]:
        """What pages() lists, in the order of keys and each key's newest version first, from the key `begin` on."""
        for page in self.pages(prefix, begin[:-1]):  # servers begin behind what they are given
            yield from sorted(page, key=lambda entry: entry.key)  # versions and markers are two lists

    def open(self, entry: Entry, offset: int, length: int) -> Readable:
        """A part of what it holds; raises Vanished."""
        span = {"Range": f"bytes={offset}-{offset + length - 1}"} if length else {}  # an empty object has no range
        try:
            return self._client.get_object(Bucket=self.bucket, **entry.address, **span)["Body"]  # type: ignore[arg-type]
        except ClientError as error:
            if code_of(error) in _GONE:
                raise Vanished from error
            raise

    def folders(self, prefix: str) -> Iterator[str]:
        """What stands in keys between the prefix and the next slash, once each."""
        for answer in self._answers(prefix, Delimiter="/"):
            for each in answer.get("CommonPrefixes", []):
                yield each["Prefix"].removeprefix(prefix).rstrip("/")

    def _answers(self, prefix: str, after: str = "", **options: str) -> Iterator[Mapping[str, Any]]:
        where = {"Bucket": self.bucket, "Prefix": prefix, **options}
        if self.lists_versions:
            begin = {"KeyMarker": after} if after else {}
            answers = iter(self._client.get_paginator("list_object_versions").paginate(**where, **begin))  # type: ignore[arg-type]
            try:
                first = next(answers)
            except ClientError as error:
                if code_of(error) not in NOT_OFFERED:
                    raise
                self._do_without_versions()
            else:
                yield from chain([first], answers)
                return
        begin = {"StartAfter": after} if after else {}
        yield from self._client.get_paginator("list_objects_v2").paginate(**where, **begin)  # type: ignore[arg-type]

    def _do_without_versions(self) -> None:
        """Raise RequirementNotMet if the bucket keeps old versions: nobody could list them."""
        try:
            keeps = self._client.get_bucket_versioning(Bucket=self.bucket).get("Status")
        except ClientError:  # not offered either: a server without versions
            keeps = None
        if keeps:
            problem = f'the bucket "{self.bucket}" keeps old versions, and its server does not list them'
            raise RequirementNotMet(problem, "use a server that does, or a bucket without versions", "s3")
        self.lists_versions = False

    def remove(self, entries: Sequence[Entry]) -> Removal:
        """Remove up to keys_per_call() objects with one call; raises what the whole call was answered with."""
        if len(entries) == 1 and not self._removes_in_bulk:
            return self._remove_one(entries[0])
        errors = self._remove_in_bulk([each.address for each in entries])
        if errors is None:
            return Removal(0, entries)
        errors = [each for each in errors if each.get("Code") not in _GONE]
        if not errors:
            return Removal(len(entries))
        named = {(each.get("Key"), each.get("VersionId") or None) for each in errors}
        left = [each for each in entries if {(each.key, each.version), (each.key, None)} & named] or entries
        failure = faults.explain_code("the bucket", errors[0], does=f"to remove {len(left)} objects")
        return Removal(len(entries) - len(left), left, failure)

    def try_to_remove(self, key: str) -> str | None:
        """Try the removing call on a key that does not exist; the code of the server's answer, None if it has none."""
        # With a version, as the steps do: without one, a versioned bucket would get a delete marker.
        address = {"Key": key, "VersionId": "null"} if self.lists_versions else {"Key": key}
        errors = self._remove_in_bulk([address])
        if errors is not None:
            return next((str(each.get("Code")) for each in errors), None)
        try:
            self._client.delete_object(Bucket=self.bucket, **address)  # type: ignore[arg-type]
        except ClientError as error:
            return code_of(error)
        return None

    def _remove_in_bulk(self, addresses: Sequence[Mapping[str, str]]) -> list[Mapping[str, Any]] | None:
        """The errors in the answer; None if the server offers no bulk deletes."""
        try:
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": addresses, "Quiet": True})  # type: ignore[typeddict-item]
        except ClientError as error:
            if code_of(error) not in NOT_OFFERED:
                raise
            self._removes_in_bulk = False
            return None
        return [*answer.get("Errors", [])]

    def _remove_one(self, entry: Entry) -> Removal:
        try:
            self._client.delete_object(Bucket=self.bucket, **entry.address)  # type: ignore[arg-type]
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise
        return Removal(1)


def code_of(error: ClientError) -> str:
    """The server's word for the error."""
    return str(error.response.get("Error", {}).get("Code"))
