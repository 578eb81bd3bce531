"""Asks the time-stamp authority of LETHE_TIMESTAMP_URL: within a time, for a short answer, following no redirect."""

from threading import Thread

import requests
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from shared import certificates
from shared.errors import LetheError, Unreachable
from shared.settings import Settings
from shared.stamps import token
from shared.stamps.token import InvalidStamp, Verified

_TIMEOUT_SECONDS = (2.0, 5.0)  # to connect, and for each read
_LONGEST_SECONDS = 10.0  # for all of it
_LARGEST_ANSWER = 64 * 1024  # bytes; with a long chain of certificates it has about 8,000
_WHAT = "the time-stamp authority"


def stamp(document: bytes, settings: Settings) -> tuple[bytes, Verified]:
    """The authority's answer for the document, verified; raises Unreachable or InvalidStamp."""
    request = TimestampRequestBuilder().data(document).hash_algorithm(HashAlgorithm.SHA256).build()
    answer = _ask(request.as_bytes(), settings)
    try:
        roots = token.read_roots(settings.timestamp_ca_file)
    except (OSError, ValueError) as error:
        raise InvalidStamp(f"LETHE_TIMESTAMP_CA_FILE cannot be read: {type(error).__name__}") from error
    return answer, token.verify(answer, document, roots, nonce=request.nonce)


def _ask(body: bytes, settings: Settings) -> bytes:
    outcome: list[bytes | LetheError] = []
    # In a thread: the timeout of requests is for each read, and a server that sends a byte a second never exceeds it.
    attempt = Thread(target=lambda: outcome.append(_post(body, settings)), daemon=True)
    attempt.start()
    attempt.join(timeout=_LONGEST_SECONDS)
    result = outcome[0] if outcome else Unreachable(_WHAT, "it took too long")
    if isinstance(result, LetheError):
        raise result
    return result


def _post(body: bytes, settings: Settings) -> bytes | LetheError:
    assert settings.timestamp_url
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        with requests.Session() as session:
            session.trust_env = False  # no .netrc of the host
            session.verify = certificates.bundle(settings.ca_file) or True
            answer = session.post(
                settings.timestamp_url.get_secret_value(),
                data=body,
                headers=headers,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            if answer.status_code != 200:
                return Unreachable(_WHAT, f"it answers with status {answer.status_code}")
            content = b""
            for part in answer.iter_content(8192):
                content += part
                if len(content) > _LARGEST_ANSWER:
                    return Unreachable(_WHAT, f"its answer has more than {_LARGEST_ANSWER:,} bytes")
    except (requests.RequestException, OSError, ValueError) as error:
        return Unreachable(_WHAT, type(error).__name__)
    return content
