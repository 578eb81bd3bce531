"""What a manifest says of what only one of the two stages has seen."""

from datetime import UTC, datetime
from uuid import UUID

from shared.archives import manifest
from shared.archives.journal import Facts, State
from shared.archives.streams import Progress


def test_a_table_that_was_created_between_the_stages_is_listed() -> None:
    """Evolution was upgraded meanwhile."""
    facts = Facts(UUID(int=1), "id", "name", "/exports", with_secrets=False, recipient=None, of_deletion=True)
    streams = {"first": {"rows/Old": Progress(items=2)}, "later": {"rows/New": Progress(items=3)}}
    now = datetime.now(UTC)

    content = manifest.compose(facts, "archive", State(1, {}, streams), [], now, now)

    assert manifest.totals(content) == {"Old": 2, "New": 3}
