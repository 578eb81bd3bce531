"""Media in an S3 bucket: all versions of all objects under the instance's id."""

import re
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager, contextmanager
from email.utils import parsedate_to_datetime
from itertools import chain
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Refused
from shared.evolution import instance_ids
from shared.evolution.media import bucket_rehearsal, s3_client
from shared.evolution.media.in_flight import InFlight
from shared.evolution.media.items import Item, Readable
from shared.evolution.media.s3_objects import Entry, Removal, S3Objects
from shared.evolution.media.storage import COUNT_SECONDS, names_of_payload, never
from shared.evolution.rehearsed import Rehearsed
from shared.evolution.usage import OtherNames, Usage
from shared.faults import s3 as faults
from shared.settings import Settings

_ROOT = "evolution-api"
_PAYLOADS = f"{_ROOT}/messages/"
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")  # not every server accepts them in a prefix, so it ends before


class S3Bucket:
    """Evolution's bucket, with or without versions."""

    kind = "objects"

    def __init__(self, settings: Settings, bucket: str) -> None:
        self.bucket = bucket
        self._rehearsed = Rehearsed()
        self._client = s3_client.create(settings)
        self._objects = S3Objects(self._client, bucket)

    @property
    def reach(self) -> str:
        """What it sees of each object, for the receipt."""
        return "all versions" if self._objects.lists_versions else "current versions only"

    def probe(self) -> None:
        """Raise Unreachable or Refused when the bucket cannot be used."""
        with self._translate_errors():
            # Not HEAD: its answer has no body that says which of all errors it is.
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=f"{_ROOT}/", MaxKeys=1)

    def rehearse(self, instance_id: str, name: str, other_names: OtherNames) -> None:
        """Find the server's dialect, and try every call on a key that does not exist; the arguments are unused."""
        with self._translate_errors():
            self._rehearsed.once("calls", lambda: bucket_rehearsal.rehearse(self._client, self._objects, _ROOT))

    def count(self, instance_id: str) -> int:
        """The number of object versions and unfinished uploads under the id; after COUNT_SECONDS, at least so many."""
        ends, found, prefix = time.monotonic() + COUNT_SECONDS, 0, self._prefix(instance_id)
        pages: Iterator[Sized] = chain(self._uploads(prefix), self._pages(prefix))
        for page in pages:
            found += len(page)
            if time.monotonic() > ends:
                break
        return found

    def erase(self, instance_id: str, deletion_id: UUID, stop: Callable[[], bool] = never) -> Iterator[int]:
        """Remove all object versions and unfinished uploads under the id; yields numbers of removed ones.

        It lists from the beginning until nothing is left: some servers list on behind a stored key only, and so miss
        what follows a removed one. What is listed first again is left to the step confirm.
        """
        prefix, removed = self._prefix(instance_id), False
        previous: Entry | tuple[str, str] | None = None
        while (page := next(pages := self._pages(prefix), None)) and page[0] != previous:
            previous = page[0]
            for number in self._remove_all(chain([page], pages), stop):
                removed = True
                yield number
            if removed and stop():
                return
        while (uploads := next(filter(None, self._uploads(prefix)), None)) and uploads[0] != previous:
            previous = uploads[0]
            for key, upload_id in uploads:
                with self._translate_errors():
                    self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
                yield 1
                if stop():
                    return

    def items(self, instance_id: str, begin: str = "") -> Iterator[Item]:
        """All versions of all objects under the id; delete markers and unfinished uploads cannot be copied."""
        with self._translate_errors():
            yield from self._as_items(self._objects.stored(self._prefix(instance_id), begin), begin)

    def named_items(self, name: str, other_names: OtherNames, begin: str = "") -> Iterator[Item]:
        """Large SQS payloads that belong to this name alone."""
        mine = sorted(self._named(name, other_names)[0], key=lambda entry: entry.key)
        return self._as_items(iter(mine), begin)

    def clock(self) -> float:
        """The server's, of the answer to a call."""
        with self._translate_errors():
            answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=f"{_ROOT}/", MaxKeys=1)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()

    def _as_items(self, entries: Iterator[Entry], begin: str) -> Iterator[Item]:
        previous = None
        for entry in entries:
            if entry.key >= begin and not entry.is_marker:
                version = entry.version if entry.key == previous else None  # the newest comes first
                yield Item(entry.key, entry.size_bytes, entry.newest.timestamp(), self._reader(entry), version)
                previous = entry.key

    def _reader(self, entry: Entry) -> Callable[[int, int], AbstractContextManager[Readable]]:
        @contextmanager
        def read(offset: int, length: int) -> Iterator[Readable]:
            with self._translate_errors():
                yield self._objects.open(entry, offset, length)

        return read

    def uncovered(self, instance_id: str, name: str, other_names: OtherNames) -> list[str]:
        """Old versions, where the server does not list them; else nothing, for an object leads nowhere."""
        if self._objects.lists_versions:
            return []
        return ["old versions of objects, if there are any: the bucket's server does not list them"]

    def ids(self) -> set[str]:
        """Instance ids that have objects, or old versions of objects."""
        with self._translate_errors():
            return set(filter(instance_ids.is_uuid, self._objects.folders(f"{_ROOT}/")))

    def measure(self, instance_id: str) -> Usage:
        """Number and bytes of all object versions under the id, without unfinished uploads."""
        return _total([held for _, held in self._listed(self._prefix(instance_id))])

    def find_named(self, other_names: OtherNames) -> dict[str, Usage]:
        """Large SQS payloads that belong to no existing instance, by the shortest name that they may belong to."""
        found = [(names_of_payload(key.removeprefix(_PAYLOADS)), held) for key, held in self._listed(_PAYLOADS)]
        others, orphans = set(other_names()), dict[str, list[Usage]]()
        for names, held in found:
            if names and not names & others:
                orphans.setdefault(min(names, key=len), []).append(held)
        return {name: _total(each) for name, each in orphans.items()}

    def count_named(self, name: str, other_names: OtherNames) -> int:
        """The number of large SQS payloads that belong to this name alone."""
        return len(self._named(name, other_names)[0])

    def remove_named(self, name: str, deletion_id: UUID, other_names: OtherNames) -> tuple[int, list[str]]:
        """Remove the large SQS payloads that belong to this name alone.

        Returns their number, and the keys that were kept because another instance may own them.
        """
        mine, shared = self._named(name, other_names)
        return sum(self._remove_all(iter([mine]))), shared

    def _named(self, name: str, other_names: OtherNames) -> tuple[list[Entry], list[str]]:
        """Payloads that belong to this name alone, and keys that may belong to another instance as well."""
        # A prefix finds candidates.
        found = [entry for page in self._pages(_PAYLOADS + _CONTROL_CHARACTERS.split(f"{name}_")[0]) for entry in page]
        owners = {entry.key: names_of_payload(entry.key.removeprefix(_PAYLOADS)) for entry in found}
        found = [entry for entry in found if name in owners[entry.key]]
        others = set(other_names()) if found else set()
        mine = [entry for entry in found if not owners[entry.key] & others]
        return mine, sorted({entry.key for entry in found} - {entry.key for entry in mine})

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
        for page in self._pages(prefix):
            for each in page:
                yield each.key, Usage(1, each.size_bytes, each.newest)

    def _pages(self, prefix: str) -> Iterator[list[Entry]]:
        with self._translate_errors():
            yield from self._objects.pages(prefix)

    def _remove_all(self, pages: Iterator[Sequence[Entry]], stop: Callable[[], bool] = never) -> Iterator[int]:
        return InFlight(self._remove, self._objects.keys_per_call).run(pages, stop)

    def _remove(self, entries: Sequence[Entry]) -> Removal:
        with self._translate_errors():
            return self._objects.remove(entries)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise faults.explain("the bucket", error) from error


def _total(held: list[Usage]) -> Usage:
    newest = max((each.newest for each in held if each.newest), default=None)
    return Usage(len(held), sum(each.size_bytes for each in held), newest)
