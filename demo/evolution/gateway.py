"""A stand-in for the server's HTTP API: its memory, its answers, and what its own delete does."""

import hmac
import json
import re
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import click
import psycopg

from demo.evolution import instances
from demo.evolution.cleanup import CleanUp
from demo.evolution.seed import CLIENT_NAME
from demo.evolution.serving import Answer, Request, Server

State = Literal["open", "connecting", "close"]
METHODS = {"connectionState": "GET", "logout": "DELETE", "delete": "DELETE"}
REASONS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}
BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
CONNECTION_CLOSED = "Error: Connection Closed"


class Gateway:
    """One replica with a memory of its own: sessions, by name.

    Faults go by endpoint (connectionState, logout, delete, create): delays, in seconds, before the look-up;
    fail_next, the statuses of the next calls. With session_cache a create looks at the memory alone, swallows the
    error of its INSERT, and cleans up by name when it fails.
    """

    def __init__(self, database_url: str, api_key: str, client_name: str = CLIENT_NAME, port: int = 0) -> None:
        self.sessions: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.delays: dict[str, float] = {}
        self.fail_next: dict[str, list[int]] = {}
        self.session_cache = False
        self.clean_up = CleanUp(self._database)
        self._database_url = database_url
        self._api_key = api_key
        self._client_name = client_name
        self._ids: dict[str, str] = {}
        self._broken: set[str] = set()
        self._idle: list[psycopg.Connection] = []
        self._server = Server(self._answer, port)

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        while self._idle:
            self._idle.pop().close()

    def connect(self, name: str, instance_id: str, state: State = "open") -> None:
        """Hold this instance in memory."""
        self.sessions[name] = state
        self._ids[name] = instance_id
        self._broken.discard(name)

    def break_socket(self, name: str) -> None:
        """From now on the logout of this instance fails every time, until it is connected anew."""
        self._broken.add(name)

    def load(self) -> None:
        """Forget everything and load the rows of this client name, as a restart does."""
        self._broken.clear()
        with self._database() as connection:
            found = instances.states(connection, self._client_name)
        self.sessions = {name: state for name, _, state in found}
        self._ids = {name: instance_id for name, instance_id, _ in found}

    def settle(self, seconds: float = 30) -> None:
        """Wait until every delete and logout that was answered has removed what it removes."""
        self.clean_up.settle(seconds)

    def _answer(self, request: Request) -> Answer:
        path = request.target.partition("?")[0]
        self.calls.append((request.method, path))
        try:
            return self._route(request, path)
        except psycopg.Error as error:
            return _failure(500, str(error))
        except (KeyError, ValueError):
            return _failure(400, "The body is not what this call needs")

    def _route(self, request: Request, path: str) -> Answer:
        key = request.headers.get("apikey", "")
        match path.removesuffix("/").split("/"):
            case [""]:
                return Answer(
                    200,
                    {
                        "status": 200,
                        "message": "Welcome",
                        "version": "2.3.7",
                        "clientName": self._client_name,
                    },
                )
            case ["", "instance", "create"] if request.method == "POST":
                return self._create(json.loads(request.body)) if self._is_global(key) else _unauthorized()
            case ["", "_standin", order] if request.method == "POST":
                return self._obey(order, json.loads(request.body)) if self._is_global(key) else _unauthorized()
            case ["", "instance", endpoint, segment] if segment and METHODS.get(endpoint) == request.method:
                return self._call(endpoint, segment, key)
        return _failure(404, f"Cannot {request.method} {path}")

    def _call(self, endpoint: str, segment: str, key: str) -> Answer:
        try:
            name = _decode(segment)
        except ValueError:
            return _failure(400, f"Failed to decode param '{segment}'")
        if not name.startswith("lethe-probe-"):  # faults are of calls that mean an instance
            time.sleep(self.delays.get(endpoint, 0))  # the fault itself: a gateway that answers late
            if failure := self._failure_on_purpose(endpoint):
                return failure
        with self._database() as connection:
            row = instances.find(connection, name)
        if not row and name not in self.sessions:
            return _failure(404, f'The "{name}" instance does not exist')
        if not self._is_global(key) and not (row and row.token and _same(key, row.token)):
            return _unauthorized()
        if endpoint == "logout":
            return self._log_out(name)
        return self._delete(name) if endpoint == "delete" else self._show_state(name)

    def _show_state(self, name: str) -> Answer:
        instance = {"instanceName": name}
        if state := self.sessions.get(name):
            instance["state"] = state
        return Answer(200, {"instance": instance})

    def _log_out(self, name: str) -> Answer:
        if self.sessions.get(name) == "close":
            return _failure(400, f'The "{name}" instance is not connected')
        if not self._close_socket(name):
            return _failure(500, CONNECTION_CLOSED)
        return _success("Instance logged out")

    def _delete(self, name: str) -> Answer:
        if not self._close_socket(name):
            return _failure(400, CONNECTION_CLOSED)
        self._remove(name)
        return _success("Instance deleted")

    def _remove(self, name: str) -> None:
        def forget() -> None:
            self.sessions.pop(name, None)
            self._ids.pop(name, None)

        self.clean_up.after_delete(name, self._ids.get(name, ""), forget)

    def _close_socket(self, name: str) -> bool:
        """Log out if there is a session that is not closed; False when its socket is dead."""
        if self.sessions.get(name, "close") == "close":
            return True
        if name in self._broken:
            return False
        self.sessions[name] = "close"
        self.clean_up.after_logout(name, self._ids.get(name, ""))
        return True

    def _create(self, wish: dict[str, Any]) -> Answer:
        name, token = str(wish["instanceName"]), str(wish.get("token") or secrets.token_hex(16).upper())
        time.sleep(self.delays.get("create", 0))  # the fault itself: a gateway that creates late
        if failure := self._failure_on_purpose("create"):
            return failure
        if name in self.sessions:
            return _name_in_use(name)
        try:
            with self._database() as connection:
                instance_id = instances.create(connection, name, token, self._client_name)
        except psycopg.errors.UniqueViolation:
            if not self.session_cache:
                return _name_in_use(name)
            self.connect(name, str(uuid.uuid4()), "close")  # the error is swallowed, and the next statement fails
            self._remove(name)
            return _failure(400, "Foreign key constraint violated")
        self.connect(name, instance_id, "close")
        created = {
            "instanceName": name,
            "instanceId": instance_id,
            "integration": "WHATSAPP-BAILEYS",
            "status": "close",
        }
        return Answer(201, {"instance": created, "hash": token})

    def _obey(self, order: str, wish: dict[str, Any]) -> Answer:
        if order == "connect":
            self.connect(wish["instanceName"], wish["instanceId"], wish.get("state", "open"))
        elif order == "break":
            self.break_socket(wish["instanceName"])
        else:
            return _failure(404, f"Cannot {order}")
        return _success("Done")

    def _failure_on_purpose(self, endpoint: str) -> Answer | None:
        statuses = self.fail_next.get(endpoint)
        return _failure(statuses.pop(0), "Failed on purpose") if statuses else None

    def _is_global(self, key: str) -> bool:
        return _same(key, self._api_key)

    @contextmanager
    def _database(self) -> Iterator[psycopg.Connection]:
        """A connection, kept for the next call as the server's own pool does."""
        connection = self._kept() or psycopg.connect(self._database_url, connect_timeout=5, autocommit=True)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._idle:  # one is enough for a server that nobody hurries, and many servers share a database
            connection.close()
        else:
            self._idle.append(connection)

    def _kept(self) -> psycopg.Connection | None:
        """One that is still good: the database may have been restarted."""
        while self._idle:
            connection = self._idle.pop()
            try:
                connection.execute("SELECT 1")
            except psycopg.Error:
                connection.close()
            else:
                return connection
        return None


def _same(key: str, expected: str) -> bool:
    return hmac.compare_digest(key.encode(), expected.encode())


def _decode(segment: str) -> str:
    """The name, percent-decoded once; ValueError for what is no UTF-8 or no escape."""
    if BAD_ESCAPE.search(segment):
        raise ValueError(segment)
    return unquote_to_bytes(segment).decode()


def _success(message: str) -> Answer:
    return Answer(200, {"status": "SUCCESS", "error": False, "response": {"message": message}})


def _failure(status: int, message: str) -> Answer:
    reason = REASONS.get(status, "Error")
    return Answer(status, {"status": status, "error": reason, "response": {"message": [message]}})


def _name_in_use(name: str) -> Answer:
    return _failure(403, f'This name "{name}" is already in use.')


def _unauthorized() -> Answer:
    return Answer(401, {"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}})


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--database-url", required=True)
@click.option("--api-key", required=True)
@click.option("--client-name", default=CLIENT_NAME)
def main(port: int, database_url: str, api_key: str, client_name: str) -> None:
    """Serve as one replica until a signal ends it; starts with the rows of its client name in memory."""
    ended = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: ended.set())
    gateway = Gateway(database_url, api_key, client_name, port)
    gateway.load()
    gateway.start()
    ended.wait()
    gateway.stop()


if __name__ == "__main__":
    main()
