"""The gateway's HTTP API: the calls Lethe makes of a running Evolution server."""

from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from shared.errors import Refused, TransientError, Unreachable

# A header of every call that Lethe makes of a gateway, and of every answer that Lethe gives: it knows itself by it.
LETHE_HEADER = "X-Lethe"
_NAME_SECONDS = 3  # the server may ask WhatsApp for its newest version before it tells its own name


class PointsToLethe(Refused):
    """The address is Lethe's own."""


class Stuck(TransientError):
    """The gateway answers, but cannot let go of the session: its socket is dead."""


class Unanswered(Unreachable):
    """The gateway did not answer, but may have got the request, and may still carry it out."""


def can_be_addressed(name: str) -> bool:
    """Whether a URL carries the name unchanged; requests and servers normalise some (empty, dots, outer spaces)."""
    if not name or name != name.strip() or "\x00" in name:
        return False
    path = requests.Request("GET", f"http://gateway/x/{quote(name, safe='')}").prepare().path_url
    return path.startswith("/x/") and "/" not in path[3:] and unquote(path[3:]) == name


class Gateway:
    """One Evolution server; a replica has its own memory, so each is one of these."""

    def __init__(self, url: str, key: str, timeout_seconds: float) -> None:
        self.url = url
        self._timeout = (min(3.0, timeout_seconds), timeout_seconds)
        self._session = requests.Session()
        self._session.headers.update({"apikey": key, LETHE_HEADER: "1"})
        self._session.trust_env = False  # a proxy or .netrc of the host must not reroute or re-authenticate
        self._session.mount("http://", HTTPAdapter(pool_maxsize=32))
        self._session.mount("https://", HTTPAdapter(pool_maxsize=32))

    def probe(self) -> None:
        """See that drops reach an Evolution server, by one of a name that nobody has.

        Raises Unreachable when none answers, PointsToLethe when it is Lethe, Refused when the key is not accepted; but
        Evolution checks the key only when the instance exists.
        """
        answer = self._call("DELETE", "instance/delete", f"lethe-probe-{uuid4()}")
        if answer.status_code >= 500:
            raise TransientError(f"gateway {self.url} answered {answer.status_code}")
        if answer.status_code != 404:
            raise self._is_something_else()

    def rehearse(self) -> None:
        """See that logouts reach it as well: a proxy may let one call pass and stop the other."""
        answer = self._call("DELETE", "instance/logout", f"lethe-probe-{uuid4()}")
        if answer.status_code not in (200, 201, 400, 404):
            raise TransientError(f"gateway {self.url} answered {answer.status_code} to a logout")

    def state(self, name: str, *, timeout_seconds: float | None = None) -> str | None:
        """open, connecting or close; None when the server has no session of that name in its memory."""
        answer = self._call("GET", "instance/connectionState", name, timeout_seconds)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise TransientError(f"gateway {self.url} answered {answer.status_code}")
        instance = _json(answer).get("instance")
        if not isinstance(instance, dict):
            raise self._is_something_else()
        state = instance.get("state")
        return state if isinstance(state, str) else None

    def is_down(self) -> bool:
        """Whether nothing listens at its address: whatever the server was doing has ended with it."""
        try:
            self._session.get(self.url, timeout=self._timeout, allow_redirects=False)
        except requests.RequestException as error:
            return isinstance(_cause_of(error), ConnectionRefusedError)
        return False

    def client_name(self) -> str | None:
        """What the server calls itself in the rows of its instances; None when it does not tell."""
        timeout = (self._timeout[0], min(_NAME_SECONDS, self._timeout[1]))
        try:
            answer = self._session.request("GET", f"{self.url}/", timeout=timeout, allow_redirects=False)
            name = _json(answer).get("clientName")
        except (requests.RequestException, TransientError):
            return None
        return name if isinstance(name, str) and name else None

    def log_out(self, name: str) -> None:
        """End the session; an instance that is not connected, or not known, is logged out already."""
        answer = self._call("DELETE", "instance/logout", name)
        if answer.status_code in (200, 201, 400, 404):
            return
        if "Connection Closed" in answer.text:
            raise Stuck(f"gateway {self.url}: Connection Closed")
        raise TransientError(f"gateway {self.url} answered {answer.status_code}")

    def drop(self, name: str) -> bool:
        """Drop the name from the server's memory, only while it is reserved; False when the server does not know it."""
        answer = self._call("DELETE", "instance/delete", name)
        if answer.status_code == 400 or "Connection Closed" in answer.text:  # it wants to log out first, and cannot
            raise Stuck(f"gateway {self.url} answered {answer.status_code}")
        if answer.status_code not in (200, 201, 404):
            raise TransientError(f"gateway {self.url} answered {answer.status_code}")
        return answer.status_code != 404

    def _call(self, method: str, path: str, name: str, timeout_seconds: float | None = None) -> requests.Response:
        url = f"{self.url}/{path}/{quote(name, safe='')}"
        what = f"gateway {self.url}"
        try:
            timeout = min(timeout_seconds, self._timeout[1]) if timeout_seconds else self._timeout
            answer = self._session.request(method, url, timeout=timeout, allow_redirects=False)
        except requests.RequestException as error:
            kind = Unreachable if _was_not_sent(error) else Unanswered
            raise kind(what, type(error).__name__) from error
        if LETHE_HEADER in answer.headers:
            raise PointsToLethe(
                f"gateway {self.url}: this address leads back to Lethe, LETHE_GATEWAYS names Evolution's own"
            )
        if answer.status_code in (401, 403):
            raise Refused(f"gateway {self.url} does not accept the global key")
        if answer.status_code == 404 and not _is_evolutions(answer):  # a proxy that does not know the server
            raise self._is_something_else()
        if answer.status_code == 503:
            raise Unreachable(what, "status 503")
        if answer.status_code in (502, 504):  # a proxy's word: it may have got through
            raise Unanswered(what, f"status {answer.status_code}")
        return answer

    def _is_something_else(self) -> Unreachable:
        return Unreachable(f"gateway {self.url}", "something else answers in its place")


def _was_not_sent(error: requests.RequestException) -> bool:
    """Whether no connection was made at all."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _cause_of(error: requests.RequestException) -> BaseException | None:
    """Why no connection was made; None when one was, or the address is not known."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return reason.__cause__ if isinstance(reason, NewConnectionError) else None


def _is_evolutions(answer: requests.Response) -> bool:
    """Whether the gateway itself says that there is no such instance."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return False
    return isinstance(body, dict) and "does not exist" in str(body.get("response"))


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except requests.JSONDecodeError as error:
        raise TransientError("a gateway answered something that is not JSON") from error
    return body if isinstance(body, dict) else {}
