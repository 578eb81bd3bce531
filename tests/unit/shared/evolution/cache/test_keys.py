"""Whose key is it? Taken apart, never guessed from a pattern."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.evolution.cache import keys as cache_keys
from tests.unit.shared.evolution.cache.redis_glob import matches
from tests.unit.shared.evolution.names import NAMES, shown

PREFIX = "evolution-cache"
JID = "4915112345@s.whatsapp.net"
SUFFIXES = ["getProvider", "getInbox", f"createConversation-{JID}", f"lock:createConversation-{JID}"]
# Few letters, so that two of them often nearly match.
NASTY = st.text(alphabet="ab*?[]\\^-: _", max_size=6)


def key(name: str, suffix: str = "getInbox", module: str = "ut") -> str:
    """A by-name key of Evolution's Chatwoot cache."""
    return f"{PREFIX}:{module}:{name}:{suffix}"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", NAMES, ids=shown)
def test_a_key_is_explained_by_the_name_it_was_written_for(name: str, suffix: str) -> None:
    """Whatever the name holds, and whatever the module is called."""
    explained = cache_keys.possible_names(PREFIX, key(name, suffix))

    assert name in explained


@pytest.mark.parametrize("name", NAMES, ids=shown)
def test_a_simple_key_is_explained_by_one_name_only(name: str) -> None:
    """None of the colliding names takes the inbox of another."""
    explained = cache_keys.possible_names(PREFIX, key(name))

    assert explained == {name}


def test_a_key_that_two_names_could_have_written_is_explained_by_both() -> None:
    """`a` may have locked, or `a:lock` may have created."""
    explained = cache_keys.possible_names(PREFIX, key("a", f"lock:createConversation-{JID}"))

    assert explained == {"a", "a:lock"}


def test_a_suffix_may_be_part_of_an_open_one() -> None:
    """createConversation- takes anything, so `a` and a longer name explain the same key."""
    explained = cache_keys.possible_names(PREFIX, key("a", "createConversation-x:getInbox"))

    assert explained == {"a", "a:createConversation-x"}


@pytest.mark.parametrize(
    "foreign",
    [
        f"{PREFIX}:instance:a:getInbox",
        f"{PREFIX}:baileys:a:getInbox",
        f"{PREFIX}:groups:a:getInbox",
        f"{PREFIX}::a:getInbox",
        f"{PREFIX}:ut:a:getInboxes",
        f"{PREFIX}:ut:a:get",
        f"{PREFIX}:ut:a:lock",
        f"{PREFIX}:ut:a:createConversation",
        f"{PREFIX}:ut:a",
        f"{PREFIX}:ut",
        f"{PREFIX}:",
        PREFIX,
        "",
        "other-cache:ut:a:getInbox",
        f"{PREFIX}2:ut:a:getInbox",
        f"x{PREFIX}:ut:a:getInbox",
        f"{PREFIX}:chatwoot:syncLostMessages",
    ],
)
def test_a_key_of_another_form_is_nobodys(foreign: str) -> None:
    """Another module, suffix or prefix: no name explains it."""
    explained = cache_keys.possible_names(PREFIX, foreign)

    assert explained == set()


def test_a_module_has_no_colon() -> None:
    """`x:a`'s key is not `a`'s, though a pattern proposes it for both."""
    explained = cache_keys.possible_names(PREFIX, key("x:a"))

    assert "a" not in explained


@given(name=NASTY, suffix=st.sampled_from(SUFFIXES), module=st.sampled_from(["ut", "ChatwootService"]))
def test_any_name_explains_its_own_keys(name: str, suffix: str, module: str) -> None:
    """Also one that looks like a pattern, a path or a key."""
    explained = cache_keys.possible_names(PREFIX, key(name, suffix, module))

    assert name in explained


@given(st.text())
def test_taking_a_key_apart_never_raises(text: str) -> None:
    """And each id and name that a key names could have written it."""
    explained = cache_keys.possible_names(PREFIX, f"{PREFIX}:{text}")

    assert all(f":{name}:" in f":{text}" for name in explained)


@given(literal=NASTY, other=NASTY)
@example(literal="a*", other="ab")
@example(literal="a?", other="ab")
@example(literal="[a]", other="a")
@example(literal="[^a]", other="b")
@example(literal="[a-c]", other="b")
@example(literal="\\a", other="a")
@example(literal="a\\", other="a\\")
def test_an_escaped_text_matches_itself_and_nothing_else(literal: str, other: str) -> None:
    """Redis reads the pattern as the text it was made from."""
    pattern = cache_keys.escape(literal).encode()

    assert matches(pattern, literal.encode())
    assert matches(pattern, other.encode()) == (other == literal)


@given(st.text())
def test_any_text_can_be_escaped(literal: str) -> None:
    """Unicode too, byte for byte."""
    text = literal.encode(errors="surrogatepass")

    assert matches(cache_keys.escape(literal).encode(errors="surrogatepass"), text)


@pytest.mark.parametrize("rest", ["3EB0", "3EB0_READ", "3EB0_a_b_c", "_", ""])
@pytest.mark.parametrize("instance_id", ["0b1c-4d", "with_underscore", "_", "*", "a:b", "protocols", "12_3"])
def test_a_message_is_explained_by_its_instance(instance_id: str, rest: str) -> None:
    """Whatever follows the id, which may hold the separator itself."""
    explained = cache_keys.possible_ids(PREFIX, f"{PREFIX}:baileys:{instance_id}_{rest}")

    assert instance_id in explained


@pytest.mark.parametrize(
    ("rest", "owners"), [("a_b", {"a"}), ("a_b_c", {"a", "a_b"}), ("a_b_c_d", {"a", "a_b", "a_b_c"})]
)
def test_the_longer_id_explains_the_key_as_well(rest: str, owners: set[str]) -> None:
    """`a` and `a_b` could both have written it: it depends on which instances exist."""
    explained = cache_keys.possible_ids(PREFIX, f"{PREFIX}:baileys:{rest}")

    assert explained == owners


@pytest.mark.parametrize(
    "foreign",
    [
        f"{PREFIX}:baileys:a",
        f"{PREFIX}:baileys:",
        f"{PREFIX}:groups:a_b_c",
        f"{PREFIX}:baileys2:a_b_c",
        "other:baileys:a_b_c",
    ],
)
def test_a_key_without_a_message_is_nobodys(foreign: str) -> None:
    """<id>_<message>, in the baileys module, under this prefix."""
    explained = cache_keys.possible_ids(PREFIX, foreign)

    assert explained == set()


@pytest.mark.parametrize(
    "rest",
    [
        "protocol_3EB0",
        "protocol_3EB0_READ",
        "protocol_",
        "5511900000001@s.whatsapp.net_3EB0",
        "5511900000001@s.whatsapp.net_3EB0_READ",
        "5511900000001:12@s.whatsapp.net_3EB0",
        "5511900000001_1:12@s.whatsapp.net_3EB0",
        "120363000000000001@g.us_3EB0",
        "5511900000001-1600000000@g.us_3EB0",
        "123456789@lid_3EB0",
        "status@broadcast_3EB0",
        "120363000000000001@newsletter_3EB0",
    ],
)
def test_what_belongs_to_no_instance_is_explained_by_no_id(rest: str) -> None:
    """Not even by an id that is `protocol`, or a jid: its keys look like those of all instances."""
    explained = cache_keys.possible_ids(PREFIX, f"{PREFIX}:baileys:{rest}")

    assert explained == set()


def test_a_jid_after_the_id_does_not_make_a_key_that_of_all_instances() -> None:
    """The id comes first."""
    explained = cache_keys.possible_ids(PREFIX, f"{PREFIX}:baileys:{UUID}_5511900000001@s.whatsapp.net_3EB0")

    assert UUID in explained


@pytest.mark.parametrize("broken", ["\x00", "\udcff"])
def test_what_no_database_holds_is_nobodys_id_or_name(broken: str) -> None:
    """A byte that is no UTF-8 in a key leaves the owners that can be asked for."""
    ids = cache_keys.possible_ids(PREFIX, f"{PREFIX}:baileys:a_{broken}_READ")
    names = cache_keys.possible_names(PREFIX, key("a", f"createConversation-{broken}:getInbox"))

    assert (ids, names) == ({"a"}, {"a"})


UUID = "3f0c0000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        (f"p:instance:{UUID}", UUID),
        (f"p:baileys:{UUID}_3EB0_READ", UUID),
        (f"p:baileys:{UUID}_3EB0", UUID),
        (f"p:baileys:{UUID}", None),
        ("p:baileys:protocol_3EB0", None),
        (f"p:baileys:{UUID}x_3EB0_READ", None),
        ("p:baileys:5511900000001@s.whatsapp.net_3EB0_READ", None),
        ("p:instance:support", None),
        (f"p:instance:{UUID.upper()}", None),
        (f"p:instance:{UUID}:x", None),
        (f"p:ChatwootService:{UUID}:getInbox", None),
        (f"pp:instance:{UUID}", None),
        (f"p:groups:{UUID}_a_b", None),
    ],
)
def test_a_key_by_id_names_an_id_of_an_instances_form(key: str, owner: str | None) -> None:
    """What only looks like one is nobody's."""
    assert cache_keys.id_in("p", key) == owner


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("p:instance:support", "support"),
        ("p:instance:a:b", "a:b"),
        ("p:instance:", ""),
        (f"p:instance:{UUID}", None),
        (f"p:instance:{UUID}:more", None),
        ("p:instance:\udcff", None),
        ("p:ut:a:getInbox", "a"),
        ("p:ut:a:b:getProvider", "a:b"),
        ("p:ut:a:lock:createConversation-1", "a"),
        (f"p:ut:{UUID}:getInbox", UUID),
        ("p:ut:\udcff:getInbox", None),
        ("p:baileys:a_b", None),
        ("p:groups:a", None),
        ("p:chatwoot:syncLostMessages", None),
        ("pp:instance:a", None),
    ],
)
def test_a_key_by_name_names_the_shortest_that_could_have_written_it(key: str, name: str | None) -> None:
    """What is kept by an id, or has another form, has no name."""
    assert cache_keys.name_in("p", key) == name


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("p:chatwoot:syncLostMessages", True),
        ("p:ChatwootService:chatwoot:syncLostMessages", True),
        ("p:ut:chatwoot:syncLostMessages", True),
        ("p:instance:chatwoot:syncLostMessages", False),
        ("p:a:b:chatwoot:syncLostMessages", False),
        ("p:ut:chatwoot:syncLostMessages:getInbox", False),
        ("p:utchatwoot:syncLostMessages", False),
        ("p::chatwoot:syncLostMessages", False),
        ("p:\udcff:chatwoot:syncLostMessages", False),
        ("pp:chatwoot:syncLostMessages", False),
    ],
)
def test_the_lost_messages_are_kept_with_and_without_a_module(key: str, is_one: bool) -> None:
    """A session may be called so, of an instance with that name."""
    assert cache_keys.is_lost_messages("p", key) is is_one
