"""Archives in an S3 bucket, with the endpoint and the keys of Evolution's."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Refused
from shared.evolution.media import s3_client
from shared.faults import s3 as faults
from shared.settings import Settings

_CHUNK = 1 << 20
_IN_MEMORY = 32 << 20  # bytes of a file before its upload; the rest waits on the local disk


class Bucket:
    """A bucket that exists, below a prefix."""

    def __init__(self, settings: Settings, bucket: str, prefix: str) -> None:
        self._client = s3_client.create(settings)
        self._bucket = bucket
        self.place = f"s3://{bucket}/{prefix}"
        self._prefix = f"{prefix}/" if prefix else ""

    def probe(self, needed_bytes: int = 0) -> None:
        """Write, list, read and remove a small object."""
        folder = f".lethe-probe-{uuid4()}"
        path = f"{folder}/probe"
        with self.write(path) as file:
            file.write(b"lethe")
        if b"".join(self.read(path)) != b"lethe" or path not in self.sizes(folder):
            raise Refused("the bucket of the export does not give back what was written to it")
        self.remove(path)

    @contextmanager
    def write(self, path: str) -> Iterator[IO[bytes]]:
        """An object: one call puts it whole when the block ends."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            yield file
            file.seek(0)
            with self._translate_errors():
                self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}{path}", Body=file)

    def read(self, path: str) -> Iterator[bytes]:
        """The object, as the server has it now."""
        with self._translate_errors():
            answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{path}")
            yield from answer["Body"].iter_chunks(_CHUNK)

    def sizes(self, folder: str) -> dict[str, int]:
        """All objects below the folder."""
        found = {}
        with self._translate_errors():
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/"):
                for each in page.get("Contents", []):
                    found[each["Key"].removeprefix(self._prefix)] = each["Size"]
        return found

    def remove(self, path: str) -> None:
        """Remove an object that was never part of a closed archive."""
        with self._translate_errors():
            self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}{path}")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise faults.explain("the bucket of the export", error) from error
