"""A PostgreSQL with a streaming standby, which takes over when the primary is killed."""

import os
from pathlib import Path
from typing import Self

import psycopg
import pytest
from psycopg import sql

from demo.parts import Postgres
from demo.processes import wait_until
from tests.servers import make_templates

_SECONDS = 60


class PostgresPair:
    """Two servers and one URL; what asks for the primary finds it on whichever host it is."""

    def __init__(self, folder: Path, *, synchronous: bool) -> None:
        self.primary = Postgres.start(folder)  # durable: what was acknowledged outlives the kill
        make_templates(self.primary)
        standby = self.primary.base_backup()
        if standby is None:
            self.primary.stop()
            missing = "no pg_basebackup here: apt-get install postgresql"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
        self.standby = standby
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        self.url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        if synchronous:
            self._set("synchronous_standby_names", "*")
            wait_until(lambda: self._standby_is("sync"), _SECONDS, "a synchronous standby")

    @classmethod
    def start(cls, folder: Path, *, synchronous: bool) -> Self:
        """Start both; a COMMIT waits for the standby if it is synchronous."""
        return cls(folder, synchronous=synchronous)

    def disconnect_standby(self) -> None:
        """Let the standby receive nothing from now on, as if the network between the two were cut."""
        with psycopg.connect(self.standby.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self._standby_is(None), _SECONDS, "the standby to be away")

    def fail_over(self) -> None:
        """SIGKILL the primary, and promote the standby."""
        self.primary.kill()
        with psycopg.connect(self.standby.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def stop(self) -> None:
        """End what still runs."""
        self.standby.stop()
        self.primary.stop()

    def _set(self, name: str, value: str) -> None:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")

    def _standby_is(self, state: str | None) -> bool:
        with psycopg.connect(self.primary.url) as connection:
            found = connection.execute("SELECT sync_state FROM pg_stat_replication").fetchone()
        return found == (None if state is None else (state,))
