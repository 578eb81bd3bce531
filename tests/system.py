"""A deployment of Evolution on real servers, and Lethe's own processes, for one test or for many."""

import http.client
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from demo.evolution.deployment import Deployment
from demo.evolution.gateway import Gateway
from demo.evolution.receiver import Receiver
from demo.lethe import PROCFILE, environment
from demo.ports import server_port
from demo.processes import Process, wait_until
from shared import services
from shared.services import Services
from shared.settings import Settings
from tests import contract
from tests.warm_start import start_module

ROOT = Path(__file__).parent.parent
ADMIN_KEY = "admin-key-for-tests-only"
GATEWAY_KEY = "gateway-key-for-tests"
START_SECONDS = 60  # other tests start theirs on the same cores

# As in production, only that what takes minutes there takes seconds here.
QUICK = {
    "heartbeat_seconds": 0.5,
    "stale_seconds": 3,
    "reconcile_seconds": 1,
    "nudge_seconds": 3,
    "redeliver_seconds": 1,
    "retry_seconds": 1,
    "pause_seconds": 0.5,
    "max_pause_seconds": 2,
    "gateway_timeout_seconds": 2,
    "gateway_late_seconds": 4,
    "webhook_timeout_seconds": 1,
    "wait_seconds": 20,
    "worker_concurrency": 2,
    "api_processes": 1,
    # Suites order many at once; the limits themselves have tests of their own.
    "limit_per_minute": 100_000,
    "limit_per_hour": 100_000,
    "wrong_keys_per_minute": 100_000,
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def body(self) -> dict[str, Any]:
        """The JSON in it."""
        read: dict[str, Any] = json.loads(self.text)
        return read


class _Verbatim(http.client.HTTPConnection):
    """Sends any bytes as request target, as careless clients do."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


@dataclass
class System:
    """One Evolution deployment with Lethe before it."""

    deployment: Deployment
    gateways: list[Gateway]
    receiver: Receiver
    settings: Settings
    folder: Path
    processes: dict[str, Process] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)  # what it has on the servers

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{self.settings.bind}"

    def start(self, *names: str, env: Mapping[str, str] | None = None) -> None:
        """Start Lethe's processes as the Procfile has them, each under its name there."""
        for name in names:
            kind = name.rstrip("0123456789")
            module, *words = shlex.split(PROCFILE[kind])
            given = {**environment(self.settings), **(env or {})}
            self.processes[name] = start_module(name, module, words, log=self.folder / f"{name}.log", env=given)
        for name in names:
            if name.startswith("web"):
                wait_until(self._api_answers, START_SECONDS, "the API", process=self.processes[name])
            if name.startswith("worker"):
                wait_until(self._worker_answers, START_SECONDS, "the worker", process=self.processes[name])

    def stop(self) -> None:
        """Stop all of Lethe's processes, the last one first."""
        for name in reversed(list(self.processes)):
            self.processes.pop(name).stop(timeout=30)

    def close(self) -> None:
        """Stop its processes, and give back what it has on the servers."""
        with self.closing:
            self.stop()

    def make_services(self, **changes: Any) -> Services:
        """Services on this system for code that runs in the test's own process, closed with it at the latest."""
        made = services.create(self.settings.model_copy(update=changes))
        self.closing.callback(made.close)
        return made

    def call(self, method: str, path: str, *, key: str = ADMIN_KEY, **options: Any) -> requests.Response:
        """One HTTP call, which the OpenAPI document has to know; the path goes out as it is."""
        headers = {"apikey": key, **options.pop("headers", {})}
        answer = requests.request(method, f"{self.url}{path}", headers=headers, timeout=60, **options)
        contract.check(method, path, answer.status_code, answer.headers, answer.text)
        return answer

    def send(self, method: str, target: str, *, key: str | None = ADMIN_KEY, **headers: str) -> Answer:
        """One HTTP call with the request target exactly as given: no client normalises it."""
        host, port = self.settings.bind.split(":")
        connection = _Verbatim(host, int(port), timeout=60)
        try:
            connection.putrequest(method, target)
            for name, value in {**({} if key is None else {"apikey": key}), **headers}.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            answer = Answer(response.status, response.read().decode(), dict(response.getheaders()))
            contract.check(method, target, answer.status, answer.headers, answer.text)
            return answer
        finally:
            connection.close()

    def delete(self, name: str, **options: Any) -> Answer:
        """Send the documented call, the name percent-encoded."""
        return self.send("DELETE", f"/instance/delete/{quote(name, safe='')}", **options)

    def delete_by_id(self, instance_id: str) -> requests.Response:
        """Order a deletion by the instance's id."""
        return self.call("POST", "/deletions", json={"instanceId": instance_id})

    def show(self, deletion_id: str) -> dict[str, Any]:
        """The deletion as the API shows it."""
        shown: dict[str, Any] = self.call("GET", f"/deletions/{deletion_id}").json()
        return shown

    def wait_for(self, deletion_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the deletion has one of the statuses, by default until it succeeded."""
        wanted = statuses or ("succeeded",)
        wait_until(lambda: self.show(deletion_id)["status"] in wanted, seconds, f"deletion {wanted}")
        return self.show(deletion_id)

    def _api_answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health/live", timeout=1).ok
        except requests.RequestException:
            return False

    def _worker_answers(self) -> bool:
        with self.make_services().celery as app:
            return bool(app.control.ping(timeout=1, limit=1))  # as soon as one has answered


@contextmanager
def running(system: System, *names: str) -> Iterator[System]:
    """The system with these processes running, stopped at the end."""
    try:
        system.start(*names)
        yield system
    finally:
        system.stop()


def new_settings(
    deployment: Deployment, gateways: list[Gateway], own_url: str, redis_url: str, **changes: Any
) -> Settings:
    """Settings of a system; changes win."""
    s3 = deployment.s3
    values: dict[str, Any] = {
        **QUICK,
        "admin_key": ADMIN_KEY,
        "secret_key": "a secret key for tests, 32 bytes or more",
        "database_url": own_url,
        "tenant_database_url": deployment.database_url,
        "redis_url": redis_url,
        "cache_url": deployment.cache_url,
        "webhook_allow": "127.0.0.1",
        "gateways": ",".join(gateway.url for gateway in gateways),
        "gateway_key": GATEWAY_KEY,
        "files_root": deployment.files_root,
        "bind": f"127.0.0.1:{server_port()}",
    }
    if s3:
        values |= {
            "s3_bucket": s3.bucket,
            "s3_endpoint": s3.endpoint,
            "s3_access_key": s3.access_key,
            "s3_secret_key": s3.secret_key,
        }
    return Settings(**{**values, **changes})
