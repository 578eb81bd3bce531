"""Who is told of a deletion, what is said, and that a receiver never stops one."""

import base64
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import jwt
import pytest
import requests
import structlog
from pydantic import SecretStr
from standardwebhooks import Webhook

from shared.evolution.rows.tenant import WebhookRow
from shared.settings import Settings
from shared.webhooks import delivery, session
from shared.webhooks import events as webhook_events
from shared.webhooks.events import Event
from tests.unit.shared.fake_http import FakeAdapter

DELETION = UUID(int=7)
KEY = "a-customers-secret-that-is-long-enough"
MakeSettings = Callable[..., Settings]
Deliver = Callable[[Event], str | None]


def row(url: str = "http://hook.invalid/x", by_events: bool = False, events: list[str] | None = None) -> WebhookRow:
    """An enabled webhook."""
    return WebhookRow(url, {"x-own": "value"}, events or [], by_events)


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> FakeAdapter:
    """Every receiver."""
    fake = FakeAdapter()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: fake)
    return fake


@pytest.fixture
def deliver(make_settings: MakeSettings) -> Deliver:
    """One try, with an answer awaited for 3 s at most."""
    return lambda sent: delivery.deliver(sent, make_settings(webhook_timeout_seconds=3))


def event(**headers: str) -> Event:
    """A webhook to be delivered."""
    return Event("the-id", "instance", "http://hook.invalid/x", headers, {"event": "INSTANCE_DELETE", "instance": "ä"})


@pytest.mark.parametrize("events", [[], ["INSTANCE_DELETE"], ["MESSAGES_UPSERT", "INSTANCE_DELETE"]])
def test_a_webhook_that_asks_for_it_is_told(make_settings: MakeSettings, events: list[str]) -> None:
    """An empty list asks for everything."""
    made = webhook_events.events_for(DELETION, "id", "name", row(events=events), make_settings())

    assert [(sent.target, sent.url) for sent in made] == [("instance", "http://hook.invalid/x")]
    assert made[0].headers == {"x-own": "value"}


@pytest.mark.parametrize("events", [["MESSAGES_UPSERT"], ["instance_delete"], ["INSTANCE_DELETED"], ["INSTANCE"]])
def test_a_webhook_that_asks_for_other_events_is_not_told(make_settings: MakeSettings, events: list[str]) -> None:
    """The event is named exactly, or not at all."""
    made = webhook_events.events_for(DELETION, "id", "name", row(events=events), make_settings())

    assert made == []


def test_without_webhooks_nobody_is_told(make_settings: MakeSettings) -> None:
    """Neither the instance's, as none is enabled, nor a global one."""
    assert webhook_events.events_for(DELETION, "id", "name", None, make_settings()) == []


@pytest.mark.parametrize(
    ("url", "by_events", "sent_to"),
    [
        ("http://hook.invalid/x", False, "http://hook.invalid/x"),
        ("http://hook.invalid/x/", False, "http://hook.invalid/x/"),
        ("http://hook.invalid/x", True, "http://hook.invalid/x/instance-delete"),
        ("http://hook.invalid/x/", True, "http://hook.invalid/x/instance-delete"),
        ("http://hook.invalid", True, "http://hook.invalid/instance-delete"),
    ],
)
def test_by_events_appends_the_event_to_the_url(
    make_settings: MakeSettings, url: str, by_events: bool, sent_to: str
) -> None:
    """Of the instance's own webhook, and of the global one."""
    own = webhook_events.events_for(DELETION, "id", "name", row(url, by_events), make_settings())
    settings = make_settings(webhook_global_url=url, webhook_global_by_events=by_events)
    everyones = webhook_events.events_for(DELETION, "id", "name", None, settings)

    assert [sent.url for sent in (*own, *everyones)] == [sent_to, sent_to]


def test_the_global_webhook_gets_no_header_of_an_instance(make_settings: MakeSettings) -> None:
    """It belongs to the operator, and gets the event whatever the instance's own webhook asks for."""
    settings = make_settings(webhook_global_url="http://all.invalid/")

    made = webhook_events.events_for(DELETION, "id", "name", row(events=["OTHER"]), settings)

    assert [(sent.target, sent.url, sent.headers) for sent in made] == [("global", "http://all.invalid/", {})]


@pytest.mark.parametrize(
    ("events", "marks"),
    [
        ([], ["remove.instance", "instance"]),
        (["INSTANCE_DELETE"], ["instance"]),
        (["REMOVE_INSTANCE", "CALL"], ["remove.instance"]),
        (["CALL"], []),
    ],
)
def test_in_the_servers_form_a_webhook_gets_what_it_asks_for(
    make_settings: MakeSettings, events: list[str], marks: list[str]
) -> None:
    """Of the two events that a server sends."""
    made = webhook_events.events_for(DELETION, "id", "name", row(events=events), make_settings(webhook_form="server"))

    assert [sent.id for sent in made] == [f"{DELETION}.{mark}" for mark in marks]


def test_in_the_servers_form_the_global_webhook_alone_is_the_destination(make_settings: MakeSettings) -> None:
    """Where the instance has none, the server names the address with the event in it."""
    settings = make_settings(webhook_global_url="http://all.invalid", webhook_form="server")

    (sent,) = webhook_events.events_for(DELETION, "id", "name", None, settings)

    assert sent.url == "http://all.invalid"
    assert sent.body["destination"] == "http://all.invalid/instance-delete"


def test_the_body_is_the_documented_one(make_settings: MakeSettings) -> None:
    """Byte for byte as JSON, for both; and each has an id of its own that stays."""
    settings = make_settings(webhook_global_url="http://all.invalid/")

    made = webhook_events.events_for(DELETION, "the-id", "a b", row(), settings)
    again = webhook_events.events_for(DELETION, "the-id", "a b", row(), settings)

    assert {json.dumps(sent.body) for sent in made} == {
        '{"event": "INSTANCE_DELETE", "instance": "a b", "data": {"instanceName": "a b", "instanceId": "the-id"}}'
    }
    assert [sent.id for sent in made] == [f"{DELETION}.instance", f"{DELETION}.global"]
    assert again == made


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_receiver_that_accepts_has_got_it(deliver: Deliver, adapter: FakeAdapter, status: int) -> None:
    """With the configured headers, the id and the body as JSON."""
    adapter.status = status

    failure = deliver(event(**{"x-own": "value"}))

    sent = adapter.sent[0]
    assert failure is None
    assert (sent.method, sent.url) == ("POST", "http://hook.invalid/x")
    assert (sent.headers["x-own"], sent.headers["webhook-id"]) == ("value", "the-id")
    assert json.loads(sent.body or "") == {"event": "INSTANCE_DELETE", "instance": "ä"}


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 410, 500, 503])
def test_a_receiver_that_does_not_accept_has_not_got_it(deliver: Deliver, adapter: FakeAdapter, status: int) -> None:
    """A redirect is not followed: the headers are meant for this address."""
    adapter.status = status

    failure = deliver(event())

    assert failure == f"status {status}"
    assert len(adapter.sent) == 1


@pytest.mark.parametrize("failure", [requests.ConnectionError("x"), requests.ReadTimeout("x"), UnicodeError("x")])
def test_a_receiver_that_cannot_be_reached_raises_nothing(
    deliver: Deliver, adapter: FakeAdapter, failure: Exception
) -> None:
    """The kind of failure is enough; its text may hold the URL."""
    adapter.failure = failure

    assert deliver(event()) == type(failure).__name__


@pytest.mark.parametrize(
    "url",
    [
        "", "nonsense", "ftp://hook.invalid/", "http://", "http://[::1", "http://hook.invalid:x/", "http:///path",
        "hook.invalid:443/x", "//hook.invalid/", "htp://hook.invalid", "http://*/", f"http://{'n' * 64}.invalid/", "?",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["instance", "global"])
def test_a_url_that_is_none_is_said_to_be_none(deliver: Deliver, url: str, target: str) -> None:
    """Whatever the customer or the operator has configured: another try would not help."""
    failure = deliver(Event("the-id", target, url, {}, {}))

    assert failure == delivery.NO_URL
    assert failure in delivery.PERMANENT_FAILURES


def test_a_header_that_cannot_be_sent_raises_nothing(deliver: Deliver, adapter: FakeAdapter) -> None:
    """A line break in a value."""
    failure = deliver(event(**{"x-own": "a\r\nInjected: b"}))

    assert failure == "InvalidHeader"
    assert adapter.sent == []


def test_a_delivery_cannot_wait_for_ever(deliver: Deliver, adapter: FakeAdapter) -> None:
    """The connection is given up sooner than the answer."""
    deliver(event())

    assert adapter.options[0]["timeout"] == (2.0, 3)


def test_a_jwt_key_becomes_a_bearer_token(deliver: Deliver, adapter: FakeAdapter) -> None:
    """HS256 over iat, exp, app and action; the key itself is not sent."""
    before = int(time.time())

    deliver(event(jwt_key=KEY, other="kept"))

    headers = adapter.sent[0].headers
    scheme, _, token = headers["Authorization"].partition(" ")
    claims = jwt.decode(token, KEY, algorithms=["HS256"])
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert before <= claims["iat"] <= time.time()
    assert claims == {"iat": claims["iat"], "exp": claims["iat"] + 600, "app": "evolution", "action": "webhook"}
    assert "jwt_key" not in headers
    assert KEY not in str(headers)
    assert headers["other"] == "kept"


def test_a_jwt_key_replaces_a_configured_authorization(deliver: Deliver, adapter: FakeAdapter) -> None:
    """There can be only one."""
    deliver(event(Authorization="Basic x", jwt_key=KEY))

    assert adapter.sent[0].headers["Authorization"].startswith("Bearer ")


def test_an_empty_jwt_key_is_no_key(deliver: Deliver, adapter: FakeAdapter) -> None:
    """Nothing is signed with it, and it is not sent."""
    deliver(event(jwt_key=""))

    assert "Authorization" not in adapter.sent[0].headers
    assert "jwt_key" not in adapter.sent[0].headers


def test_a_delivery_is_signed(deliver: Deliver, adapter: FakeAdapter, make_settings: MakeSettings) -> None:
    """As Standard Webhooks has it, over the bytes that are sent; a configured header does not replace it."""
    deliver(event(**{"webhook-signature": "v1,forged", "webhook-id": "forged"}))

    sent = adapter.sent[0]
    assert Webhook(delivery.signing_key(make_settings())).verify(sent.body or b"", dict(sent.headers))
    assert sent.headers["Content-Type"] == "application/json"


def test_the_signing_key_does_not_give_the_secret_away(make_settings: MakeSettings) -> None:
    """It is derived from it one way, and differs with it."""
    first, second = make_settings(secret_key="x" * 32), make_settings(secret_key="y" * 32)

    assert delivery.signing_key(first) == delivery.signing_key(first) != delivery.signing_key(second)
    assert "x" * 8 not in delivery.signing_key(first)
    assert base64.b64encode(b"x" * 32).decode() not in delivery.signing_key(first)


def test_a_key_of_its_own_signs(make_settings: MakeSettings) -> None:
    """Where receivers know one already."""
    settings = make_settings().model_copy(update={"webhook_key": SecretStr(f"whsec_{'A' * 44}")})

    assert delivery.signing_key(settings) == f"whsec_{'A' * 44}"


def test_a_jwt_key_that_cannot_sign_raises_nothing(deliver: Deliver, adapter: FakeAdapter) -> None:
    """A public key that a customer has pasted must not fail the deletion."""
    key = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"

    assert deliver(event(jwt_key=key))


INSIDE = [
    "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://0/",
    "http://localhost/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/",
    "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://[fd00::1]/",
    "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://224.0.0.1/", "https://127.0.0.1:8443/",
    "http://[fec0::1]/", "http://[::127.0.0.1]/", "http://[::7f00:1]/", "http://127.0.0.1:80:80@127.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_a_customers_webhook_never_leads_inside(deliver: Deliver, url: str) -> None:
    """Whichever way the address is written; and the answer does not say what is there."""
    assert deliver(replace(event(), url=url)) == delivery.NOT_ALLOWED


@dataclass
class Network:
    """Names that lead to addresses, one after the other, the last one for ever; where was connected to is kept."""

    names: dict[str, list[str]] = field(default_factory=dict)
    called: list[tuple[str, int]] = field(default_factory=list)

    def look_up(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """As the system's resolver."""
        answers = self.names.get(host, [host])
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(self, address: Any) -> None:
        """Nobody listens anywhere."""
        self.called.append(address[:2])
        raise ConnectionRefusedError


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """In place of the real one."""
    made = Network()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: made.connect(address))
    return made


def test_a_name_is_looked_up_once_and_that_address_is_called(deliver: Deliver, network: Network) -> None:
    """A name that leads elsewhere at the second look gains nothing."""
    network.names["rebinding.example"] = ["93.184.216.34", "127.0.0.1"]

    assert deliver(replace(event(), url="http://rebinding.example/")) == "ConnectionError"
    assert {address for address, _ in network.called} == {"93.184.216.34"}


OPENED = ("127.0.0.1", "10.1.0.0/16", "172.16.0.0/12", "fd00:1::/32", "hooks.internal")


@pytest.mark.parametrize(
    ("url", "leads_to", "called"),
    [
        ("http://127.0.0.1/", "127.0.0.1", True),
        ("http://10.1.2.3/", "10.1.2.3", True),
        ("http://10.2.0.1/", "10.2.0.1", False),
        ("http://[fd00:1::5]/", "fd00:1::5", True),
        ("http://[::1]/", "::1", False),
        ("http://Hooks.Internal/", "10.9.9.9", True),
        ("http://hooks.internal.example/", "10.9.9.9", False),
        ("http://n8n:5678/", "172.18.0.5", True),
        ("https://n8n:5678/", "172.18.0.5", True),
        ("http://n8n:5678/", "::ffff:172.18.0.5", True),
        ("http://n8n:5678/", "192.168.1.5", False),
        ("http://outside.example/", "93.184.216.34", True),
    ],
)
def test_an_operator_can_open_hosts_and_networks(
    make_settings: MakeSettings, network: Network, url: str, leads_to: str, called: bool
) -> None:
    """A host by its name, a network by the address that is connected to, however the host is written."""
    network.names = {name: [leads_to] for name in ("n8n", "outside.example", "hooks.internal", "Hooks.Internal")}
    network.names["hooks.internal.example"] = [leads_to]

    failure = delivery.deliver(replace(event(), url=url), make_settings(webhook_allow=OPENED))

    assert failure == ("ConnectionError" if called else delivery.NOT_ALLOWED)
    assert {address for address, _ in network.called} == ({leads_to.removeprefix("::ffff:")} if called else set())


@pytest.mark.parametrize(
    "at", ["\\", "%5C", "/", "?", "#", "\t", "\n", "\r", " ", "\x00", "\x7f", "\x85", "[", "@", "｠", ":@"]
)
@pytest.mark.parametrize("url", ["http://127.0.0.1:9{}@hooks.internal/x", "http://hooks.internal{}@127.0.0.1:9/x"])
def test_no_spelling_of_an_opened_host_leads_to_another_one(
    make_settings: MakeSettings, network: Network, url: str, at: str
) -> None:
    """The host that is compared is the one that is connected to, whatever another parser would make of the URL."""
    network.names["hooks.internal"] = ["10.9.9.9"]

    delivery.deliver(replace(event(), url=url.format(at)), make_settings(webhook_allow=("hooks.internal",)))

    assert {address for address, _ in network.called} <= {"10.9.9.9"}


@pytest.mark.parametrize("host", ["http://hook.invalid/{}", "http://{}hook.invalid/", "http://hook{}.invalid/"])
@pytest.mark.parametrize("character", ["\\", "\x00", "\t", "\n", "\r", "\x1f", "\x7f", "\x85"])
@pytest.mark.parametrize("target", ["instance", "global"])
def test_a_url_with_a_backslash_or_a_control_character_is_none(
    deliver: Deliver, adapter: FakeAdapter, host: str, character: str, target: str
) -> None:
    """Parsers disagree about them."""
    assert deliver(Event("the-id", target, host.format(character), {}, {})) == delivery.NO_URL
    assert adapter.sent == []


def test_an_opened_host_is_looked_up_once(make_settings: MakeSettings, network: Network) -> None:
    """The address that was found is the one that is called."""
    network.names["hooks.internal"] = ["10.9.9.9", "10.0.0.1"]

    delivery.deliver(replace(event(), url="http://hooks.internal/"), make_settings(webhook_allow=("hooks.internal",)))

    assert set(network.called) == {("10.9.9.9", 80)}


@pytest.mark.parametrize("target", ["instance", "global"])
@pytest.mark.parametrize(
    ("userinfo", "sent_as"), [("user:pass", "user:pass"), ("us%40er:p%3Ass", "us@er:p:ss"), ("é:ü", "é:ü"), ("u", "u:")]
)
def test_userinfo_goes_on_as_basic_authentication(
    deliver: Deliver, adapter: FakeAdapter, userinfo: str, sent_as: str, target: str
) -> None:
    """In UTF-8, as Evolution sends it, and not in the URL."""
    deliver(Event("the-id", target, f"http://{userinfo}@hook.invalid/x", {}, {}))

    (sent,) = adapter.sent
    scheme, _, encoded = sent.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", sent_as)
    assert sent.url == "http://hook.invalid/x"


def test_userinfo_is_in_no_log(make_settings: MakeSettings, caplog: pytest.LogCaptureFixture) -> None:
    """Nor in the error, which is stored and shown."""
    with caplog.at_level("DEBUG"), structlog.testing.capture_logs() as lines:
        errors = [
            delivery.deliver(replace(event(), url=f"http://user:secret@{host}/"), make_settings())
            for host in ("127.0.0.1", "hook.invalid", "[::1", "93.184.216.34:x")
        ]

    assert "secret" not in f"{errors}{lines}{caplog.text}"


def test_a_name_in_an_opened_network_is_looked_up_once(make_settings: MakeSettings, network: Network) -> None:
    """That it leads elsewhere at the second look gains nothing there either."""
    network.names["n8n"] = ["172.18.0.5", "10.0.0.1"]

    delivery.deliver(replace(event(), url="http://n8n:5678/"), make_settings(webhook_allow=("172.16.0.0/12",)))

    assert set(network.called) == {("172.18.0.5", 5678)}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_opened_receiver_is_called_by_its_own_name(network: Network, scheme: str) -> None:
    """In the Host header, and in TLS for the certificate."""
    network.names["n8n"] = ["172.18.0.5"]
    sent = replace(event(), url=f"{scheme}://n8n:5678/")
    request = requests.Request("POST", sent.url).prepare()
    adapter = session.restricted(("172.16.0.0/12",)).get_adapter(sent.url)

    host, pool = adapter.build_connection_pool_key_attributes(request, True)  # type: ignore[attr-defined]

    assert (host["host"], host["port"], request.headers["Host"]) == ("172.18.0.5", 5678, "n8n:5678")
    names = {pool.get("assert_hostname"), pool.get("server_hostname")}
    assert names == ({"n8n"} if scheme == "https" else {None})


def test_the_operators_own_receiver_may_be_inside(adapter: FakeAdapter, deliver: Deliver) -> None:
    """Its URL is a setting, and no customer's."""
    sent = replace(event(), target="global", url="http://127.0.0.1/")

    assert deliver(sent) is None
