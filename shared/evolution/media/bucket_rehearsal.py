"""Tries every call that the steps make of a bucket, the removing ones on a key that does not exist."""

from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import ClientError

from shared.errors import RequirementNotMet
from shared.evolution.media.s3_objects import S3Objects, code_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DENIED = ("403", "AccessDenied", "AllAccessDisabled", "MethodNotAllowed", "NotImplemented")
_SECTION = "s3"


def rehearse(client: "S3Client", objects: S3Objects, root: str) -> None:
    """Find the server's dialect anew, and raise RequirementNotMet, naming the call that it refuses.

    Other errors are the client's own.
    """
    objects.forget()
    key = f"{root}/lethe-rehearsal-{uuid4()}/nothing"
    for call in (_list, _list_uploads, _abort_upload, _delete):
        try:
            call(client, objects, key)
        except ClientError as error:
            code = code_of(error)
            if code in _DENIED:
                raise _refusal(objects.bucket, call.__doc__ or "", code) from error
            if call is not _abort_upload:  # there is no such upload, in the words of each server
                raise


def _list(client: "S3Client", objects: S3Objects, key: str) -> None:  # noqa: ARG001 - as all calls
    """s3:ListBucketVersions, s3:ListBucket"""
    list(objects.pages(key))


def _list_uploads(client: "S3Client", objects: S3Objects, key: str) -> None:
    """s3:ListBucketMultipartUploads"""
    client.list_multipart_uploads(Bucket=objects.bucket, Prefix=key)


def _abort_upload(client: "S3Client", objects: S3Objects, key: str) -> None:
    """s3:AbortMultipartUpload"""
    client.abort_multipart_upload(Bucket=objects.bucket, Key=key, UploadId="lethe-rehearsal")


def _delete(client: "S3Client", objects: S3Objects, key: str) -> None:
    """s3:DeleteObject, s3:DeleteObjectVersion"""
    code = objects.try_to_remove(key)
    if code in _DENIED:  # other codes say that there is no such version, in the words of each server
        raise ClientError({"Error": {"Code": code}}, "DeleteObject")
    for markers in objects.pages(key):  # of a server that makes one all the same
        for each in markers:
            client.delete_object(Bucket=objects.bucket, **each.address)  # type: ignore[arg-type]


def _refusal(bucket: str, rights: str, code: str) -> RequirementNotMet:
    return RequirementNotMet(f'the bucket "{bucket}" refuses {rights} to Lethe\'s key ({code})', "grant it", _SECTION)
