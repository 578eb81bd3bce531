"""What an S3 server lists in several answers is counted and removed to the end."""

from collections.abc import Callable
from uuid import uuid4

from shared.evolution.media.s3_bucket import S3Bucket
from tests.system import System

MORE_THAN_ONE_ANSWER = 1_001  # unfinished uploads; S3 lists 1,000 in one answer


def test_all_unfinished_uploads_are_counted_and_removed(make_system: Callable[..., System]) -> None:
    """Also those after the first answer, and none of another instance."""
    system = make_system()
    assert system.deployment.s3
    client, name = system.deployment.s3.connect(), system.deployment.s3.bucket
    mine, other = str(uuid4()), str(uuid4())
    for number in range(MORE_THAN_ONE_ANSWER):
        client.create_multipart_upload(Bucket=name, Key=f"evolution-api/{mine}/{number}")
    kept = client.create_multipart_upload(Bucket=name, Key=f"evolution-api/{other}/0")["UploadId"]
    bucket = S3Bucket(system.settings, name)

    counted, removed = bucket.count(mine), sum(bucket.erase(mine, uuid4()))

    assert (counted, removed, bucket.count(mine)) == (MORE_THAN_ONE_ANSWER, MORE_THAN_ONE_ANSWER, 0)
    assert [each["UploadId"] for each in client.list_multipart_uploads(Bucket=name)["Uploads"]] == [kept]
