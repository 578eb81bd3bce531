"""Tries every call that the steps make of a bucket, the removing ones on a key that does not exist."""

from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import ClientError

from shared.errors import RequirementNotMet

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DENIED = ("403", "AccessDenied", "AllAccessDisabled", "MethodNotAllowed", "NotImplemented")
_SECTION = "s3"


def rehearse(client: "S3Client", bucket: str, root: str) -> None:
    """Raise RequirementNotMet, naming the call that the server refuses; other errors are the client's own."""
    key = f"{root}/lethe-rehearsal-{uuid4()}/nothing"
    for call in (_list_versions, _list_uploads, _abort_upload, _delete):
        try:
            call(client, bucket, key)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in _DENIED:
                raise _refusal(bucket, call.__doc__ or "", code) from error
            if call is not _abort_upload:  # there is no such upload, in the words of each server
                raise


def _list_versions(client: "S3Client", bucket: str, key: str) -> None:
    """s3:ListBucketVersions"""
    client.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1)


def _list_uploads(client: "S3Client", bucket: str, key: str) -> None:
    """s3:ListBucketMultipartUploads"""
    client.list_multipart_uploads(Bucket=bucket, Prefix=key)


def _abort_upload(client: "S3Client", bucket: str, key: str) -> None:
    """s3:AbortMultipartUpload"""
    client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId="lethe-rehearsal")


def _delete(client: "S3Client", bucket: str, key: str) -> None:
    """s3:DeleteObject, s3:DeleteObjectVersion"""
    # With a version, as the steps do: without one, a versioned bucket would get a delete marker.
    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key, "VersionId": "null"}]})
    for error in answer.get("Errors", []):  # of other codes: that there is no such version, in the words of each server
        if error.get("Code") in _DENIED:
            raise ClientError({"Error": {"Code": error["Code"]}}, "DeleteObjects")
    _remove_marker(client, bucket, key)


def _remove_marker(client: "S3Client", bucket: str, key: str) -> None:
    """Of a server that makes one all the same."""
    listed = client.list_object_versions(Bucket=bucket, Prefix=key)
    for marker in listed.get("DeleteMarkers", []):
        client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": marker["Key"], "VersionId": marker["VersionId"]}]}
        )


def _refusal(bucket: str, rights: str, code: str) -> RequirementNotMet:
    return RequirementNotMet(f'the bucket "{bucket}" refuses {rights} to Lethe\'s key ({code})', "grant it", _SECTION)
