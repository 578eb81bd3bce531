"""Names that were chosen to collide: all but the deleted instance stays as it was, byte for byte."""

from collections.abc import Callable, Iterator

import pytest

from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_global, seed_instance
from tests.system import System

NEIGHBOUR_ID = "4be1a1b5-0f5c-4f5e-9a44-6f2f3c1d0a01"
NAMES = [
    "a", "a_b", "a*", "a?", "[a]", "b", "x:a", "a:b", "A", "a ", "../a", "a/b", "a//b", "..", "%", "%61", "_",
    NEIGHBOUR_ID, "🦊", "n" * 255, "🦊" * 255, " ", ".", "a\\b", "a#b", "a;b=c", "a:getInbox", "a:lock", "lethe:x",
    'q"uo\'te', "%2e%2e", "a\nb", "-", "^a", "ä", "instances",
]  # fmt: skip
# One of each kind: a prefix of others, a pattern, a path, an id.
QUICK = {"a", "a*", "../a", NEIGHBOUR_ID}


@pytest.fixture(scope="module")
def crowded(make_system: Callable[..., System], moto_part: str) -> Iterator[tuple[System, dict[str, SeededInstance]]]:
    """One deployment in which all the names live side by side."""
    system = make_system(any_key_s3=moto_part)
    seed_global(system.deployment)
    ids = {"b": NEIGHBOUR_ID, "a": "migrated", "a_b": "migrated_b"}
    seeded = {name: seed_instance(system.deployment, name, instance_id=ids.get(name), messages=6) for name in NAMES}
    system.gateways[0].load()
    system.start("web", "worker", "beat")
    yield system, seeded
    system.close()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NAMES],
    ids=lambda name: ascii(name)[:20],
)
def test_only_the_instance_that_was_named_goes(crowded: tuple[System, dict[str, SeededInstance]], name: str) -> None:
    """Row for row, key for key, file for file, object for object."""
    system, seeded = crowded
    before = {entry: value for entry, value in fingerprint(system.deployment).items() if ".trash" not in entry}
    own = fingerprint_of(system.deployment, seeded[name].id, name)
    sessions = set(system.gateways[0].sessions)

    answer = system.delete(name)

    assert answer.status == 200, answer.text
    after = {entry: value for entry, value in fingerprint(system.deployment).items() if ".trash" not in entry}
    assert own
    assert after == {entry: value for entry, value in before.items() if entry not in own}
    assert sessions - set(system.gateways[0].sessions) <= {name}


@pytest.mark.slow
def test_no_name_was_left_over(crowded: tuple[System, dict[str, SeededInstance]]) -> None:
    """All that is left after all were deleted belongs to no instance."""
    system, _ = crowded

    for name in QUICK:  # which may have been left out
        system.delete(name)
    left = fingerprint(system.deployment)

    assert not [entry for entry in left if entry.startswith(("object:", "row:Instance:", "row:Message:"))]
