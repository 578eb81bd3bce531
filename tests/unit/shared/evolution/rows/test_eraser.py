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

ONE = Throttle(batch_seconds=0.5, pause_seconds=0)
IDLE = Brake((), 10)
MANY = {"Chat": 10_000, "Media": 10_000}


def erase(
    tenant: FakeTenant,
    *tables: Owned,
    stops: Callable[[], bool] = lambda: False,
    notes: dict[str, str | None] | None = None,
    planned: dict[str, int] | None = None,
    throttle: Throttle = ONE,
) -> tuple[bool, list[Any]]:
    """Erase, and what was reported; by default there is a lot."""
    reported: list[Any] = []
    noted = {} if notes is None else notes
    eraser = RowEraser(
        tenant,  # type: ignore[arg-type]
        "the-id",
        lambda: throttle,
        reported.append,
        stops,
        IDLE,
        note_triggers=noted.update,
    )
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
        assert '"instanceId" = :id' in statement.partition(" WHERE ")[2]
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


def test_what_was_not_planned_is_looked_at() -> None:
    """In one statement; a table without rows is not touched."""
    tenant = FakeTenant([[("Chat", 2), ("Label", 0)], 2])
    eraser = RowEraser(tenant, "the-id", lambda: ONE, lambda _: None, lambda: False, IDLE)  # type: ignore[arg-type]

    assert eraser.erase((BOUND, Owned("Label", '"instanceId" = :id', True)))
    assert [text for text, _ in deletes(tenant)] == ['DELETE FROM "public"."Chat" WHERE "instanceId" = :id']


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


FREE: dict[str, Any] = {"free": {"Chat"}}


def test_a_table_goes_without_its_triggers_where_it_may() -> None:
    """Set for the transaction of each batch; and it is noted for the receipt."""
    tenant, notes = FakeTenant([25_000, 3], **FREE), dict[str, str | None]()

    done, reported = erase(tenant, BOUND, notes=notes)

    assert (done, reported) == (True, [{"Chat": 25_000}, {"Chat": 3}])
    assert all("set_config('session_replication_role', 'replica', true)" in each for each in tenant.settings)
    assert notes == {"Chat": None}


def test_a_table_that_has_to_keep_its_triggers_keeps_them() -> None:
    """And the reason is noted."""
    tenant, notes = FakeTenant([3]), dict[str, str | None]()

    erase(tenant, BOUND, notes=notes)

    assert not any("session_replication_role" in each for each in tenant.settings)
    assert notes == {"Chat": "why"}


def test_rows_that_others_refer_to_go_with_their_triggers() -> None:
    """As many as the batch had that was rolled back; then it goes on without them."""
    tenant, notes = (
        FakeTenant([(True, False), 500, 1_000, 2_000, 4_000, 8_000, 16_000, 9], seconds_a_batch=0.01, **FREE),
        dict[str, str | None](),
    )

    done, reported = erase(tenant, BOUND, notes=notes)

    off = ["replica" in each for each in tenant.settings]
    assert (done, sum(each["Chat"] for each in reported)) == (True, 31_509)
    assert off == [True, *[False] * 6, True]
    assert "others that refer" in (notes["Chat"] or "")


def test_a_table_that_was_altered_keeps_its_triggers_from_then_on() -> None:
    """It may have got a trigger a moment ago."""
    tenant, notes = FakeTenant([(False, True), 500, 9], **FREE), dict[str, str | None]()

    erase(tenant, BOUND, notes=notes)

    assert ["replica" in each for each in tenant.settings] == [True, False, False]
    assert notes["Chat"] == "it was altered meanwhile"


def test_a_batch_that_takes_too_long_is_made_smaller() -> None:
    """Each row may make PostgreSQL search a large table; what was rolled back is tried again in small pieces."""
    tenant = FakeTenant([TransientError("too long"), 50, 3])

    done, reported = erase(tenant, BOUND)

    assert [values["size"] for _, values in deletes(tenant)] == [500, 50, 100]
    assert (done, reported) == (True, [{"Chat": 50}, {"Chat": 3}])


def test_rows_that_cost_a_search_each_begin_with_what_fits_on_two_connections() -> None:
    """A table of 10,000 pages is searched for each row: 60 ms, so eight of them take half a second."""
    tenant = FakeTenant([3, 2], table_pages={"Message": 10_000})

    done, reported = erase(tenant, Owned("Chat", '"instanceId" = :id', True, ("Message",)), planned={"Chat": 100})

    statements = [statement for statement, _ in deletes(tenant)]
    assert (done, sum(each["Chat"] for each in reported)) == (True, 5)
    assert deletes(tenant)[0][1]["size"] == 8
    assert sorted(condition in each for each in statements for condition in ("% 2 = 0", "% 2 <> 0")) == [
        False, False, True, True
    ]  # fmt: skip


def test_rows_that_refer_to_each_other_go_on_one_connection() -> None:
    """Two would clear references in rows that the other one removes, and wait for each other."""
    tenant = FakeTenant([3], table_pages={"Chat": 10_000})

    erase(tenant, Owned("Chat", '"instanceId" = :id', True, ("Chat",)), planned={"Chat": 100})

    assert ["% 2" in statement for statement, _ in deletes(tenant)] == [False]


def test_a_single_row_that_takes_too_long_is_an_error() -> None:
    """Nothing smaller is left to try; and an unreachable server is none of this."""
    with pytest.raises(TransientError):
        erase(FakeTenant([TransientError("too long")] * 4), BOUND)
    with pytest.raises(Unreachable):
        erase(FakeTenant([Unreachable("the tenant database")]), BOUND)


def test_a_slow_batch_makes_the_next_one_smaller() -> None:
    """In proportion: 0.8 s instead of 0.5 s."""
    pace = Pace(size=1_000)

    pace.learn(0.8, 0.5)

    assert pace.size == 625


@pytest.mark.parametrize(("took_seconds", "size"), [(60, 500), (0.01, 2_000), (0, 2_000), (0.5, 1_000)])
def test_one_measurement_at_most_halves_or_doubles(took_seconds: float, size: int) -> None:
    """One slow statement proves little, and a clock that stood still divides nothing by zero."""
    pace = Pace(size=1_000)

    pace.learn(took_seconds, 0.5)

    assert pace.size == size


@pytest.mark.parametrize(("took_seconds", "bound"), [(60, 1), (0, 50_000)])
def test_a_pace_stays_within_its_bounds(took_seconds: float, bound: int) -> None:
    """Never an empty batch, never one that holds its locks for minutes."""
    pace = Pace(size=500)

    for _ in range(30):
        pace.learn(took_seconds, 0.5)

    assert pace.size == bound


def test_a_pace_of_one_row_can_grow_again() -> None:
    """A lock that was held for a while is forgiven."""
    pace = Pace(size=1)

    pace.learn(0.001, 0.5)

    assert pace.size == 2
