"""Batches pause while the database is busy with others' work, and a giant's batches pause longer."""

from shared.evolution.rows.throttle import Load


def pauses(*commits: float, rows: int = 1_000) -> list[float]:
    """The pause after each of these batches."""
    load, found = Load(), []
    for commit_seconds in commits:
        load.learn(rows, commit_seconds)
        found.append(load.pause_seconds)
    return found


def test_an_idle_database_is_no_reason_to_pause() -> None:
    """Commits differ a little in any case."""
    assert pauses(0.003, 0.002, 0.004, 0.003, 0.005) == [0] * 5


def test_one_slow_commit_is_an_accident() -> None:
    """A pause would only take time."""
    assert pauses(0.002, 0.040, 0.003, 0.050, 0.002) == [0] * 5


def test_commits_that_wait_for_others_make_the_next_batch_pause() -> None:
    """It falls off when commits are quick again."""
    found = pauses(0.002, 0.040, 0.045, 0.040, *[0.002] * 6)

    assert found[:3] == [0, 0, 0]
    assert 0.03 < found[3] < 0.05
    assert found[4] < found[3]
    assert found[-1] == 0


def test_a_disk_that_is_always_slow_is_no_reason_to_pause() -> None:
    """Pauses would not make it faster."""
    assert pauses(*[0.15, 0.16, 0.17, 0.15] * 10) == [0] * 40


def test_a_commit_of_more_rows_may_take_longer() -> None:
    """It has more to write; only as large ones are compared with it."""
    load = Load()

    load.learn(500, 0.001)
    for _ in range(3):
        load.learn(20_000, 0.020)

    assert load.pause_seconds == 0


def test_a_giant_gives_way_more() -> None:
    """What is gone in a moment need not wait; and no pause is endless."""
    busy = (0.002, 0.030, 0.030, 0.030)
    small, giant = pauses(*busy)[-1], pauses(*busy, rows=1_000_000)[-1]

    assert giant > 2 * small
    assert pauses(0.002, 60, 60, 60, rows=1_000_000)[-1] == 0.5
