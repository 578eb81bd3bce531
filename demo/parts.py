"""Redis and PostgreSQL as embedded parts: real servers on loopback, on folders of their own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from demo.binaries import copy_postgres, postgres_bindir, redis_binary
from demo.ports import server_port
from demo.processes import NotReady, Process, wait_until

START_SECONDS = 60  # after a crash on a busy machine; one that has ended is noticed at once
DATABASES = 512  # of Redis: every system of the tests has two for itself
SOCKET_PATH_BYTES = 107
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Redis:
    """A Redis server that keeps every write and evicts nothing."""

    def __init__(self, folder: Path, port: int, binary: Path) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._binary = binary
        self._data = folder / "redis"
        self._log = folder / "redis.log"
        self._process = self._launch()

    @classmethod
    def start(cls, folder: Path, port: int | None = None, *, binary: Path | None = None) -> Self:
        """Start a server whose data and log live in the folder; ready when this returns."""
        return cls(folder.resolve(), port or server_port(), binary or redis_binary())

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.is_running()

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        """End it the hard way, as a crash would."""
        self._process.kill()

    def restart(self, keep_data: bool = True) -> None:
        """Start it again on the same port and folder, ended before or not."""
        self.stop()
        if not keep_data:
            shutil.rmtree(self._data)
        self._process = self._launch()

    def _launch(self) -> Process:
        self._data.mkdir(parents=True, exist_ok=True)
        argv: list[str | Path] = [
            self._binary,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            self._data,
        ]
        argv += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--databases", str(DATABASES)]
        argv += ["--set-proc-title", "no"]  # it would overwrite the environment that others read in /proc
        process = Process.start("redis", argv, log=self._log, cwd=self._data)
        wait_until(lambda: self._answers(process.pid), START_SECONDS, "Redis", process=process)
        return process

    def _answers(self, pid: int) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                # Not another server that holds the port.
                return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:
            return False


class Postgres:
    """A PostgreSQL server that trusts loopback; started by root, it runs as an account without rights."""

    def __init__(self, folder: Path, port: int, bindir: Path, fast: bool) -> None:
        self.port = port
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._fast = fast
        self._account = _unprivileged_account() if os.geteuid() == 0 else None
        self._data = folder / "postgres"
        self._log = folder / "postgres.log"
        self._installed = bindir
        self._bindir = bindir
        self._temporary: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._prepare()
        self._process = self._launch()

    @classmethod
    def start(cls, folder: Path, port: int | None = None, *, fast: bool = False, bindir: Path | None = None) -> Self:
        """Start a server whose data and log live in the folder; fast gives up durability, for tests."""
        return cls(folder.resolve(), port or server_port(), bindir or postgres_bindir(), fast)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.is_running()

    def stop(self) -> None:
        """End it, and remove what had to be placed outside its folder."""
        self._end()
        for folder in self._temporary:
            shutil.rmtree(folder, ignore_errors=True)
        self._temporary.clear()

    def kill(self) -> None:
        """End it the hard way, as a crash would."""
        self._process.kill()

    def restart(self, keep_data: bool = True) -> None:
        """Start it again on the same port and folder, ended before or not."""
        self._end()
        if not keep_data:
            shutil.rmtree(self._data)
        self._prepare()
        self._process = self._launch()

    def version(self) -> str:
        """As the server says it."""
        with psycopg.connect(self.url) as connection:
            return str(connection.info.server_version)

    def base_backup(self) -> Self | None:
        """A streaming replica of this server, running on a copy of its own; None where the tool for it is missing."""
        tool = self._installed / "pg_basebackup"
        if not tool.exists():
            return None
        folder = Path(tempfile.mkdtemp(prefix="lethe-standby-"))
        folder.chmod(0o755)
        argv = [str(tool), "--pgdata", str(folder / "postgres"), "--dbname", self.url, "--write-recovery-conf"]
        argv += ["--create-slot", "--slot", f"copy_{secrets.token_hex(4)}"]  # else it may miss what it has not read yet
        subprocess.run([*argv, "--checkpoint", "fast"], check=True, capture_output=True, env={"LC_ALL": "C"})
        if self._account:
            for path in (folder / "postgres", *(folder / "postgres").rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        copy = type(self).start(folder, fast=self._fast, bindir=self._installed)
        copy._temporary.append(folder)
        return copy

    def create_database(self, name: str) -> str:
        """Create an empty database; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{self.url.rsplit('/', 1)[0]}/{quote(name, safe='')}"

    def _end(self) -> None:
        # SIGINT closes the clients' connections; SIGTERM would wait for every one of them.
        self._process.stop(ask=signal.SIGINT)

    def _prepare(self) -> None:
        if self._account and not _may_run(self._bindir / "postgres", self._account):
            copied, self._bindir = copy_postgres(self._installed)
            self._temporary.append(copied)
        self._place_data()
        if (self._data / "PG_VERSION").exists():
            return
        argv: list[str | Path] = [self._bindir / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust"]
        argv += ["-E", "UTF8", "--locale=C", *(["--no-sync"] if self._fast else [])]
        initdb = self._spawn("initdb", argv)
        if initdb.popen.wait(START_SECONDS) != 0:
            raise NotReady(f"initdb failed\n{initdb.tail()}")

    def _place_data(self) -> None:
        """Make the data folder where the account can reach it: in the caller's folder, else in a temporary one."""
        if self._account and not _may_run(self._data.parent, self._account):
            outside = Path(tempfile.mkdtemp(prefix="lethe-postgres-"))
            self._temporary.append(outside)
            outside.chmod(0o755)
            self._data = outside / "postgres"
        if not self._data.exists():
            self._data.mkdir(mode=0o700)
            if self._account:
                os.chown(self._data, self._account.pw_uid, self._account.pw_gid)

    def _launch(self) -> Process:
        sockets = str(self._data)
        if len(os.fsencode(f"{sockets}/.s.PGSQL.{self.port}")) > SOCKET_PATH_BYTES or set(sockets) & set(',"'):
            sockets = ""
        options = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={sockets}"]
        options += [
            "max_connections=200",
            "shared_buffers=128MB",
            "logging_collector=off",
            *(FAST if self._fast else ()),
        ]
        argv: list[str | Path] = [self._bindir / "postgres", "-D", self._data]
        argv += [part for option in options for part in ("-c", option)]
        deadline = time.monotonic() + START_SECONDS
        while True:
            process = self._spawn("postgres", argv)
            try:
                wait_until(self._answers, START_SECONDS, "PostgreSQL", process=process)
                return process
            except NotReady:
                process.stop(ask=signal.SIGINT)
                # After a kill the old backends hold the shared memory until they notice.
                if "still in use" not in process.tail() or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _spawn(self, name: str, argv: list[str | Path]) -> Process:
        user, group = (self._account.pw_uid, self._account.pw_gid) if self._account else (None, None)
        return Process.start(name, argv, log=self._log, cwd=self._data, env={"LC_ALL": "C"}, user=user, group=group)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                found = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        # Not another server that holds the port.
        return found == (str(self._data),)


def _unprivileged_account() -> pwd.struct_passwd:
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    return accounts.get("postgres") or accounts["nobody"]


def _may_run(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether the account may execute this file, or reach what lies in this folder."""
    asked = subprocess.run(
        ["test", "-x", str(path)],
        cwd="/",
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        check=False,
    )
    return asked.returncode == 0
