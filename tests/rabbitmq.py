"""A real RabbitMQ on loopback, with an epmd of its own; each user takes a virtual host."""

import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pytest

from demo.ports import server_port
from demo.processes import Process, wait_until

_BIN = Path("/usr/lib/rabbitmq/bin")  # below Debian's wrappers, which would become another user
_START_SECONDS = 60


class RabbitMQPart:
    """One node, under the account that runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.port = server_port()
        self._numbers = itertools.count(1)
        self._epmd_port = str(server_port())
        self._env = self._environment(folder)
        self._epmd = Process.start(
            "epmd",
            [shutil.which("epmd") or "epmd", "-port", self._epmd_port, "-address", "127.0.0.1"],
            log=folder / "epmd.log",
        )
        self._server = Process.start(
            "rabbitmq", [_BIN / "rabbitmq-server"], log=folder / "rabbitmq.log", env=self._env, cwd=folder
        )
        wait_until(
            lambda: "Server startup complete" in self._server.tail(), _START_SECONDS, "RabbitMQ", process=self._server
        )

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Start it in a folder of its own; without RabbitMQ the tests are skipped, in CI they fail."""
        if not (_BIN / "rabbitmq-server").exists():
            missing = "no RabbitMQ here: apt-get install rabbitmq-server"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
        folder.mkdir()
        return cls(folder)

    def new_virtual_host(self) -> str:
        """An empty virtual host; its URL."""
        name = f"v{next(self._numbers)}"
        self.ctl("add_vhost", name)
        self.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl; its output."""
        done = subprocess.run(
            [_BIN / "rabbitmqctl", "--quiet", *arguments],
            env={**os.environ, **self._env},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def stop(self) -> None:
        """End the node, then the epmd that only it used."""
        self._server.stop(timeout=30)
        self._epmd.stop()

    def kill(self) -> None:
        """End the node the hard way."""
        self._server.kill()

    def _environment(self, folder: Path) -> dict[str, str]:
        plugins = folder / "plugins"
        plugins.write_text("[].\n")
        return {
            "HOME": str(folder),  # of the cookie
            "ERL_EPMD_PORT": self._epmd_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "lethe@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(server_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        }
