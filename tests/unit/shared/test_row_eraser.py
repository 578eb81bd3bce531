"""Batches that follow the clock, and no statement that is not bound to one instance."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from shared import tenant_rows
from shared.errors import Refused, TransientError, Unreachable
from shared.row_eraser import Pace, RowEraser
from shared.tenant_schema import Crossing, Owned, Plan
from tests.unit.shared.fake_tenant import BOUND, KEY, FakeTenant


class FakePages(dict[str, int]):
    """Keeps pages in memory."""

    def page_of(self, table: str) -> int:
        return self.get(table, 0)

    def keep_page(self, table: str, page: int) -> None:
        self[table] = page


def erase(
    tenant: FakeTenant, owned: Owned, stops: Callable[[], bool] = lambda: False, pages: FakePages | None = None
) -> tuple[bool, list[Any]]:
    """Erase, and what was reported."""
    reported: list[Any] = []
    eraser = RowEraser(tenant, "the-id", 0.5, reported.append, stops, FakePages() if pages is None else pages)
    return eraser.erase(owned), reported


STATEMENTS: dict[str, Callable[[FakeTenant, Owned], object]] = {
    "count": lambda tenant, owned: tenant_rows.count(tenant, Plan((owned,), ()), "the-id"),
    "remaining": lambda tenant, owned: tenant_rows.remaining(tenant, Plan((owned,), ()), "the-id"),
    "erase": lambda tenant, owned: erase(tenant, owned),
    "crossing child": lambda tenant, owned: tenant_rows.check_crossings(
        tenant, Plan((), (Crossing(KEY, owned, BOUND),)), "the-id", {"Chat": 1}
    ),
    "crossing parent": lambda tenant, owned: tenant_rows.check_crossings(
        tenant, Plan((), (Crossing(KEY, BOUND, owned),)), "the-id", {"Loose": 1}
    ),
}


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("predicate", ["", "true", '"instanceId" = id', "1=1"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_is_built_without_the_predicate(name: str, predicate: str, indexed: bool) -> None:
    """It is refused with the table's name, before anything is sent."""
    tenant = FakeTenant()

    with pytest.raises(Refused, match='no instance predicate for table "Loose"'):
        STATEMENTS[name](tenant, Owned("Loose", predicate, indexed))

    assert tenant.statements == []


@pytest.mark.parametrize(("indexed", "answers"), [(True, [0]), (False, [1, 0])])
def test_every_delete_carries_the_predicate_and_the_id(indexed: bool, answers: list[Any]) -> None:
    """Also the one that picks its rows by their place."""
    tenant = FakeTenant(answers)

    erase(tenant, Owned("Chat", '"instanceId" = :id', indexed))

    deletes = [(text, values) for text, values in tenant.statements if text.startswith("DELETE")]
    assert len(deletes) == 1
    assert deletes[0][0].endswith('AND "instanceId" = :id')
    assert deletes[0][1]["id"] == "the-id"


def test_batches_go_on_until_one_is_not_full() -> None:
    """Each one is reported with what it removed."""
    tenant = FakeTenant([500, 3])

    done, reported = erase(tenant, BOUND)

    assert done
    assert reported == [{"Chat": 500}, {"Chat": 3}]


def test_a_table_without_rows_reports_nothing() -> None:
    """Already gone."""
    assert erase(FakeTenant([0]), BOUND) == (True, [])


def test_a_stop_ends_between_two_batches() -> None:
    """What was removed so far is reported, and it says that there is more."""
    tenant = FakeTenant([500])
    stops = iter([False, True])

    done, reported = erase(tenant, BOUND, lambda: next(stops))

    assert (done, reported) == (False, [{"Chat": 500}])
    assert len(tenant.statements) == 1


def test_a_table_without_an_index_is_walked_once_by_its_pages() -> None:
    """The windows touch each other and leave no page out."""
    tenant = FakeTenant([2_500, 7, *[0] * 50])

    done, reported = erase(tenant, Owned("Media", '"instanceId" = :id', False))

    windows = [(values["first"], values["after"]) for _, values in tenant.statements[1:]]
    assert done
    assert reported[0] == {"Media": 7}
    assert windows[0][0] == "(0,0)"
    assert all(before[1] == after[0] for before, after in pairwise(windows))
    assert int(windows[-1][1].strip("()").split(",")[0]) >= 2_500


def test_a_batch_that_takes_too_long_is_made_smaller() -> None:
    """Each row may make PostgreSQL search a large table; what was rolled back is tried again in small pieces."""
    tenant = FakeTenant([TransientError("too long"), 5, 3])

    done, reported = erase(tenant, BOUND)

    assert [values["size"] for _, values in tenant.statements] == [50, 5, 10]
    assert (done, reported) == (True, [{"Chat": 5}, {"Chat": 3}])


def test_a_single_row_that_takes_too_long_is_an_error() -> None:
    """Nothing smaller is left to try; and an unreachable server is none of this."""
    with pytest.raises(TransientError):
        erase(FakeTenant([TransientError("too long")] * 3), BOUND)
    with pytest.raises(Unreachable):
        erase(FakeTenant([Unreachable("the tenant database")]), BOUND)


def test_a_walk_that_was_stopped_goes_on_where_it_was() -> None:
    """Else a table that takes longer than a slice would be begun anew for ever."""
    tenant, pages = FakeTenant([2_500, 7]), FakePages()
    stops = iter([False, True])

    stopped = erase(tenant, Owned("Media", '"instanceId" = :id', False), lambda: next(stops), pages)
    kept = dict(pages)
    tenant.answers = [2_500, *[0] * 10]
    ended = erase(tenant, Owned("Media", '"instanceId" = :id', False), pages=pages)

    assert (stopped, kept) == ((False, [{"Media": 7}]), {"Media": 1_000})
    assert tenant.statements[3][1]["first"] == "(1000,0)"
    assert (ended[0], pages) == (True, {"Media": 0})


def test_a_slow_batch_makes_the_next_one_smaller() -> None:
    """In proportion: 0.8 s instead of 0.5 s."""
    pace = Pace(0.5, size=1_000)

    pace.learn(0.8)

    assert pace.size == 625


@pytest.mark.parametrize(("took_seconds", "size"), [(60, 500), (0.01, 2_000), (0, 2_000), (0.5, 1_000)])
def test_one_measurement_at_most_halves_or_doubles(took_seconds: float, size: int) -> None:
    """One slow statement proves little, and a clock that stood still divides nothing by zero."""
    pace = Pace(0.5, size=1_000)

    pace.learn(took_seconds)

    assert pace.size == size


@pytest.mark.parametrize(("took_seconds", "bound"), [(60, 1), (0, 50_000)])
def test_a_pace_stays_within_its_bounds(took_seconds: float, bound: int) -> None:
    """Never an empty batch, never one that holds its locks for minutes."""
    pace = Pace(0.5)

    for _ in range(30):
        pace.learn(took_seconds)

    assert pace.size == bound


def test_a_pace_of_one_row_can_grow_again() -> None:
    """A lock that was held for a while is forgiven."""
    pace = Pace(0.5, size=1)

    pace.learn(0.001)

    assert pace.size == 2
