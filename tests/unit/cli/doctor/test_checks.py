"""The checks of `lethe doctor` on Lethe's own servers."""

from types import SimpleNamespace
from typing import Any

from cli.doctor import checks
from cli.doctor.findings import Verdict


def test_a_node_of_a_cluster_is_broken_and_not_also_ok() -> None:
    """However well it is configured."""
    node: Any = SimpleNamespace(
        connection_pool=None, info=lambda: {"cluster_enabled": 1, "maxmemory_policy": "noeviction", "aof_enabled": 1}
    )
    services: Any = SimpleNamespace(redis=node)

    assert [found.verdict for found in checks._redis(services)] == [Verdict.BROKEN]
