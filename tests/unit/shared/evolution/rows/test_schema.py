"""What an instance owns, worked out from a catalogue that is made up here."""

from typing import Any

import pytest

from shared.errors import Refused
from shared.evolution.rows.schema import ForeignKey, Plan, make_plan, quote


def key(child: str, column: str, parent: str, on_delete: str = "c", **changes: Any) -> ForeignKey:
    """A foreign key; NOT NULL and in the schema `public` unless told."""
    facts: dict[str, Any] = {
        "name": f"{child}_{column}_fkey",
        "schema": "public",
        "child": child,
        "columns": (column,),
        "parent": parent,
        "parent_columns": ("id",),
        "on_delete": on_delete,
        "nullable": False,
    }
    return ForeignKey(**{**facts, **changes})


def owned_by_instance(*tables: str) -> list[ForeignKey]:
    """The cascading key that nearly all of Evolution's tables have."""
    return [key(table, "instanceId", "Instance") for table in tables]


def plan(*keys: ForeignKey, named: tuple[str, ...] = (), leading: frozenset[tuple[str, str]] = frozenset()) -> Plan:
    """A plan for the schema `public`."""
    return make_plan("public", list(keys), named, set(leading))


def order(made: Plan) -> list[str]:
    """The tables, as they are deleted from."""
    return [table.table for table in made.tables]


def predicate(made: Plan, table: str) -> str:
    """The predicate of one table."""
    return {owned.table: owned.predicate for owned in made.tables}[table]


def test_the_instance_row_is_the_last_to_go() -> None:
    """Even where nothing but the order of the keys speaks for another one."""
    made = plan(*owned_by_instance("Zebra", "Aardvark"))

    assert order(made)[-1] == "Instance"
    assert sorted(order(made)) == ["Aardvark", "Instance", "Zebra"]


def test_an_instance_without_tables_is_a_plan_too() -> None:
    """Its own row."""
    made = plan()

    assert order(made) == ["Instance"]
    assert predicate(made, "Instance") == '"id" = :id'


def test_leaves_go_first() -> None:
    """MessageUpdate and Media before Message."""
    made = plan(
        *owned_by_instance("Message", "MessageUpdate", "Media"),
        key("MessageUpdate", "messageId", "Message"),
        key("Media", "messageId", "Message"),
    )

    at = {table: place for place, table in enumerate(order(made))}
    assert at["MessageUpdate"] < at["Message"] < at["Instance"]
    assert at["Media"] < at["Message"]


@pytest.mark.parametrize("names", [("Aaa", "Zzz"), ("Zzz", "Aaa")])
def test_a_restricting_key_comes_before_what_it_restricts(names: tuple[str, str]) -> None:
    """OpenaiSetting before OpenaiCreds, however they are called."""
    child, parent = names

    made = plan(*owned_by_instance(child, parent), key(child, "credsId", parent, "r"))

    assert order(made) == [child, parent, "Instance"]


def test_a_restricting_key_to_the_instance_itself_counts_as_owned() -> None:
    """Its rows are in the way of the Instance row."""
    made = plan(key("Bill", "instanceId", "Instance", "r"))

    assert order(made) == ["Bill", "Instance"]


@pytest.mark.parametrize("rule", ["a", "r", "c"])
def test_a_key_that_is_not_cleared_owns_though_it_may_be_null(rule: str) -> None:
    """NO ACTION, RESTRICT and CASCADE: the row cannot outlive what it refers to."""
    made = plan(key("Thing", "instanceId", "Instance", rule, nullable=True))

    assert "Thing" in order(made)


def test_a_nullable_key_that_is_set_null_only_mentions() -> None:
    """The rows of a table that is known by nothing else stay."""
    made = plan(*owned_by_instance("Bot"), key("Report", "botId", "Bot", "n", nullable=True))

    assert order(made) == ["Bot", "Instance"]


def test_a_mention_of_the_instance_is_no_ownership() -> None:
    """The database clears the column itself."""
    made = plan(key("Report", "aboutInstance", "Instance", "n", nullable=True))

    assert order(made) == ["Instance"]


def test_a_mention_by_a_column_called_instance_id_is_no_ownership() -> None:
    """The column has a foreign key, and that says: clear."""
    made = plan(key("Report", "instanceId", "Instance", "n", nullable=True), named=("Report",))

    assert order(made) == ["Instance"]


def test_set_null_on_a_column_that_cannot_be_null_owns() -> None:
    """The database could not clear it."""
    made = plan(key("Thing", "instanceId", "Instance", "n", nullable=False))

    assert predicate(made, "Thing") == '"instanceId" = :id'


def test_the_column_of_the_key_is_the_predicate() -> None:
    """Session's is called sessionId."""
    made = plan(key("Session", "sessionId", "Instance"))

    assert predicate(made, "Session") == '"sessionId" = :id'


def test_a_column_instance_id_without_a_key_counts_as_owned() -> None:
    """A new table whose author forgot the key."""
    made = plan(named=("Loose",))

    assert order(made) == ["Loose", "Instance"]
    assert predicate(made, "Loose") == '"instanceId" = :id'


def test_a_table_that_references_nothing_owned_is_left_alone() -> None:
    """IsOnWhatsapp and _prisma_migrations, and whatever hangs on them."""
    made = plan(*owned_by_instance("Chat"), key("Child", "parentId", "IsOnWhatsapp"))

    assert order(made) == ["Chat", "Instance"]


def test_a_table_known_through_its_parent_only_is_owned_through_it() -> None:
    """Two steps away, its rows are found by a nested query that ends at the id."""
    made = plan(
        *owned_by_instance("Message"),
        key("Reaction", "messageId", "Message"),
        key("ReactionDetail", "reactionId", "Reaction"),
    )

    assert order(made) == ["ReactionDetail", "Reaction", "Message", "Instance"]
    assert predicate(made, "ReactionDetail") == (
        '"reactionId" IN (SELECT "id" FROM "public"."Reaction" WHERE '
        '"messageId" IN (SELECT "id" FROM "public"."Message" WHERE "instanceId" = :id))'
    )


def test_the_order_of_the_keys_does_not_matter() -> None:
    """A grandchild may be read from the catalogue before its parent."""
    keys = [key("C", "bId", "B"), key("B", "aId", "A"), *owned_by_instance("A")]

    assert order(plan(*keys)) == order(plan(*reversed(keys))) == ["C", "B", "A", "Instance"]


def test_an_indirect_key_may_point_to_another_column() -> None:
    """The parent's column is the catalogue's, not always id."""
    made = plan(*owned_by_instance("Message"), key("Vote", "messageKey", "Message", parent_columns=("key",)))

    assert predicate(made, "Vote").startswith('"messageKey" IN (SELECT "key" FROM')


def test_a_key_to_another_column_of_the_instance_is_not_compared_with_its_id() -> None:
    """Else the rows of an instance whose NAME is our id would go, and ours would stay."""
    try:
        made = plan(key("Alias", "instanceName", "Instance", parent_columns=("name",)))
    except Refused:
        return

    assert predicate(made, "Alias") != '"instanceName" = :id'


def test_two_keys_to_the_instance_both_count() -> None:
    """Else the rows of the second one go uncounted, in one huge cascade with the Instance row."""
    try:
        made = plan(key("Forward", "fromId", "Instance"), key("Forward", "toId", "Instance"))
    except Refused:
        return

    assert '"fromId"' in predicate(made, "Forward")
    assert '"toId"' in predicate(made, "Forward")


def test_every_predicate_is_bound_to_the_id() -> None:
    """Direct, by column, indirect, and the row itself."""
    made = plan(*owned_by_instance("A"), key("B", "aId", "A"), key("C", "bId", "B"), named=("D",))

    assert len(made.tables) == 5
    assert all(table.predicate.count(":id") == 1 for table in made.tables)


def test_identifiers_are_quoted() -> None:
    """A quote in a name cannot end it."""
    made = make_plan('we"ird', [key('T"x', 'c"y', "Instance", schema='we"ird')], [], set())

    assert predicate(made, 'T"x') == '"c""y" = :id'
    assert quote('a"b') == '"a""b"'


def test_a_cycle_is_refused_with_its_name() -> None:
    """There is no leaf to begin with."""
    circle = [key("Egg", "henId", "Hen"), key("Hen", "eggId", "Egg")]

    with pytest.raises(Refused, match="cycle") as raised:
        plan(*owned_by_instance("Egg", "Hen"), *circle)

    assert "Egg" in raised.value.title
    assert "Hen" in raised.value.title


def test_a_cycle_through_the_instance_is_refused() -> None:
    """An Instance that cannot exist without its child."""
    with pytest.raises(Refused, match="cycle"):
        plan(*owned_by_instance("Plan"), key("Instance", "planId", "Plan"))


@pytest.mark.parametrize("rule", ["c", "r", "a"])
def test_a_key_to_its_own_table_is_refused(rule: str) -> None:
    """A row could pull another instance's rows along."""
    with pytest.raises(Refused, match=r'"Chat".*cycle'):
        plan(*owned_by_instance("Chat"), key("Chat", "parentId", "Chat", rule))


def test_a_mention_of_its_own_table_is_tolerated() -> None:
    """A quoted message: the database clears it."""
    made = plan(*owned_by_instance("Message"), key("Message", "quotedId", "Message", "n", nullable=True))

    assert order(made) == ["Message", "Instance"]


def test_a_circle_of_mentions_is_tolerated() -> None:
    """Either may go first."""
    made = plan(
        *owned_by_instance("A", "B"),
        key("A", "bId", "B", "n", nullable=True),
        key("B", "aId", "A", "n", nullable=True),
    )

    assert order(made)[-1] == "Instance"
    assert sorted(order(made)[:-1]) == ["A", "B"]


def test_ownership_decides_where_a_mention_closes_a_circle() -> None:
    """B cannot outlive A, A can outlive B."""
    made = plan(*owned_by_instance("A", "B"), key("B", "aId", "A", "r"), key("A", "bId", "B", "n", nullable=True))

    assert order(made) == ["B", "A", "Instance"]


def test_a_mention_goes_before_what_it_mentions() -> None:
    """So that nothing is cleared just to be deleted: Message before IntegrationSession, and however they are called."""
    pairs = [(f"{first}{number}", f"{second}{number}") for number in range(8) for first, second in ("AZ", "ZA")]
    mentions = [key(child, "itsId", parent, "n", nullable=True) for child, parent in pairs]

    at = order(plan(*owned_by_instance(*{table for pair in pairs[::2] for table in pair}), *mentions[::2]))
    other_way = order(plan(*owned_by_instance(*{table for pair in pairs[1::2] for table in pair}), *mentions[1::2]))

    assert all(at.index(child) < at.index(parent) for child, parent in pairs[::2])
    assert all(other_way.index(child) < other_way.index(parent) for child, parent in pairs[1::2])


@pytest.mark.parametrize("rule", ["d", "x"])
@pytest.mark.parametrize("parent", ["Instance", "Chat"])
def test_an_unknown_delete_rule_is_refused_with_its_names(rule: str, parent: str) -> None:
    """SET DEFAULT, and what PostgreSQL may invent."""
    with pytest.raises(Refused) as raised:
        plan(*owned_by_instance("Chat"), key("Strange", "itsId", parent, rule, nullable=True))

    assert '"Strange_itsId_fkey" of table "Strange"' in raised.value.title
    assert "delete rule" in raised.value.title


def test_an_unknown_rule_far_from_any_instance_is_none_of_our_business() -> None:
    """Another application may live in the same schema."""
    made = plan(key("Strange", "itsId", "Other", "d"))

    assert order(made) == ["Instance"]


def test_a_key_of_several_columns_is_refused() -> None:
    """One column of it alone would say too much."""
    several = key("Pair", "a", "Chat", columns=("a", "b"), parent_columns=("x", "y"))

    with pytest.raises(Refused, match="several columns"):
        plan(*owned_by_instance("Chat"), several)


@pytest.mark.parametrize("mention", [True, False])
def test_a_key_from_another_schema_is_told_apart(mention: bool) -> None:
    """Its rows are not Lethe's to erase; they are looked for before a deletion."""
    outside = key("Copy", "chatId", "Chat", "n" if mention else "c", schema="reports", nullable=mention)

    made = plan(*owned_by_instance("Chat"), outside)

    assert [owned.table for owned in made.tables] == ["Chat", "Instance"]
    assert [(each.key, each.parent.table) for each in made.outside] == [(outside, "Chat")]


def test_an_index_counts_where_the_predicate_uses_its_first_column() -> None:
    """Label's unique (labelId, instanceId) does not help."""
    leading = frozenset({("Chat", "instanceId"), ("Label", "labelId"), ("Instance", "id")})

    made = plan(*owned_by_instance("Chat", "Label"), leading=leading)

    assert {table.table: table.indexed for table in made.tables} == {"Chat": True, "Label": False, "Instance": True}


def test_rows_of_others_that_could_hang_on_ours_are_crossings() -> None:
    """The key within the tenant, not those to the Instance and not mere mentions."""
    inner = key("MessageUpdate", "messageId", "Message")
    mention = key("Message", "sessionId", "Session", "n", nullable=True)

    made = plan(*owned_by_instance("Message", "MessageUpdate", "Session"), inner, mention)

    assert [(crossing.key, crossing.child.table, crossing.parent.table) for crossing in made.crossings] == [
        (inner, "MessageUpdate", "Message")
    ]


def test_an_indirect_table_cannot_cross() -> None:
    """Its rows are ours because they hang on ours."""
    made = plan(*owned_by_instance("Message"), key("Reaction", "messageId", "Message"))

    assert made.crossings == ()
