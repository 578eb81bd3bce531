"""Batches that follow the clock, and no statement that is not bound to one instance."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from shared.errors import Refused, TransientError, Unreachable
from shared.evolution.rows import counting
from shared.evolution.rows.eraser import Pace, RowEraser
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.schema import Crossing, Owned, Plan
from shared.evolution.rows.throttle import Throttle
from tests.unit.shared.evolution.rows.fake_tenant import BOUND, KEY, FakeTenant


class FakePages(dict[str, int]):
    """Keeps pages in memory."""

    def page_of(self, table: str) -> int:
        return self.get(table, 0)

    def keep_page(self, table: str, page: int) -> None:
        self[table] = page


ONE = Throttle(batch_seconds=0.5, connections=1, pause_seconds=0)
TWO = Throttle(batch_seconds=0.5, connections=2, pause_seconds=0)
FREE = Brake((), 10)
MANY = {"Chat": 10_000, "Media": 10_000}


def erase(
    tenant: FakeTenant,
    *tables: Owned,
    stops: Callable[[], bool] = lambda: False,
    pages: FakePages | None = None,
    planned: dict[str, int] | None = None,
    throttle: Throttle = ONE,
) -> tuple[bool, list[Any]]:
    """Erase, and what was reported; by default there is a lot."""
    reported: list[Any] = []
    kept = FakePages() if pages is None else pages
    eraser = RowEraser(tenant, "the-id", lambda: throttle, reported.append, stops, kept, FREE)  # type: ignore[arg-type]
    return eraser.erase(tables, MANY if planned is None else planned), reported


def deletes(tenant: FakeTenant) -> list[tuple[str, dict[str, Any]]]:
    """The statements that remove."""
    return [(text, values) for text, values in tenant.statements if text.startswith("DELETE")]


STATEMENTS: dict[str, Callable[[FakeTenant, Owned], object]] = {
    "count": lambda tenant, owned: counting.count(tenant, Plan((owned,), ()), "the-id"),
    "remaining": lambda tenant, owned: counting.remaining(tenant, Plan((owned,), ()), "the-id"),
    "erase": lambda tenant, owned: erase(tenant, owned),
    "crossing child": lambda tenant, owned: counting.check_crossings(
        tenant, Plan((), (Crossing(KEY, owned, BOUND),)), "the-id", {"Chat": 1}
    ),
    "crossing parent": lambda tenant, owned: counting.check_crossings(
        tenant, Plan((), (Crossing(KEY, BOUND, owned),)), "the-id", {"Loose": 1}
    ),
}


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("predicate", ["", "true", '"instanceId" = id', "1=1"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_is_built_without_the_predicate(name: str, predicate: str, indexed: bool) -> None:
    """It is refused with the table's name, before anything is sent."""
    tenant = FakeTenant(table_pages={"Loose": 5_000})

    with pytest.raises(Refused, match='no instance predicate for table "Loose"'):
        STATEMENTS[name](tenant, Owned("Loose", predicate, indexed))

    assert not [text for text, _ in tenant.statements if "Loose" in text]


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("rows", [3, 10_000])
def test_every_delete_carries_the_predicate_and_the_id(indexed: bool, rows: int) -> None:
    """Also the one that picks its rows by their place."""
    tenant = FakeTenant([0] * 10, table_pages={"Chat": 5_000})

    erase(tenant, Owned("Chat", '"instanceId" = :id', indexed), planned={"Chat": rows})

    assert deletes(tenant)
    for statement, values in deletes(tenant)[:1]:
        assert statement.endswith('"instanceId" = :id')
        assert values["id"] == "the-id"


def test_few_rows_of_several_tables_go_in_one_transaction() -> None:
    """In the order that was given; and a table for which no row was planned is not left out."""
    tenant = FakeTenant([3, 0, 1])
    tables = (BOUND, Owned("Label", '"instanceId" = :id', True), Owned("Instance", "id = :id", True))

    done, reported = erase(tenant, *tables, planned={"Chat": 3, "Instance": 1})

    assert done
    assert reported == [{"Chat": 3, "Instance": 1}]
    assert [text for text, _ in deletes(tenant)] == [
        'DELETE FROM "public"."Chat" WHERE "instanceId" = :id',
        'DELETE FROM "public"."Label" WHERE "instanceId" = :id',
        'DELETE FROM "public"."Instance" WHERE id = :id',
    ]


def test_more_rows_than_were_planned_go_in_batches_after_all() -> None:
    """A plan can be an estimate, or old: a statement that takes too long is not tried for ever."""
    tenant = FakeTenant([TransientError("too long"), 500, 2, 0])
    tables = (BOUND, Owned("Label", '"instanceId" = :id', True))

    done, reported = erase(tenant, *tables, planned={"Chat": 20})

    assert (done, reported) == (True, [{"Chat": 500}, {"Chat": 2}])
    with pytest.raises(Unreachable):
        erase(FakeTenant([Unreachable("the tenant database")]), *tables, planned={"Chat": 20})


def test_a_page_that_takes_too_long_is_left_for_a_search() -> None:
    """Each of its rows makes PostgreSQL search a large table: they go a few at a time."""
    tenant = FakeTenant([TransientError("too long"), 1, 0], table_pages={"Session": 5_000, "Message": 10_000_000})
    table = Owned("Session", '"instanceId" = :id', False, ("Message",))

    done, reported = erase(tenant, table)

    windows, searches = deletes(tenant)[:1], deletes(tenant)[1:]
    assert (done, reported) == (True, [{"Session": 1}])
    assert windows[0][1]["after"] == "(1,0)"
    assert [values["size"] for _, values in searches] == [1, 2]


def test_what_was_not_planned_is_looked_at() -> None:
    """In one statement; a table without rows is not touched."""
    tenant = FakeTenant([[("Chat", 2), ("Label", 0)], 2])
    eraser = RowEraser(tenant, "the-id", lambda: ONE, lambda _: None, lambda: False, FakePages(), FREE)  # type: ignore[arg-type]

    assert eraser.erase((BOUND, Owned("Label", '"instanceId" = :id', True)))
    assert [text for text, _ in deletes(tenant)] == ['DELETE FROM "public"."Chat" WHERE "instanceId" = :id']


def test_batches_go_on_until_one_is_not_full() -> None:
    """Each one is reported with what it removed."""
    tenant = FakeTenant([500, 3])

    done, reported = erase(tenant, BOUND)

    assert done
    assert reported == [{"Chat": 500}, {"Chat": 3}]


def test_each_connection_takes_rows_of_its_own() -> None:
    """Two deletes at once share no row, and the table is done when neither was full."""
    tenant = FakeTenant([500, 500, 4, 0])

    done, reported = erase(tenant, BOUND, throttle=TWO)

    parts = [(values["part"], values["parts"]) for _, values in deletes(tenant)]
    assert done
    assert reported == [{"Chat": 1_000}, {"Chat": 4}]
    assert sorted(parts) == [(0, 2), (0, 2), (1, 2), (1, 2)]


@pytest.mark.parametrize(("message_pages", "parts"), [(10_000, 2), (100, None)])
def test_rows_that_cost_a_long_search_go_on_two_connections_by_default(message_pages: int, parts: int | None) -> None:
    """PostgreSQL mostly reads for them; what is mostly written goes on one."""
    tenant = FakeTenant([0, 0], table_pages={"Message": message_pages})

    erase(
        tenant,
        Owned("Chat", '"instanceId" = :id', True, ("Message",)),
        planned={"Chat": 1_000},
        throttle=Throttle(batch_seconds=0.5, connections=None, pause_seconds=0),
    )

    assert {values.get("parts") for _, values in deletes(tenant)} == {parts}


def test_a_table_without_rows_reports_nothing() -> None:
    """Already gone."""
    assert erase(FakeTenant([0]), BOUND) == (True, [])


def test_a_stop_ends_between_two_batches() -> None:
    """What was removed so far is reported, and it says that there is more."""
    tenant = FakeTenant([500])
    stops = iter([False, False, True])

    done, reported = erase(tenant, BOUND, stops=lambda: next(stops))

    assert (done, reported) == (False, [{"Chat": 500}])
    assert len(deletes(tenant)) == 1


LOOSE = Owned("Media", '"instanceId" = :id', False)


def test_a_large_table_without_an_index_is_walked_once_by_its_pages() -> None:
    """The windows touch each other and leave no page out."""
    tenant = FakeTenant([7, *[0] * 50], table_pages={"Media": 2_500})

    done, reported = erase(tenant, LOOSE)

    windows = [(values["first"], values["after"]) for _, values in deletes(tenant)]
    assert done
    assert reported[0] == {"Media": 7}
    assert windows[0][0] == "(0,0)"
    assert all(before[1] == after[0] for before, after in pairwise(windows))
    assert int(windows[-1][1].strip("()").split(",")[0]) >= 2_500


HALF = {"table_pages": {"Chat": 400}, "table_rows": {"Chat": 20_000.0}}


def test_a_table_of_which_a_good_part_goes_is_walked_by_its_pages() -> None:
    """Each search would read most of it again; the first window is as small as a first batch."""
    tenant = FakeTenant([0] * 100, **HALF)

    done, _ = erase(tenant, BOUND, planned={"Chat": 5_000})

    windows = [(values["first"], values["after"]) for _, values in deletes(tenant)]
    assert done
    assert windows[0] == ("(0,0)", "(10,0)")
    assert all(before[1] == after[0] for before, after in pairwise(windows))


def test_a_table_of_which_a_small_part_goes_is_searched() -> None:
    """Most of its pages hold nothing of the instance."""
    tenant = FakeTenant([0], **HALF)

    erase(tenant, BOUND, planned={"Chat": 4_999})

    assert [values["size"] for _, values in deletes(tenant)] == [500]


def test_rows_that_cost_a_search_each_are_never_walked() -> None:
    """A page is the least that can be walked, and its rows may take far too long."""
    tenant = FakeTenant([0], table_pages={"Chat": 400, "Message": 10_000}, table_rows={"Chat": 20_000.0})

    erase(tenant, Owned("Chat", '"instanceId" = :id', True, ("Message",)), planned={"Chat": 20_000})

    assert [values["size"] for _, values in deletes(tenant)] == [8]


def test_what_is_left_is_estimated_when_the_plan_is_old() -> None:
    """More than a few rows are not counted again; what the planner expects decides how they are found."""
    expected = [([{"Plan": {"Plan Rows": 12_000}}],)]
    tenant = FakeTenant([[("Chat", 501)], expected, *[0] * 100], **HALF)
    eraser = RowEraser(tenant, "the-id", lambda: ONE, lambda _: None, lambda: False, FakePages(), FREE)  # type: ignore[arg-type]

    assert eraser.erase((BOUND,))
    assert deletes(tenant)[0][1]["after"] == "(10,0)"


def test_empty_pages_do_not_let_a_window_outgrow_what_fits() -> None:
    """The next ones may be full: 50 rows a page at 10 us make 1,000 pages of half a second."""
    pace = Pace(0.5, size=10, rows_a_page=50)

    for _ in range(30):
        pace.learn(0.001, rows=0)

    assert 900 < pace.size <= 1_000


def test_full_pages_teach_what_a_row_costs() -> None:
    """10,000 rows in 10 ms: from then on 500,000 fit into half a second."""
    pace = Pace(0.5, size=200, rows_a_page=50)

    for _ in range(30):
        pace.learn(0.01, rows=pace.size * 50)
        pace.learn(0.001, rows=0)

    assert pace.size > 1_000


def test_a_batch_that_takes_too_long_is_made_smaller() -> None:
    """Each row may make PostgreSQL search a large table; what was rolled back is tried again in small pieces."""
    tenant = FakeTenant([TransientError("too long"), 50, 3])

    done, reported = erase(tenant, BOUND)

    assert [values["size"] for _, values in deletes(tenant)] == [500, 50, 100]
    assert (done, reported) == (True, [{"Chat": 50}, {"Chat": 3}])


def test_rows_that_cost_a_search_each_begin_with_what_fits() -> None:
    """A table of 10,000 pages is searched for each row: 60 ms, so eight of them take half a second."""
    tenant = FakeTenant([3], table_pages={"Message": 10_000})

    erase(tenant, Owned("Chat", '"instanceId" = :id', True, ("Message",)), planned={"Chat": 100})

    assert [values["size"] for _, values in deletes(tenant)] == [8]


def test_a_single_row_that_takes_too_long_is_an_error() -> None:
    """Nothing smaller is left to try; and an unreachable server is none of this."""
    with pytest.raises(TransientError):
        erase(FakeTenant([TransientError("too long")] * 4), BOUND)
    with pytest.raises(Unreachable):
        erase(FakeTenant([Unreachable("the tenant database")]), BOUND)


def test_what_one_connection_removed_is_reported_though_the_other_failed() -> None:
    """It is committed."""
    tenant = FakeTenant([500, TransientError("too long"), 0, 0])

    done, reported = erase(tenant, BOUND, throttle=TWO)

    assert (done, reported) == (True, [{"Chat": 500}])


def test_a_walk_that_was_stopped_goes_on_where_it_was() -> None:
    """Else a table that takes longer than a slice would be begun anew for ever."""
    tenant, pages = FakeTenant([7], table_pages={"Media": 2_500}), FakePages()
    stops = iter([False, False, True])

    stopped = erase(tenant, LOOSE, stops=lambda: next(stops), pages=pages)
    kept = dict(pages)
    tenant.answers = [*[0] * 10]
    ended = erase(tenant, LOOSE, pages=pages)

    assert (stopped, kept) == ((False, [{"Media": 7}]), {"Media": 1_000})
    assert deletes(tenant)[1][1]["first"] == "(1000,0)"
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
