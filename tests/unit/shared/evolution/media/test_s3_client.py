"""What the S3 client sends: what servers other than Amazon's take as well."""

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botocore.awsrequest import AWSResponse

from shared.evolution.media import s3_client
from shared.settings import Settings


def test_an_upload_is_sent_as_it_is(make_settings: Callable[..., Settings]) -> None:
    """Without a checksum behind its content, over TLS too: older servers refuse it, or store it with the content."""
    settings = make_settings(s3_endpoint="https://s3.invalid", s3_access_key="key", s3_secret_key="secret")
    client, sent = s3_client.create(settings), dict[str, str]()

    def answer(request: Any, **_: object) -> AWSResponse:
        sent.update({name.lower(): str(value) for name, value in request.headers.items()})
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda **_: iter([b""])))

    client.meta.events.register("before-send.s3.PutObject", answer)
    client.put_object(Bucket="bucket", Key="key", Body=io.BytesIO(b"lethe"))

    assert "x-amz-trailer" not in sent
    assert "content-encoding" not in sent
    assert "transfer-encoding" not in sent
