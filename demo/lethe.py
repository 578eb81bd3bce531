"""Lethe's own processes, started as the Procfile has them."""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import requests
from pydantic import SecretStr

from demo import interrupts
from demo.ports import server_port
from demo.processes import NotReady, Process, wait_until
from shared import celery_app
from shared.settings import Settings

ROOT = Path(__file__).parent.parent
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
START_SECONDS = 40
STOP_SECONDS = 20


@dataclass
class Lethe:
    """Web, worker, beat and flower on one set of settings."""

    settings: Settings
    folder: Path
    flower_port: int = field(default_factory=server_port)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{self.settings.bind}"

    @property
    def flower_url(self) -> str:
        """Where Flower answers."""
        return f"http://127.0.0.1:{self.flower_port}"

    @property
    def admin_key(self) -> str:
        """The API key that may do everything."""
        return self.settings.admin_key.get_secret_value()

    def start(self) -> None:
        """Start every process of the Procfile, its log in our folder."""
        env = {**environment(self.settings), "FLOWER_ADDRESS": "127.0.0.1", "FLOWER_PORT": str(self.flower_port)}
        for name, command in PROCFILE.items():
            argv = [sys.executable, "-m", *shlex.split(command)]
            log = self.folder / f"{name}.log"
            self.processes[name] = Process.start(name, argv, log=log, env=env, cwd=ROOT)

    def write_environment(self) -> Path:
        """A file that a shell reads to run `lethe` on these settings; gone with the folder."""
        path = self.folder / "lethe.env"
        commands = shlex.quote(str(Path(sys.executable).parent))
        lines = [f"export PATH={commands}:$PATH\n"]  # else the shell knows no `lethe`
        lines += [f"export {name}={shlex.quote(value)}\n" for name, value in environment(self.settings).items()]
        path.write_text("".join(lines))
        path.chmod(0o600)
        return path

    def wait_until_ready(self) -> None:
        """Wait until the API's dependencies, a worker and Flower answer; NotReady shows the log of who does not."""
        for name, ready in (
            ("web", lambda: _answers(f"{self.url}/health/ready")),
            ("worker", self._worker_answers),
            ("flower", lambda: _answers(f"{self.flower_url}/healthcheck")),
        ):
            wait_until(interrupts.checked(ready), START_SECONDS, name, process=self.processes[name])
        self.check()

    def check(self) -> None:
        """Raise Interrupted when a signal has come, NotReady when a process has ended by itself."""
        interrupts.check()
        for process in self.processes.values():
            if not process.is_running():
                raise NotReady(f"{process.name} ended with code {process.popen.poll()}\n{process.tail()}")

    def stop(self) -> None:
        """Stop the processes, the last one first."""
        for name in reversed(list(self.processes)):
            self.processes.pop(name).stop(STOP_SECONDS)

    def call(self, method: str, path: str, **headers: str) -> requests.Response:
        """One call with the admin key."""
        sent = {"apikey": self.admin_key, **headers}
        return requests.request(method, f"{self.url}{path}", headers=sent, timeout=10)

    def _worker_answers(self) -> bool:
        with celery_app.create(self.settings) as app:
            return bool(app.control.ping(timeout=0.3))


def environment(settings: Settings) -> dict[str, str]:
    """The LETHE_* variables that make a process read these settings."""
    values = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            values[f"LETHE_{name.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
    return values


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
