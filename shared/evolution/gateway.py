"""HTTP client of a gateway (a running Evolution server)."""

import re
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from shared import certificates
from shared.errors import Refused, TransientError, Unreachable
from shared.faults.sentences import cut

# A header of Lethe's calls and answers. An answer with it shows that the gateway's address is Lethe's own.
LETHE_HEADER = "X-Lethe"
CONNECTED = ("open", "connecting")  # states with a session that a logout ends
_QUOTED = re.compile(r'"[^"]*"|`[^`]*`')
_NAME_SECONDS = 3  # the server may first ask WhatsApp for its newest version


class PointsToLethe(Refused):
    """The gateway's address is Lethe's own."""


class Stuck(TransientError):
    """The gateway answers, but cannot close the session: its WhatsApp socket is dead."""


class Unanswered(Unreachable):
    """The gateway did not answer, but may have received the request and may still execute it."""


def can_be_addressed(name: str) -> bool:
    """Whether a URL path can contain the name. requests and servers change some names (empty, dots, outer spaces)."""
    if not name or name != name.strip() or "\x00" in name:
        return False
    path = requests.Request("GET", f"http://gateway/x/{quote(name, safe='')}").prepare().path_url
    return path.startswith("/x/") and "/" not in path[3:] and unquote(path[3:]) == name


class Gateway:
    """One Evolution server. Each replica has its own memory, and so is a gateway of its own."""

    def __init__(self, url: str, key: str, timeout_seconds: float, ca_bundle: str | None = None) -> None:
        self.url = url
        self._timeout = (min(3.0, timeout_seconds), timeout_seconds)
        self._session = requests.Session()
        self._session.headers.update({"apikey": key, LETHE_HEADER: "1"})
        self._session.trust_env = False  # ignore proxies and .netrc of the host
        self._session.verify = ca_bundle or True
        self._session.mount("http://", HTTPAdapter(pool_maxsize=32))
        self._session.mount("https://", HTTPAdapter(pool_maxsize=32))

    def probe(self) -> None:
        """Check that a deletion would reach an Evolution server, by deleting a name that no instance has.

        Raises Unreachable when none answers, PointsToLethe when it is Lethe, Refused when the key is not accepted; but
        Evolution checks the key only when the instance exists.
        """
        answer = self._call("DELETE", "instance/delete", f"lethe-probe-{uuid4()}")
        if answer.status_code >= 500:
            raise self._unexpected(answer)
        if answer.status_code != 404:
            raise self._not_evolution()

    def rehearse(self) -> None:
        """Check that a logout would reach the server as well, for a proxy may pass one call and stop the other."""
        answer = self._call("DELETE", "instance/logout", f"lethe-probe-{uuid4()}")
        if answer.status_code not in (200, 201, 400, 404):
            raise self._unexpected(answer, " to a logout")

    def state(self, name: str, *, timeout_seconds: float | None = None) -> str | None:
        """The connection state: open, connecting or close; None when the name is not in the server's memory."""
        answer = self._call("GET", "instance/connectionState", name, timeout_seconds)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise self._unexpected(answer)
        instance = _json(answer).get("instance")
        if not isinstance(instance, dict):
            raise self._not_evolution()
        state = instance.get("state")
        return state if isinstance(state, str) else None

    def is_down(self) -> bool:
        """Whether nothing listens at the address: the server has stopped, and with it everything that it was doing."""
        try:
            self._session.get(self.url, timeout=self._timeout, allow_redirects=False)
        except requests.RequestException as error:
            return isinstance(getattr(_connect_error(error), "__cause__", None), ConnectionRefusedError)
        return False

    def client_name(self) -> str | None:
        """The clientName that the server writes into the rows of its instances; None when it does not say."""
        timeout = (self._timeout[0], min(_NAME_SECONDS, self._timeout[1]))
        try:
            answer = self._session.request("GET", f"{self.url}/", timeout=timeout, allow_redirects=False)
            name = _json(answer).get("clientName")
        except (requests.RequestException, TransientError):
            return None
        return name if isinstance(name, str) and name else None

    def log_out(self, name: str) -> None:
        """Log the session out. One that is not connected or not known counts as logged out."""
        answer = self._call("DELETE", "instance/logout", name)
        if answer.status_code in (200, 201, 400, 404):
            return
        if "Connection Closed" in answer.text:
            raise Stuck(f"gateway {self.url}: Connection Closed")
        raise self._unexpected(answer)

    def drop(self, name: str) -> bool:
        """Delete the name from the server's memory, while Lethe reserves it. False when the server does not know it."""
        answer = self._call("DELETE", "instance/delete", name)
        if answer.status_code == 400 or "Connection Closed" in answer.text:  # it tries to log out first, and fails
            raise Stuck(f"gateway {self.url} answered {answer.status_code}")
        if answer.status_code not in (200, 201, 404):
            raise self._unexpected(answer)
        return answer.status_code != 404

    def _call(self, method: str, path: str, name: str, timeout_seconds: float | None = None) -> requests.Response:
        url = f"{self.url}/{path}/{quote(name, safe='')}"
        what = f"gateway {self.url}"
        try:
            timeout = min(timeout_seconds, self._timeout[1]) if timeout_seconds else self._timeout
            answer = self._session.request(method, url, timeout=timeout, allow_redirects=False)
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # requests' own: of this URL or key no request can be made
                raise Refused(f"{what} cannot be asked: {type(error).__name__}") from error
            if certificates.are_refused(error):  # before anything was sent
                raise Unreachable(what, "its certificate is of no authority that Lethe trusts") from error
            kind = Unreachable if _was_not_sent(error) else Unanswered
            raise kind(what, type(error).__name__) from error
        if LETHE_HEADER in answer.headers:
            raise PointsToLethe(
                f"gateway {self.url}: this address leads back to Lethe, LETHE_GATEWAYS names Evolution's own"
            )
        if answer.status_code in (401, 403):
            raise Refused(f"gateway {self.url} does not accept the global key")
        if answer.status_code == 404 and not _is_evolutions(answer):  # e.g. of a proxy
            raise self._not_evolution()
        if answer.status_code == 503:
            raise Unreachable(what, "status 503")
        if answer.status_code in (502, 504):  # of a proxy: the server may have received it
            raise Unanswered(what, f"status {answer.status_code}")
        return answer

    def _unexpected(self, answer: requests.Response, to: str = "") -> TransientError:
        return TransientError(f"gateway {self.url} answered {answer.status_code}{to}{_words(answer)}")

    def _not_evolution(self) -> Unreachable:
        return Unreachable(f"gateway {self.url}", "something else answers in its place")


def _was_not_sent(error: requests.RequestException) -> bool:
    """Whether no connection was made."""
    return isinstance(error, requests.ConnectTimeout) or _connect_error(error) is not None


def _connect_error(error: requests.RequestException) -> NewConnectionError | None:
    """Why no connection was made; None when one was made, or for a timeout."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return reason if isinstance(reason, NewConnectionError) else None


def _is_evolutions(answer: requests.Response) -> bool:
    """Whether a 404 is Evolution's answer for an unknown instance."""
    try:
        return "does not exist" in str(_json(answer).get("response"))
    except TransientError:
        return False


def _words(answer: requests.Response) -> str:
    """What the server says, after a colon; without what is in quotes, which may be a name."""
    try:
        body = _json(answer)
    except TransientError:
        return ""
    response = body.get("response")
    said = response.get("message") if isinstance(response, dict) else body.get("message")
    line = ", ".join(map(str, said)) if isinstance(said, list) else str(said or "")
    return f": {cut(_QUOTED.sub('…', line))}" if line else ""


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except requests.JSONDecodeError as error:
        raise TransientError("a gateway answered something that is not JSON") from error
    return body if isinstance(body, dict) else {}
