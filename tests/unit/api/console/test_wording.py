"""What the console says of the result of a step."""

import pytest

from api.console import wording


def step(
    name: str, removed: dict[str, int], *, at_least: bool = False, notes: dict[str, object] | None = None
) -> dict[str, object]:
    """A step as in the JSON of a deletion."""
    return {"name": name, "removed": removed, "planned": removed, "atLeast": at_least, "notes": notes or {}}


@pytest.mark.parametrize(
    ("name", "removed", "said"),
    [
        ("logout", {"sessions": 1}, "1 session logged out"),
        ("logout", {}, "nothing to log out"),
        ("purge_cache", {"keys": 17}, "17 keys removed"),
        ("purge_cache", {"keys": 0}, "nothing was there"),
        ("send_webhook", {"delivered": 1}, "1 delivered"),
        ("send_webhook", {"delivered": 1, "pending": 1}, "1 delivered, 1 kept for later"),
        ("send_webhook", {"refused": 1}, "1 refused"),
        ("send_webhook", {}, "no webhook to call"),
        ("deregister", {"files": 2, "objects": 1, "gateways": 2}, "dropped from 2 gateways, 2 files, 1 object removed"),
        ("deregister", {"gateways": 1, "queues": 3}, "dropped from 1 gateway, 3 queues removed"),
        ("delete_records", {"Message": 20_000, "Chat": 1}, "20,001 rows removed"),
        ("delete_files", {"objects": 201, "files": 4}, "201 objects, 4 files removed"),
        ("confirm", {}, "nothing was left"),
        ("confirm", {"keys": 1, "Chat": 1}, "1 key, 1 row removed"),
    ],
)
def test_the_result_of_each_step_has_its_own_words(name: str, removed: dict[str, int], said: str) -> None:
    """A webhook is delivered, a gateway is not removed."""
    assert wording.removed(step(name, removed)) == said


@pytest.mark.parametrize(
    ("name", "removed", "notes", "said"),
    [
        ("logout", {}, {"unlinked": False, "stuck_gateways": ["a"]}, "not logged out at 1 gateway"),
        ("logout", {"sessions": 1}, {"stuck_gateways": ["a"]}, "1 session logged out, not logged out at 1 gateway"),
        ("logout", {}, {"not_logged_out": "restart needed: a URL cannot carry the name"}, "not logged out"),
        ("deregister", {}, {"gateways": {"a": "not_dropped: restart needed"}}, "not dropped from 1 gateway"),
        (
            "deregister",
            {"gateways": 1},
            {"gateways": {"a": "dropped", "b": "given up, not_dropped: restart needed"}},
            "dropped from 1 gateway, not dropped from 1 gateway",
        ),
        ("deregister", {}, {"gateways": {"a": "not held"}}, "nothing was there"),
    ],
)
def test_a_step_says_what_it_could_not_do(
    name: str, removed: dict[str, int], notes: dict[str, object], said: str
) -> None:
    """A session with a dead socket, and a gateway that needs a restart."""
    assert wording.removed(step(name, removed, notes=notes)) == said


def test_webhooks_are_counted_by_status() -> None:
    """Their status now, not when the step was done."""
    assert wording.webhook_totals([{"status": "delivered"}, {"status": "expired"}]) == "1 delivered, 1 given up"
    assert wording.webhook_totals([{"status": "delivered"}, {"status": "delivered"}]) == "2 delivered"


def test_a_lower_bound_says_at_least() -> None:
    """A worker died between removing and counting; nothing is never a lower bound."""
    assert wording.removed(step("purge_cache", {"keys": 2}, at_least=True)) == "at least 2 keys removed"
    assert wording.removed(step("purge_cache", {}, at_least=True)) == "nothing was there"


def test_counts_have_units() -> None:
    """Rows are added up over their tables."""
    assert wording.amounts({"Message": 2, "Chat": 3}) == "5 rows"
    assert wording.amounts({"webhooks": 1}) == "1 webhook"
    assert wording.amounts({}) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [({"files": 1, "keys": 1_200, "rows": 2}, "1 file, 1,200 keys, 2 rows"), ({"instances": 1}, "1 instance")],
)
def test_data_that_came_back_has_units(found: dict[str, int], said: str) -> None:
    """The same units as the result of a step."""
    assert wording.amounts(found) == said
