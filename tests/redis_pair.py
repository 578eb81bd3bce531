"""A Redis with a replica, and three Sentinels that watch them; all ask for passwords."""

from pathlib import Path
from typing import Self

from redis import Redis as Client
from redis import RedisError

from demo.binaries import redis_binary
from demo.parts import Redis
from demo.ports import server_port
from demo.processes import Process, wait_until

SERVICE, PASSWORD, SENTINEL_PASSWORD = "lethe-redis", "pass:word", "sentinel word"
_SENTINELS = 3
_START_SECONDS = 60


class RedisPair:
    """The first server is the primary until it is killed."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Redis.start(folder / name) for name in ("one", "two")]
        for server in self.servers:
            with Client.from_url(server.url) as client:
                client.config_set("masterauth", PASSWORD)
                if server is not self.servers[0]:
                    client.replicaof("127.0.0.1", str(self.servers[0].port))
                client.config_set("requirepass", PASSWORD)
        self.ports = [server_port() for _ in range(_SENTINELS)]
        self.sentinels = [self._watch(folder / f"sentinel{port}", port) for port in self.ports]
        wait_until(self._see_each_other, _START_SECONDS, "the Sentinels")

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Start them; ready for a failover when this returns."""
        return cls(folder)

    @property
    def hosts(self) -> str:
        """The Sentinels' addresses, separated by commas."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def url(self, database: int = 0) -> str:
        """The URL as Lethe takes it."""
        login, words = PASSWORD.replace(":", "%3A"), SENTINEL_PASSWORD.replace(" ", "%20")
        return f"sentinel://:{login}@{self.hosts}/{database}?service={SERVICE}&sentinel_password={words}"

    def client(self, number: int) -> Client:
        """A client of one of the two servers."""
        return Client(port=self.servers[number].port, password=PASSWORD, decode_responses=True)

    def kill_host(self) -> None:
        """SIGKILL the primary and a Sentinel, as if they were on one host."""
        self.servers[0].kill()
        self.sentinels[0].kill()

    def stop_replication(self) -> None:
        """Let the replica receive nothing from now on; for some seconds it may be promoted all the same."""
        with self.client(0) as primary, self.client(1) as replica:
            replica.config_set("masterauth", "wrong")
            primary.client_kill_filter(_type="replica")
            wait_until(lambda: primary.info("replication")["connected_slaves"] == 0, _START_SECONDS, "no replication")

    def stop(self) -> None:
        """End all that still runs."""
        for sentinel in self.sentinels:
            sentinel.stop()
        for server in self.servers:
            server.stop()

    def _watch(self, folder: Path, port: int) -> Process:
        folder.mkdir(parents=True)
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            "set-proc-title no",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.servers[0].port} 2",
            f"sentinel auth-pass {SERVICE} {PASSWORD}",
            f"sentinel down-after-milliseconds {SERVICE} 2000",
            f"sentinel failover-timeout {SERVICE} 5000",
            f'requirepass "{SENTINEL_PASSWORD}"',
            f'sentinel sentinel-pass "{SENTINEL_PASSWORD}"',
        ]
        (configuration := folder / "sentinel.conf").write_text("\n".join(lines))
        argv = [redis_binary(), configuration, "--sentinel"]
        return Process.start("sentinel", argv, log=folder / "sentinel.log", cwd=folder)

    def _see_each_other(self) -> bool:
        try:
            return all(
                state["num-other-sentinels"] == _SENTINELS - 1 and state["num-slaves"] == 1
                for port in self.ports
                for state in [Client(port=port, password=SENTINEL_PASSWORD).sentinel_master(SERVICE)]
            )
        except RedisError:
            return False
