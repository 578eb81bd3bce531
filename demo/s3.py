"""S3 as an embedded part: SeaweedFS on loopback, on a folder of its own."""

import json
import socket
from pathlib import Path
from typing import Self

from demo.binaries import weed_binary
from demo.ports import server_port
from demo.processes import Process, wait_until

START_SECONDS = 60
SOCKETS = Path("/tmp")  # where SeaweedFS puts them, whatever it is told
DOMAIN = "s3.lethe.test"  # a bucket is also BUCKET.DOMAIN, where a resolver leads that to loopback
KINDS = ("master", "volume", "filer", "s3")


class S3:
    """A SeaweedFS with master, volume, filer and S3 in one process, and one account that may do everything."""

    access_key = "key"
    secret_key = "secret"

    def __init__(self, folder: Path, binary: Path) -> None:
        self._data = folder / "s3"
        self._log = folder / "s3.log"
        self._data.mkdir(parents=True)
        self._ports = {f"{kind}.{port}": server_port() for kind in KINDS for port in ("port", "port.grpc")}
        self._process = self._launch(binary)

    @classmethod
    def launch(cls, folder: Path) -> Self:
        """Start a server whose data and log live in the folder; ready some seconds later."""
        return cls(folder.resolve(), weed_binary())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def wait_until_ready(self) -> None:
        """Wait until it answers; NotReady, with the log's tail, when it does not."""
        wait_until(self._answers, START_SECONDS, "S3", process=self._process)

    def stop(self) -> None:
        """Kill it: asked to end, it waits for others that are not there."""
        self._process.kill()
        for port in self._ports.values():
            for path in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)

    def _launch(self, binary: Path) -> Process:
        config = self._data / "accounts.json"
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        identity = {"name": "owner", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config.write_text(json.dumps({"identities": [identity]}))
        options: dict[str, str | int | Path] = {
            "dir": self._data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "filer": "true",
            "s3": "true",
            "s3.config": config,
            "s3.domainName": DOMAIN,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 1000,  # each bucket has volumes of its own
            **self._ports,
        }
        argv: list[str | Path] = [
            binary,
            "-logtostderr",
            "server",
            *(f"-{name}={value}" for name, value in options.items()),
        ]
        # One volume for a new bucket, not seven.
        return Process.start("s3", argv, log=self._log, cwd=self._data, env={"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"})

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._ports["s3.port"]), timeout=1):
                return "Start Seaweed S3 API Server" in self._log.read_text(errors="replace")  # and no other one's port
        except OSError:
            return False
