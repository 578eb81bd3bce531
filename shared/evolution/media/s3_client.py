"""The S3 client, made so that every server takes its calls and no answer is misread."""

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from shared import certificates
from shared.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_CONNECTIONS = 16
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")
_NO_LIST_OF_VERSIONS = b"<Error><Code>NotImplemented</Code><Message>the server lists no versions</Message></Error>"
_BEGINNING = 500  # bytes of an answer, in which its root element is


def create(settings: Settings) -> "S3Client":
    """The client; nothing is connected before its first call."""
    key, secret = settings.s3_access_key, settings.s3_secret_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        verify=certificates.bundle(settings.ca_file),
        aws_access_key_id=key.get_secret_value() if key else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            connect_timeout=3,
            read_timeout=15,
            retries={"max_attempts": 1},
            max_pool_connections=MOST_CONNECTIONS,
            s3={"addressing_style": settings.s3_addressing},
            request_checksum_calculation="when_required",  # else behind the content, which not every server takes
        ),
    )
    client.meta.events.register("before-sign.s3.DeleteObjects", _send_md5)
    client.meta.events.register("before-parse.s3.ListObjectVersions", _refuse_other_lists)
    return client


def _send_md5(request: Any, **_: object) -> None:
    """Send Content-MD5 with a bulk delete, in place of CRC32: every server accepts it, and older ones demand it."""
    for name in [name for name in request.headers if name.lower().startswith(_CHECKSUMS)]:
        del request.headers[name]
    digest = hashlib.md5(request.data, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _refuse_other_lists(response_dict: dict[str, Any], **_: object) -> None:
    """A server that does not know `?versions` may answer with the plain list, which would be read as an empty one."""
    if b"<ListBucketResult" in response_dict["body"][:_BEGINNING]:
        response_dict |= {"status_code": 501, "body": _NO_LIST_OF_VERSIONS}
