"""The queues of an instance in Amazon SQS. A prefix finds candidates; only exact names are removed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared import certificates
from shared.errors import Refused, RequirementNotMet, TransientError
from shared.evolution.event_names import EVENT_FORMS
from shared.evolution.queues.queues import Counts, Removed, possible_names
from shared.evolution.usage import OtherNames
from shared.faults import s3 as faults
from shared.faults.kinds import Server
from shared.settings import Settings

_POSSIBLE_INSTANCE_NAME = re.compile(r"[A-Za-z0-9_-]{1,74}")  # with .fifo at most 80 characters
_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


class Sqs:
    """The SQS queues of one account and region."""

    def __init__(self, settings: Settings, region: str, shared_names: frozenset[str]) -> None:
        key, secret = settings.sqs_access_key, settings.sqs_secret_key
        self._shared_names = shared_names
        self._client = boto3.client(
            "sqs",
            endpoint_url=settings.sqs_endpoint,
            region_name=region,
            verify=certificates.bundle(settings.ca_file),
            aws_access_key_id=key.get_secret_value() if key else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(connect_timeout=3, read_timeout=15, retries={"max_attempts": 1}),
        )

    def probe(self) -> None:
        """Raise Unreachable when SQS does not answer, Refused when it rejects the key."""
        with _translate_errors():
            self._client.list_queues(MaxResults=1)

    def rehearse(self, name: str) -> None:
        """Check sqs:DeleteQueue by deleting a queue that does not exist.

        Skipped if the account has no queue, because its URL is built from an existing one.
        """
        with _translate_errors():
            listed = self._client.list_queues(MaxResults=1).get("QueueUrls", [])
        for url in listed:
            try:
                self._remove(f"{url.rpartition('/')[0]}/lethe-rehearsal-{uuid4()}")
            except Refused as error:
                problem = f"SQS does not let Lethe's key delete queues ({error.title})"
                raise RequirementNotMet(problem, "grant sqs:DeleteQueue", "queues") from error

    def count_named(self, name: str, other_names: OtherNames) -> Counts:
        """Number of queues that belong to this instance name and to no other."""
        return {"queues": len(self._find(name, other_names)[0])}

    def remove_named(self, name: str, other_names: OtherNames) -> Removed:
        """Remove the queues that count_named() counts, with their messages. Returns also how many were kept."""
        mine, kept = self._find(name, other_names)
        return Removed({"queues": sum(self._remove(url) for url in mine)}, kept)

    def _find(self, name: str, other_names: OtherNames) -> tuple[list[str], int]:
        """URLs of the queues that belong to this name alone, and how many others may belong to another name."""
        if not _POSSIBLE_INSTANCE_NAME.fullmatch(name):
            return [], 0  # SQS allows no queue of such a name
        owners = {url: set(_possible_instance_names(url)) for url in self._list(f"{name}_")}
        found = [url for url in owners if name in owners[url]]
        others = {*other_names(), *self._shared_names} if found else set[str]()
        mine = [url for url in found if not owners[url] & others]
        return mine, len(found) - len(mine)

    def _list(self, prefix: str) -> list[str]:
        with _translate_errors():
            pages = self._client.get_paginator("list_queues").paginate(
                QueueNamePrefix=prefix, PaginationConfig={"PageSize": 1_000}
            )
            return [url for page in pages for url in page.get("QueueUrls", [])]

    def _remove(self, url: str) -> int:
        try:
            with _translate_errors():
                self._client.delete_queue(QueueUrl=url)
        except _QueueDoesNotExist:  # SQS lists a removed queue for another minute
            return 0
        return 1


class _QueueDoesNotExist(TransientError):
    """The queue does not exist."""


def _possible_instance_names(url: str) -> Iterator[str]:
    queue = url.rpartition("/")[2]
    if queue.endswith(".fifo"):
        yield from possible_names(queue.removesuffix(".fifo"), "_", EVENT_FORMS)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _GONE:
            raise _QueueDoesNotExist from error
        raise faults.explain("SQS", error, Server.SQS) from error
    except BotoCoreError as error:
        raise faults.explain("SQS", error, Server.SQS) from error
