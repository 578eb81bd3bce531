"""What a server does by name after it has answered: nobody waits for it, and no answer tells how it ends."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import requests

from demo.evolution import instances

Connect = Callable[[], AbstractContextManager[psycopg.Connection]]
WEBHOOK_TRIES = 2
WEBHOOK_PAUSE_SECONDS = 0.2

log = logging.getLogger(__name__)


class CleanUp:
    """The server's handlers of `logout.instance` and `remove.instance`.

    statement_seconds is how far the server's database is away. Each handler first awaits the instance's webhook with
    all its tries, webhook_tries of them, webhook_pause_seconds apart.
    """

    def __init__(self, connect: Connect) -> None:
        self.statement_seconds = 0.0
        self.webhook_tries = WEBHOOK_TRIES
        self.webhook_pause_seconds = WEBHOOK_PAUSE_SECONDS
        self._connect = connect
        self._running: list[threading.Thread] = []

    def after_logout(self, name: str, instance_id: str) -> None:
        """Close the row that has the name by then, and remove the session of the id that it has."""
        self._start(self._logged_out, name, instance_id)

    def after_delete(self, name: str, instance_id: str, forget: Callable[[], None]) -> None:
        """Forget the name, then remove what the instance that has it by then owns; its row last, by name."""
        self._start(self._removed, name, instance_id, forget)

    def settle(self, seconds: float = 30) -> None:
        """Wait until everything that was begun is over."""
        for thread in self._running:  # one may start another, which then stands at the end
            thread.join(seconds)

    def _start(self, act: Callable[..., None], *arguments: Any) -> None:
        def run() -> None:
            try:
                act(*arguments)
            except psycopg.Error as error:
                log.warning("rows stay: %s", error)

        thread = threading.Thread(target=run, name="clean-up", daemon=True)
        self._running.append(thread)
        thread.start()

    def _logged_out(self, name: str, instance_id: str) -> None:
        self._await_webhook(name, instance_id, "logout.instance")
        self._close(name)

    def _removed(self, name: str, instance_id: str, forget: Callable[[], None]) -> None:
        self._await_webhook(name, instance_id, "remove.instance")
        self._start(self._close, name)
        forget()
        row = self._run(instances.find, name)
        if row is None:
            return
        for table, column in self._run(instances.owned_tables):
            self._run(instances.erase_rows, table, column, row.id)
        self._run(instances.erase_by_name, name)

    def _close(self, name: str) -> None:
        instance_id = self._run(instances.mark_closed, name)
        if instance_id is not None:
            self._run(instances.erase_rows, "Session", "sessionId", instance_id)

    def _run(self, statement: Callable[..., Any], *values: Any) -> Any:
        """One statement, which reaches the database after a while."""
        time.sleep(self.statement_seconds)  # the way to its database: the fault itself
        with self._connect() as connection:
            return statement(connection, *values)

    def _await_webhook(self, name: str, instance_id: str, event: str) -> None:
        with self._connect() as connection:  # read anew for each event, not for each try
            url = instances.webhook_url(connection, instance_id, event.replace(".", "_").upper())
        for _ in range(self.webhook_tries if url else 0):
            try:
                requests.post(str(url), json={"event": event, "instance": name}, timeout=5).raise_for_status()
            except requests.RequestException:
                time.sleep(self.webhook_pause_seconds)  # the server's pause between its tries
            else:
                return
