"""The calls Lethe makes of a gateway, and what each answer means."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError

from shared.errors import Refused, TransientError, Unreachable
from shared.evolution.gateway import Gateway, PointsToLethe, Stuck, Unanswered, can_be_addressed
from tests.unit.shared.fake_http import FakeAdapter

POOL: Any = HTTPConnectionPool("gateway.invalid")  # named in urllib3's errors, never used
URL = "http://gateway.invalid:8080/base"
UNKNOWN = '{"status":404,"response":{"message":["The \\"a\\" instance does not exist"]}}'
CLOSED = '{"status":500,"response":{"message":["Error: Connection Closed"]}}'
CALLS: dict[str, Callable[[Gateway], object]] = {
    "state": lambda gateway: gateway.state("a"),
    "log_out": lambda gateway: gateway.log_out("a"),
    "drop": lambda gateway: gateway.drop("a"),
    "probe": lambda gateway: gateway.probe(),
}
MakeGateway = Callable[..., tuple[Gateway, FakeAdapter]]


@pytest.fixture
def make() -> MakeGateway:
    """Make a gateway that answers: make(404, body)."""

    def make(*answer: Any, **more: Any) -> tuple[Gateway, FakeAdapter]:
        gateway, adapter = Gateway(URL, "the-global-key", 10), FakeAdapter(*answer, **more)
        gateway._session.mount("http://", adapter)
        return gateway, adapter

    return make


@pytest.mark.parametrize("status", [200, 201, 400, 404])
def test_an_instance_that_is_not_connected_is_logged_out(make: MakeGateway, status: int) -> None:
    """Done, not connected, not known: all the same."""
    gateway, adapter = make(status, UNKNOWN)

    gateway.log_out("a")

    assert [(sent.method, sent.url) for sent in adapter.sent] == [("DELETE", f"{URL}/instance/logout/a")]


@pytest.mark.parametrize("name", ["log_out", "drop"])
def test_a_dead_socket_is_stuck(make: MakeGateway, name: str) -> None:
    """It answers the same for ever, so the caller must be able to tell."""
    gateway, _ = make(500, CLOSED)

    with pytest.raises(Stuck):
        CALLS[name](gateway)


def test_a_drop_that_wants_to_log_out_first_is_stuck(make: MakeGateway) -> None:
    """400: the name stays in its memory until it restarts."""
    gateway, _ = make(400, "{}")

    with pytest.raises(Stuck):
        gateway.drop("a")


@pytest.mark.parametrize("status", [200, 201, 404])
def test_a_name_that_is_not_in_the_memory_is_dropped(make: MakeGateway, status: int) -> None:
    """With the server's DELETE, by name."""
    gateway, adapter = make(status, UNKNOWN)

    gateway.drop("a")

    assert [(sent.method, sent.url) for sent in adapter.sent] == [("DELETE", f"{URL}/instance/delete/a")]


@pytest.mark.parametrize("name", ["log_out", "drop", "state", "probe"])
def test_another_error_of_the_server_is_tried_again(make: MakeGateway, name: str) -> None:
    """It counts, for the server can be reached; and it is not a dead socket."""
    gateway, _ = make(500, '{"status":500}')

    with pytest.raises(TransientError) as raised:
        CALLS[name](gateway)

    assert not isinstance(raised.value, Unreachable | Stuck)
    assert "500" in raised.value.title


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("name", ["log_out", "drop", "state"])
def test_a_redirect_is_not_followed_and_no_success(make: MakeGateway, name: str, status: int) -> None:
    """The global key goes nowhere else."""
    gateway, adapter = make(status)

    with pytest.raises(TransientError):
        CALLS[name](gateway)

    assert len(adapter.sent) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("name", CALLS)
def test_a_key_that_is_not_accepted_is_refused(make: MakeGateway, name: str, status: int) -> None:
    """Trying again would not help; and the key is not shown."""
    gateway, _ = make(status)

    with pytest.raises(Refused, match="global key") as raised:
        CALLS[name](gateway)

    assert "the-global-key" not in raised.value.title


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("name", CALLS)
def test_a_proxy_without_its_server_is_unreachable(make: MakeGateway, name: str, status: int) -> None:
    """As if nothing had answered."""
    gateway, _ = make(status)

    with pytest.raises(Unreachable, match=f"status {status}"):
        CALLS[name](gateway)


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError("refused"),
        requests.ConnectTimeout("slow"),
        requests.ReadTimeout("slow"),
        requests.exceptions.ChunkedEncodingError("broken off"),
        requests.exceptions.SSLError("expired"),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("name", CALLS)
def test_no_answer_is_unreachable(make: MakeGateway, name: str, failure: Exception) -> None:
    """With the gateway's URL and the kind of failure."""
    gateway, _ = make(failure=failure)

    with pytest.raises(Unreachable) as raised:
        CALLS[name](gateway)

    assert raised.value.title == f"gateway {URL} cannot be reached: {type(failure).__name__}"


NEVER_SENT = [
    requests.ConnectTimeout("slow"),
    requests.ConnectionError(MaxRetryError(POOL, "/", NewConnectionError(POOL, "refused"))),
    requests.ConnectionError(MaxRetryError(POOL, "/", NameResolutionError("host", POOL, OSError()))),
]
PERHAPS_SENT = [
    requests.ReadTimeout("slow"),
    requests.ConnectionError(ProtocolError("aborted", ConnectionResetError())),
    requests.ConnectionError(MaxRetryError(POOL, "/", ProtocolError("aborted"))),
    requests.exceptions.ChunkedEncodingError("broken off"),
    requests.ConnectionError(),
]


@pytest.mark.parametrize("failure", NEVER_SENT, ids=repr)
def test_a_request_that_was_never_sent_is_not_carried_out_later(make: MakeGateway, failure: Exception) -> None:
    """No connection was made at all."""
    gateway, _ = make(failure=failure)

    with pytest.raises(Unreachable) as raised:
        gateway.drop("a")

    assert not isinstance(raised.value, Unanswered)


@pytest.mark.parametrize("failure", PERHAPS_SENT, ids=repr)
def test_a_request_that_may_have_arrived_may_be_carried_out_later(make: MakeGateway, failure: Exception) -> None:
    """A late drop could hit a new bearer of the name, so the caller must be able to tell."""
    gateway, _ = make(failure=failure)

    with pytest.raises(Unanswered):
        gateway.drop("a")


@pytest.mark.parametrize(("status", "may_be_late"), [(502, True), (503, False), (504, True)])
def test_a_proxy_may_have_passed_a_request_on(make: MakeGateway, status: int, may_be_late: bool) -> None:
    """Unless it says that there is nobody behind it."""
    gateway, _ = make(status)

    with pytest.raises(Unreachable) as raised:
        gateway.drop("a")

    assert isinstance(raised.value, Unanswered) == may_be_late


@pytest.mark.parametrize("state", ["open", "connecting", "close"])
def test_the_state_is_what_the_server_says(make: MakeGateway, state: str) -> None:
    """Of the session in its memory."""
    gateway, _ = make(200, f'{{"instance":{{"instanceName":"a","state":"{state}"}}}}')

    assert gateway.state("a") == state


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, UNKNOWN),
        (200, '{"instance":{"instanceName":"a"}}'),
        (200, '{"instance":{"state":null}}'),
        (200, '{"instance":{"state":{}}}'),
    ],
)
def test_an_instance_without_a_session_has_no_state(make: MakeGateway, status: int, body: str) -> None:
    """Unknown, or known to the database only."""
    gateway, _ = make(status, body)

    assert gateway.state("a") is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, "404 page not found"), (404, "{}"), (404, "[]"), (200, "[]"), (200, "null"), (200, '{"instance":[]}')],
)
@pytest.mark.parametrize("name", ["state"])
def test_an_answer_of_another_server_says_nothing_about_a_session(
    make: MakeGateway, name: str, status: int, body: str
) -> None:
    """A proxy that does not know the server must not make a running session look like none."""
    gateway, _ = make(status, body)

    with pytest.raises(Unreachable, match="something else answers"):
        CALLS[name](gateway)


@pytest.mark.parametrize("body", ["", "<html>", '{"instance":'])
def test_a_state_that_is_no_json_is_tried_again(make: MakeGateway, body: str) -> None:
    """A proxy's page says nothing about a session."""
    gateway, _ = make(200, body)

    with pytest.raises(TransientError, match="not JSON"):
        gateway.state("a")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"status":500,"response":{"message":["Error: no space left"]}}', ": Error: no space left"),
        ('{"message":"Can\'t reach \\"5511987650001\\" now"}', ": Can't reach … now"),
        ("<html>", ""),
        ("[]", ""),
    ],
)
@pytest.mark.parametrize("call", ["state", "log_out", "drop"])
def test_an_error_has_the_servers_own_words(make: MakeGateway, call: str, body: str, words: str) -> None:
    """Cut, and without what is quoted in them, which may be a name."""
    gateway, _ = make(500, body)

    with pytest.raises(TransientError) as raised:
        getattr(gateway, call)("a")

    assert raised.value.title.endswith(f"answered 500{words}")


def test_a_server_that_does_not_know_a_made_up_name_passes_the_probe(make: MakeGateway) -> None:
    """A drop of a name that nobody can have: another one each time."""
    gateway, adapter = make(404, UNKNOWN)

    gateway.probe()
    gateway.probe()

    assert [sent.method for sent in adapter.sent] == ["DELETE", "DELETE"]
    assert len({sent.url for sent in adapter.sent}) == 2
    assert all(str(sent.url).startswith(f"{URL}/instance/delete/lethe-probe-") for sent in adapter.sent)


@pytest.mark.parametrize(("status", "body"), [(200, "{}"), (400, UNKNOWN), (404, "{}"), (302, "")])
def test_a_server_that_answers_a_made_up_drop_otherwise_is_none_of_evolutions(
    make: MakeGateway, status: int, body: str
) -> None:
    """It would not carry out a drop either."""
    gateway, _ = make(status, body)

    with pytest.raises(Unreachable, match="something else answers"):
        gateway.probe()


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500, 503])
@pytest.mark.parametrize("name", CALLS)
def test_an_address_that_leads_back_to_lethe_is_refused(make: MakeGateway, name: str, status: int) -> None:
    """Whatever Lethe answers there; the URL and the setting are named."""
    gateway, adapter = make(status, X_Lethe="1")

    with pytest.raises(PointsToLethe, match=f"{URL}: this address leads back to Lethe, LETHE_GATEWAYS"):
        CALLS[name](gateway)

    assert adapter.sent[0].headers["X-Lethe"]


@pytest.mark.parametrize("name", CALLS)
def test_every_call_has_the_key_a_timeout_and_no_proxy(make: MakeGateway, name: str) -> None:
    """And the connection is given up sooner than the answer."""
    gateway, adapter = make(404, UNKNOWN)

    CALLS[name](gateway)

    assert adapter.sent[0].headers["apikey"] == "the-global-key"
    assert adapter.options[0]["timeout"] == (3.0, 10)
    assert not adapter.options[0]["proxies"]
    assert not gateway._session.trust_env


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("a/b", "a%2Fb"), ("a b", "a%20b"), ("%61", "%2561"), ("a?b#c", "a%3Fb%23c"), ("../a", "..%2Fa"),
        ("🦊", "%F0%9F%A6%8A"), ("a;b=c", "a%3Bb%3Dc"), ("a//b", "a%2F%2Fb"),
    ],
)  # fmt: skip
def test_a_name_is_one_segment_of_the_path(make: MakeGateway, name: str, sent: str) -> None:
    """Encoded once, whatever is in it."""
    gateway, adapter = make(200)

    gateway.drop(name)

    assert adapter.sent[0].url == f"{URL}/instance/delete/{sent}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", " ", "a ", " a", "a\n", "\u00a0a", "a\u2003", "\x00", "a\x00b"], ids=ascii
)
def test_a_name_that_a_url_would_change_cannot_be_addressed(name: str) -> None:
    """The server would be asked for another one."""
    assert not can_be_addressed(name)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b",
        "a//b",
        "../a",
        "%61",
        "%2561",
        "%",
        "a?",
        "a#b",
        "...",
        "a b",
        "🦊",
        "n" * 255,
        "🦊" * 255,
        "a\\b",
        "~",
        "*",
    ],
    ids=lambda name: ascii(name)[:24],
)
def test_any_other_name_can_be_addressed(name: str) -> None:
    """It arrives as it is."""
    assert can_be_addressed(name)


@given(st.text(max_size=20))
def test_what_can_be_addressed_arrives_unchanged(name: str) -> None:
    """Decoded once by the server, as any server does it; surrogates are no names."""
    if not can_be_addressed(name):
        return
    gateway, adapter = Gateway(URL, "k", 1), FakeAdapter(404, UNKNOWN)
    gateway._session.mount("http://", adapter)

    gateway.state(name)

    assert unquote(str(adapter.sent[0].url).removeprefix(f"{URL}/instance/connectionState/")) == name


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ((200, '{"status":200,"clientName":"evolution_v2"}'), "evolution_v2"),
        ((200, '{"status":200}'), None),
        ((200, '{"clientName":""}'), None),
        ((200, '{"clientName":7}'), None),
        ((200, "[]"), None),
        ((200, "<html>"), None),
        ((404, "not found"), None),
        ((302, ""), None),
    ],
)
def test_a_server_tells_its_name_or_does_not(make: MakeGateway, answer: tuple[int, str], name: str | None) -> None:
    """At the base URL; what a proxy says in its place is no name."""
    gateway, adapter = make(*answer)

    assert gateway.client_name() == name
    assert [(sent.method, sent.url) for sent in adapter.sent] == [("GET", f"{URL}/")]


def test_a_server_that_is_slow_to_tell_its_name_does_not(make: MakeGateway) -> None:
    """It may ask WhatsApp first: nobody waits for long, and no deletion fails by it."""
    gateway, adapter = make(failure=requests.ReadTimeout("slow"))

    assert gateway.client_name() is None
    assert adapter.options[0]["timeout"] == (3.0, 3)
