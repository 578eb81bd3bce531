"""What a caller or a customer typed stays text: in no header, log line or answer does it become anything else."""

import pytest

from demo.evolution.seed import seed_instance
from tests.system import System

NAMES = [
    "planted\r\nX-Planted: yes", "planted\nSet-Cookie: a=b", 'planted","error":false,"x":"', "planted\x1b[2J",
    "planted\u2028x", "planted{deletion_id}%s%(name)s", "planted'; DROP TABLE \"Instance\"; --",
    "planted/../../deletions", "planted://elsewhere",
]  # fmt: skip


# The logs are read.
pytestmark = pytest.mark.system("web", "worker", "beat")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_in_no_header_and_no_log_line(system: System, name: str) -> None:
    """Of an instance that is not there, of one that is being deleted, and of one that has gone."""
    unknown = system.delete(name)
    seed_instance(system.deployment, name, messages=3)
    pending = system.delete(name, Prefer="respond-async")
    deletion_id = pending.body["response"]["deletionId"]
    system.wait_for(deletion_id)
    gone = system.delete(name)

    assert (unknown.status, pending.status, gone.status) == (400, 202, 400)
    assert unknown.body == gone.body == {"error": True, "message": f'The "{name}" instance does not exist'}
    assert pending.headers["Location"] == f"/deletions/{deletion_id}"
    for answer in (unknown, pending, gone):
        assert "planted" not in str(answer.headers).lower()
        assert "Set-Cookie" not in answer.headers
    for process in ("web", "worker", "beat"):
        assert "planted" not in (system.folder / f"{process}.log").read_text().lower()
    assert deletion_id in (system.folder / "web.log").read_text()
    assert deletion_id in (system.folder / "worker.log").read_text()
