"""How a missing index is called and what its absence costs."""

from dataclasses import replace

from shared.evolution.rows.missing_indexes import MissingIndex

MISSING = MissingIndex(
    table="Message",
    column="sessionId",
    parent="IntegrationSession",
    rows=500_000,
    size_bytes=200 * 1024**2,
    searches=100,
    partitioned=False,
    may_create=True,
)


def test_a_name_that_postgresql_would_cut_is_made_short() -> None:
    """It would not be recognised, and two could become one."""
    long, other = replace(MISSING, table="T" * 60), replace(MISSING, table="T" * 60 + "x")

    assert MISSING.name == "lethe_Message_sessionId_idx"
    assert max(len(each.name.encode()) for each in (long, other)) <= 63
    assert long.name != other.name


def test_identifiers_are_quoted() -> None:
    """They come from a schema that is not ours."""
    statement = replace(MISSING, table='Odd"name').statement("pub lic")

    assert statement.endswith('ON "pub lic"."Odd""name" ("sessionId")')
    assert '"lethe_Odd""name_sessionId_idx"' in statement


def test_a_partitioned_table_is_not_indexed_concurrently() -> None:
    """PostgreSQL cannot."""
    assert "CONCURRENTLY" in MISSING.statement("public")
    assert "CONCURRENTLY" not in replace(MISSING, partitioned=True).statement("public")


def test_small_tables_cost_nothing_worth_a_word() -> None:
    """They are read in no time, however often."""
    assert MISSING.is_costly
    assert not replace(MISSING, rows=10, searches=10).is_costly
    assert replace(MISSING, rows=20_000, searches=1).is_costly


def test_the_cost_is_told_in_words() -> None:
    """How much is read, and how often."""
    assert 'reads all of "Message" (about 500,000 rows, 200.0 MB) 100 times' in MISSING.cost
