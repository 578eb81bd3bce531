"""The console refuses what the API refuses, and forms that are not its own; it works without its script."""

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from itsdangerous import URLSafeTimedSerializer

from demo.evolution.seed import seed_instance
from shared.access.api_keys import hash_key
from shared.audit import chain
from shared.audit import search as audit_search
from shared.audit.entries import Action, Decision, Entry
from shared.audit.search import Filters
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.deletions.lifecycle import Requester
from shared.services import Services
from tests.integration.console.visitor import Visitor, signed_in
from tests.integration.inline import accept, run_all, run_steps
from tests.integration.keyring import enroll, make_key, rotate, wrong_for
from tests.system import ADMIN_KEY, System


@pytest.fixture
def services(system: System) -> Iterator[Services]:
    """Services on the system."""
    made = system.make_services()
    yield made
    made.close()


def lines(services: Services, **wanted: object) -> list[tuple[str, str, str | None]]:
    """Action, decision and key of the newest lines of the audit."""
    found = audit_search.search(services.own, Filters(**wanted)).lines  # type: ignore[arg-type]
    return [(line.action, line.decision, line.key_id) for line in found]


def deletions_of(services: Services, instance_id: str) -> list[str]:
    """The status of each deletion of the instance."""
    with services.own.connect() as connection:
        found = connection.exec_driver_sql("SELECT status FROM deletions WHERE instance_id = %s", (instance_id,))
        return list(found.scalars())


def test_a_form_without_its_token_is_refused(system: System, services: Services) -> None:
    """Nothing is deleted, whatever else is right; neither is one with the token of another session."""
    instance = seed_instance(system.deployment, "forged")
    visitor, path = signed_in(system), f"/instances/{instance.id}/delete"
    other = signed_in(system).token("/deletions")

    answers = [visitor.send(path, typed="forged"), visitor.send(path, typed="forged", csrf_token=other)]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert deletions_of(services, instance.id) == []
    assert lines(services, instance_id=instance.id) == []
    assert lines(services)[0] == ("delete", "refused", "bootstrap")


def test_the_cookie_is_no_key_to_the_api(system: System, services: Services) -> None:
    """The API reads its header alone, so no foreign page can use a session for it."""
    visitor = signed_in(system)

    answer = visitor.session.get(f"{system.url}/deletions", timeout=10)

    assert answer.status_code == 401


def test_a_viewer_who_sends_the_form_by_hand_is_refused(system: System, services: Services) -> None:
    """And that is a line of the audit; what it was about is not told."""
    instance = seed_instance(system.deployment, "not yours to delete")
    key = make_key(services, Role.VIEWER)
    visitor = signed_in(system, key.key)

    ordered = visitor.post(f"/instances/{instance.id}/delete", typed=instance.name)
    unknown = visitor.post(f"/instances/{uuid4()}/delete", typed="x")

    assert (ordered.status_code, unknown.status_code) == (401, 401)
    assert re.sub(r'value="[^"]*"', "", ordered.text) == re.sub(r'value="[^"]*"', "", unknown.text)
    assert deletions_of(services, instance.id) == []
    assert lines(services, key_id=key.id)[:2] == [("delete", "refused", key.id)] * 2


def test_a_limited_key_sees_its_instances_alone(system: System, services: Services) -> None:
    """Others are neither listed, nor shown, nor deleted, and no audit is theirs."""
    own = seed_instance(system.deployment, "limited to this")
    other = seed_instance(system.deployment, "not to this")
    visitor = signed_in(system, make_key(services, Role.ADMIN, instances=[own.name]).key)

    listed = visitor.get("/").text
    refused = [visitor.get(path).status_code for path in (f"/instances/{other.id}", f"/instances/{uuid4()}", "/audit")]
    ordered = visitor.post(f"/instances/{other.id}/delete", typed=other.name)

    assert (own.name in listed, other.name in listed) == (True, False)
    assert refused == [401, 401, 401]
    assert ordered.status_code == 401
    assert visitor.get(f"/instances/{own.id}").status_code == 200


def test_the_name_is_checked_by_the_server_too(system: System, services: Services) -> None:
    """Without the script the button is on; only the exact name deletes."""
    instance = seed_instance(system.deployment, "exactly this")
    visitor, path = signed_in(system), f"/instances/{instance.id}/delete"

    wrong = [visitor.post(path, typed=typed).status_code for typed in ("", "exactly", "exactly this ", instance.id)]
    before = deletions_of(services, instance.id)
    right = visitor.post(path, typed="exactly this")

    assert (wrong, before) == ([400] * 4, [])
    assert right.status_code == 303
    assert deletions_of(services, instance.id) == ["queued"]
    assert lines(services, instance_id=instance.id)[0] == ("delete", "accepted", "bootstrap")


def test_a_mistyped_name_is_asked_for_again(system: System, services: Services) -> None:
    """On a page with the reason, the same form with the focus in its field, and a way back; the audit has a line."""
    instance = seed_instance(system.deployment, "not <quite>")
    visitor, path = signed_in(system), f"/instances/{instance.id}/delete"
    token = token_on(visitor.get(path).text)

    answer = visitor.post(path, typed="not quite", confirmation_token=token)

    (field,) = re.findall('<input id="typed"[^>]*>', answer.text)
    assert answer.status_code == 400
    assert "autofocus" in field
    assert 'aria-describedby="wrong match"' in field
    assert 'id="wrong" role="alert"' in answer.text
    assert f'action="/console{path}"' in answer.text
    assert f'href="/console{path}"' in answer.text
    assert token_on(answer.text) == token
    assert (instance.name in answer.text, "not &lt;quite&gt;" in answer.text) == (False, True)
    assert lines(services, instance_id=instance.id)[0] == ("delete", "refused", "bootstrap")


def test_a_name_that_cannot_be_typed_is_confirmed_by_the_id(system: System, services: Services) -> None:
    """A space at its end is lost in a browser's eyes."""
    instance = seed_instance(system.deployment, "trailing ")

    answer = signed_in(system).post(f"/instances/{instance.id}/delete", typed=instance.id)

    assert answer.status_code == 303
    assert deletions_of(services, instance.id) == ["queued"]


def test_what_has_not_begun_is_cancelled_and_ordered_anew(system: System, services: Services) -> None:
    """The page offers it while it can be done; twice is refused, and leads to the deletion."""
    instance = seed_instance(system.deployment, "second thoughts")
    visitor = signed_in(system)
    where = visitor.post(f"/instances/{instance.id}/delete", typed=instance.name).headers["Location"]
    path = where.removeprefix("/console")

    again = visitor.post(f"/instances/{instance.id}/delete", typed=instance.name)
    previewed = visitor.get(f"/instances/{instance.id}/delete")
    offered = visitor.get(path).text
    cancelled = visitor.post(f"{path}/cancel")
    twice = visitor.post(f"{path}/cancel")

    assert previewed.url.endswith(where)  # there is nothing more to preview
    assert "Cancel the deletion" in offered
    assert 'http-equiv="refresh"' in offered  # without a script it loads itself anew
    assert (again.status_code, where in again.text) == (409, True)
    assert (cancelled.status_code, twice.status_code) == (303, 409)
    assert "Cancelled: the instance stays as it was." in visitor.get(path).text
    assert "refresh" not in visitor.get(path).text


def test_what_waits_for_a_server_before_it_begins_is_cancelled(system: System, services: Services) -> None:
    """As over the API: nothing was done, though a worker has tried."""
    instance = seed_instance(system.deployment, "waits first")
    deletion_id, visitor = accept(services, instance.id, instance.name), signed_in(system)
    system.gateways[0].stop()
    run_steps(services, deletion_id, "logout")
    system.gateways[0].start()

    offered = visitor.get(f"/deletions/{deletion_id}").text
    cancelled = visitor.post(f"/deletions/{deletion_id}/cancel")

    assert ("Cancel the deletion" in offered, cancelled.status_code) == (True, 303)
    assert deletions_of(services, instance.id) == ["cancelled"]


def test_a_failed_one_says_why_and_goes_on(system: System, services: Services) -> None:
    """For those who may retry."""
    instance = seed_instance(system.deployment, "failed half-way")
    deletion_id = accept(services, instance.id, instance.name)
    with services.own.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE deletions SET status = 'failed', failed_step = 'logout', reason = 'no <luck>' WHERE id = %s",
            (deletion_id,),
        )
    viewer, admin = signed_in(system, make_key(services, Role.VIEWER).key), signed_in(system)
    path = f"/deletions/{deletion_id}"

    seen, listed = viewer.get(path).text, admin.get("/deletions?status=failed").text
    refused, accepted = viewer.post(f"{path}/retry"), admin.post(f"{path}/retry")

    assert "no &lt;luck&gt;" in seen
    assert "Resume now" not in seen
    assert (instance.name in listed, "no &lt;luck&gt;" in listed) == (True, True)
    assert (refused.status_code, accepted.status_code) == (401, 303)
    assert deletions_of(services, instance.id) == ["queued"]


def token_on(page: str) -> str:
    """The confirmation token that a preview carries."""
    (found,) = re.findall(r'name="confirmation_token" value="([^"]+)"', page)
    return str(found)


def test_a_demanded_token_comes_with_the_preview(make_system: Callable[..., System]) -> None:
    """Of this key and instance; a failed deletion that left the instance whole is confirmed again, by its preview."""
    system = make_system(confirmation="token")
    system.start("web")
    services = system.make_services()
    first, second = (seed_instance(system.deployment, name) for name in ("first", "second"))
    visitor, path = signed_in(system), f"/instances/{first.id}/delete"
    foreign = token_on(visitor.get(f"/instances/{second.id}/delete").text)
    token = token_on(visitor.get(path).text)

    refused = [visitor.post(path, typed="first", **fields) for fields in ({}, {"confirmation_token": foreign})]
    visitor.session.headers["Accept-Language"] = "pt-BR"
    in_portuguese = visitor.post(path, typed="first", confirmation_token=foreign)
    del visitor.session.headers["Accept-Language"]
    in_a_header = visitor.session.post(
        f"{system.url}/console{path}",
        data={"csrf_token": visitor.token("/deletions"), "typed": "first"},
        headers={"X-Confirmation-Token": token},
        timeout=30,
    )
    accepted = visitor.post(path, typed="first", confirmation_token=token)
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed', failed_step = 'logout', reason = 'x'")
    where = accepted.headers["Location"].removeprefix("/console")
    failed, unconfirmed = visitor.get(where).text, visitor.post(f"{where}/retry")
    resumed = visitor.post(path, typed="first", confirmation_token=token_on(visitor.get(path).text))

    assert [answer.status_code for answer in (*refused, in_a_header)] == [428] * 3
    assert "Load the preview again" in refused[1].text
    assert "O token de confirmação não é desta chave e instância. Carregue a prévia de novo" in in_portuguese.text
    assert accepted.status_code == 303
    assert f'href="/console{path}"' in failed
    assert unconfirmed.status_code == 428
    assert resumed.headers["Location"] == accepted.headers["Location"]
    assert deletions_of(services, first.id) == ["queued"]
    services.close()
    system.close()


def test_a_demanded_code_is_asked_for(make_system: Callable[..., System]) -> None:
    """Of a key that has codes; a wrong one deletes nothing."""
    system = make_system(confirmation="totp")
    system.start("web")
    services = system.make_services()
    instance, key = seed_instance(system.deployment, "coded"), make_key(services, Role.ADMIN)
    codes = enroll(services, key)
    visitor, path = signed_in(system, key.key), f"/instances/{instance.id}/delete"

    asked = visitor.get(path).text
    wrong = visitor.post(path, typed="coded", confirmation_code=wrong_for(codes, time.time()))
    right = visitor.post(path, typed="coded", confirmation_code=codes.now())

    assert "One-time code of this key" in asked
    assert (wrong.status_code, right.status_code) == (428, 303)
    assert deletions_of(services, instance.id) == ["queued"]
    services.close()
    system.close()


def test_who_asked_and_how_it_was_confirmed_is_shown(make_system: Callable[..., System]) -> None:
    """The key by its name and role, to those who may see everything; to others the role alone."""
    system = make_system(confirmation="token")
    system.start("web")
    services = system.make_services()
    instance, key = seed_instance(system.deployment, "asked for"), make_key(services, Role.ADMIN)
    visitor, path = signed_in(system, key.key), f"/instances/{instance.id}/delete"
    limited = signed_in(system, make_key(services, Role.VIEWER, instances=[instance.name]).key)
    where = (
        visitor.post(path, typed="asked for", confirmation_token=token_on(visitor.get(path).text))
        .headers["Location"]
        .removeprefix("/console")
    )
    by_itself = seed_instance(system.deployment, "by itself")
    own = accept(services, by_itself.id, by_itself.name, Requester("instance", "abc", "0" * 64))

    shown, told_little = text_of(visitor.get(where).text), text_of(limited.get(where).text)

    assert f"Requested by admin, key {key.id} 'admin'" in shown
    assert re.search(r"Confirmed with the token of a preview, \d{4}-", shown)
    assert "The audit lines of this deletion" in shown
    assert "Requested by admin Confirmed" in told_little
    assert key.id not in told_little
    assert "Requested by the instance's token" in text_of(visitor.get(f"/deletions/{own}").text)
    services.close()
    system.close()


def text_of(page: str) -> str:
    """What a page says, in one line."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


def stop_at_gateway(services: Services, deletion_id: UUID, url: str) -> None:
    """As if it had waited for a gateway since noon."""
    with services.own.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE deletions SET status = 'waiting', waiting_since = '2026-11-25 12:00Z',"
            " next_attempt_at = '2026-11-25 12:30Z', reason = %s WHERE id = %s",
            (f"gateway {url} cannot be reached", deletion_id),
        )


def test_a_waiting_one_says_why_since_when_and_what_comes_next(system: System, services: Services) -> None:
    """The next try, and when it would fail."""
    instance = seed_instance(system.deployment, "waiting")
    deletion_id = accept(services, instance.id, instance.name)
    stop_at_gateway(services, deletion_id, system.gateways[0].url)

    shown = text_of(signed_in(system).get(f"/deletions/{deletion_id}").text)

    assert f"Why: gateway {system.gateways[0].url} cannot be reached" in shown
    assert "next at 2026-11-25 12:30:00 UTC. If it makes no progress until 2026-11-26 12:00:00 UTC, it fails" in shown
    assert "Waiting since 2026-11-25 12:00:00 UTC Next try 2026-11-25 12:30:00 UTC" in shown


def test_one_that_fails_by_itself_says_how_often_it_may(system: System, services: Services) -> None:
    """Which is long before the day that it may wait for what is away."""
    instance = seed_instance(system.deployment, "failing")
    deletion_id = accept(services, instance.id, instance.name)
    stop_at_gateway(services, deletion_id, system.gateways[0].url)
    page = f"/deletions/{deletion_id}"
    assert "in a row" not in text_of(signed_in(system).get(page).text)

    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET failures = 3 WHERE id = %s", (deletion_id,))

    shown = text_of(signed_in(system).get(page).text)
    assert "It fails earlier if the step fails 5 times in a row; so far: 3." in shown


def test_an_admin_gives_up_a_gateway_that_is_gone_for_good(system: System, services: Services) -> None:
    """By ticking its box below what follows from it; nobody else may, nor without the box or the form's token."""
    instance, url = seed_instance(system.deployment, "dead gateway"), system.gateways[0].url
    deletion_id = accept(services, instance.id, instance.name)
    stop_at_gateway(services, deletion_id, url)
    admin, viewer = signed_in(system), signed_in(system, make_key(services, Role.VIEWER).key)
    limited = signed_in(system, make_key(services, Role.ADMIN, instances=[instance.name]).key)
    page, path = f"/deletions/{deletion_id}", f"/deletions/{deletion_id}/gateways/1/give-up"

    offered = [f'href="/console{path}"' in visitor.get(page).text for visitor in (admin, viewer, limited)]
    asked = admin.get(path)
    refused = [visitor.post(path, gone=url).status_code for visitor in (viewer, limited)]
    refused += [admin.send(path, gone=url).status_code]
    refused += [admin.post(path, **fields).status_code for fields in ({}, {"gone": "http://another:1"})]
    missing = admin.get(f"/deletions/{deletion_id}/gateways/2/give-up").status_code
    before = deletions_of(services, instance.id)
    done, twice = admin.post(path, gone=url), admin.post(path, gone=url)

    assert offered == [True, False, False]
    assert "The instance is not logged out at that server" in asked.text
    assert (refused, missing) == ([401, 401, 400, 400, 400], 404)
    assert before == ["waiting"]
    assert (done.status_code, twice.status_code) == (303, 409)
    assert system.show(str(deletion_id))["withoutGateways"] == [url]
    assert lines(services, deletion_id=deletion_id, action="retry", decision="accepted") == [
        ("retry", "accepted", "bootstrap")
    ]


def test_giving_up_is_confirmed_where_going_on_is(make_system: Callable[..., System]) -> None:
    """By what its page shows would go; that asks no gateway, for two may be gone at once."""
    system = make_system(confirmation="token", gateways=2)
    system.start("web")
    services = system.make_services()
    instance, url = seed_instance(system.deployment, "whole", messages=12_345), system.gateways[0].url
    deletion_id = accept(services, instance.id, instance.name)
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed', failed_step = 'logout', reason = 'x'")
    for gateway in system.gateways:
        gateway.stop()
    visitor, path = signed_in(system), f"/deletions/{deletion_id}/gateways/1/give-up"

    unconfirmed, asked = visitor.post(path, gone=url), visitor.get(path).text
    confirmed = visitor.post(path, gone=url, confirmation_token=token_on(asked))

    assert (unconfirmed.status_code, confirmed.status_code) == (428, 303)
    assert "Message 12,345" in text_of(asked)
    assert f'href="/console{path}">Back to the form' in unconfirmed.text
    assert deletions_of(services, instance.id) == ["queued"]
    services.close()
    system.close()


def test_an_instance_is_logged_out_by_those_who_may(system: System, services: Services) -> None:
    """At the gateway, and nothing else is touched; a viewer is not offered it and cannot do it."""
    instance, gateway = seed_instance(system.deployment, "to be paired anew"), system.gateways[0]
    gateway.load()
    operator = signed_in(system, make_key(services, Role.OPERATOR).key)
    viewer = signed_in(system, make_key(services, Role.VIEWER).key)
    page, path = f"/instances/{instance.id}", f"/instances/{instance.id}/logout"

    offered = ["Log out now" in visitor.get(page).text for visitor in (operator, viewer)]
    refused = [viewer.post(path).status_code, operator.send(path).status_code]
    before = gateway.sessions[instance.name]
    done = operator.post(path)
    told, again = operator.get(page).text, operator.get(page).text

    assert (offered, refused, before) == ([True, False], [401, 400], "open")
    assert (done.status_code, gateway.sessions[instance.name]) == (303, "close")
    assert "Logged out. Nothing was deleted." in told
    assert "Logged out." not in again
    assert services.tenant.find(instance_id=instance.id) is not None
    assert [line[:2] for line in lines(services, instance_id=instance.id)][:2] == [
        ("logout", "succeeded"),
        ("logout", "accepted"),
    ]


def test_the_receipt_is_shown_to_roles_that_may_prove_it(system: System, services: Services) -> None:
    """As a page and as it was signed; a viewer may not."""
    instance = seed_instance(system.deployment, "proven")
    deletion_id = accept(services, instance.id, instance.name)
    run_all(services, deletion_id)
    auditor = signed_in(system, make_key(services, Role.AUDITOR).key)
    viewer = signed_in(system, make_key(services, Role.VIEWER).key)
    path = f"/deletions/{deletion_id}/receipt"

    page, signed = auditor.get(path), auditor.get(f"{path}?format=json")

    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert json.loads(signed.text)["receipt"]["deletionId"] == str(deletion_id)
    assert viewer.get(path).status_code == 401
    assert "receipt" not in viewer.get(f"/deletions/{deletion_id}").text


def test_instances_are_found_by_a_part_of_their_name_a_page_at_a_time(system: System, services: Services) -> None:
    """In a form, never in a URL; what is looked for is text, and no pattern."""
    names = [f"Paged {number:02}" for number in range(30)]
    ids = {name: seed_instance(system.deployment, name, messages=1, media=0, chats=0, contacts=0).id for name in names}
    visitor = signed_in(system)

    first = visitor.post("/", wanted="pAGED").text
    (after,) = re.findall(r'name="after" value="([^"]+)"', first)
    second = visitor.post("/", wanted="pAGED", after=after).text
    by_id = visitor.post("/", wanted=ids["Paged 07"][:13]).text
    patterns = [visitor.post("/", wanted=wanted).text for wanted in ("Paged%", "P_ged", "\x00")]

    assert [name for name in names if name in first] == names[:25]
    assert [name for name in names if name in second] == names[25:]
    assert 'name="after"' not in second
    assert [name for name in names if name in by_id] == ["Paged 07"]
    assert all("No instance has this name." in text for text in patterns)


def test_the_audit_is_filtered_and_read_a_page_at_a_time(system: System, services: Services) -> None:
    """By auditors; a filter that does not fit is refused, and told."""
    auditor = signed_in(system, make_key(services, Role.AUDITOR).key)

    signed_ins = auditor.get("/audit?action=sign_in&since=2020-01-01T00:00").text
    future = auditor.get("/audit?since=2999-01-01T00:00").text
    wrong = auditor.get("/audit?deletionId=x")

    assert "sign_in <span" in signed_ins
    assert "preview <span" not in signed_ins
    assert "No line matches." in future
    assert (wrong.status_code, "deletionId" in wrong.text) == (400, True)


def test_the_audit_has_pages(system: System, services: Services) -> None:
    """Of so many lines that a telephone can show them; back from older ones to the newest."""
    with own_transaction(services.own) as connection:
        chain.append(connection, *[Entry(Action.SWEEP, Decision.FAILED, reason=f"no {n}") for n in range(30)])
    visitor = signed_in(system)

    first = visitor.get("/audit?action=sweep").text
    (older,) = re.findall('href="([^"]+)">Older ones', first)
    second = visitor.get(html.unescape(older).removeprefix("/console")).text

    assert [len(re.findall("no [0-9]+<", page)) for page in (first, second)] == [25, 5]
    assert ("Newest" in first, "Newest" in second) == (False, True)


def test_guessing_keys_is_slow_and_instance_tokens_open_nothing(make_system: Callable[..., System]) -> None:
    """A few wrong ones a minute for each address; no refusal tells what a key is, and the right one signs in."""
    system = make_system(wrong_keys_per_minute=10)
    system.start("web")
    instance = seed_instance(system.deployment, "token bearer")
    visitor = Visitor(system)

    answers = [visitor.sign_in(key) for key in [instance.token, "", "\x00", "ü", *["wrong"] * 6, "wrong", ADMIN_KEY]]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429, 303]
    assert 1 <= int(answers[10].headers["Retry-After"]) <= 60
    assert len({re.sub(r'value="[^"]*"', "", answer.text) for answer in answers[:10]}) == 1
    assert visitor.get("/", allow_redirects=False).status_code == 200
    system.close()


def test_a_session_ends_with_its_key_and_with_signing_out(system: System, services: Services) -> None:
    """A rotated key has to sign in again; the cookie holds no key."""
    key = make_key(services, Role.VIEWER)
    rotated, leaving = signed_in(system, key.key), signed_in(system)
    cookie = rotated.session.cookies["lethe_console"]
    rotate(services, key)
    left = leaving.post("/sign-out")

    assert key.key not in cookie
    assert key.key.removeprefix(f"lethe_{key.id}_") not in cookie
    assert left.headers["Location"] == "/console/sign-in"
    for visitor in (rotated, leaving):
        answer = visitor.get("/deletions", allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/console/sign-in")


def copied(visitor: Visitor) -> Visitor:
    """Somebody with a copy of the cookie."""
    thief = Visitor(visitor.system)
    thief.session.cookies.update(visitor.session.cookies)
    return thief


def is_in(visitor: Visitor) -> bool:
    """Whether a page opens."""
    return visitor.get("/deletions", allow_redirects=False).status_code == 200


def test_signing_out_ends_every_copy_of_the_cookie(system: System, services: Services) -> None:
    """In every process: the session is in the own database. Another session of the same key goes on."""
    visitor, other = signed_in(system), signed_in(system)
    copies = [copied(visitor) for _ in range(4)]
    before = [is_in(copy) for copy in copies]
    visitor.post("/sign-out")
    after = [is_in(copy) for copy in copies]
    again = copies[0].send("/sign-out", csrf_token="x")

    assert (before, after) == ([True] * 4, [False] * 4)
    assert again.status_code == 400
    assert is_in(other)


def test_signing_in_again_ends_the_session_before(system: System) -> None:
    """Of the same browser."""
    visitor = signed_in(system)
    copy = copied(visitor)
    visitor.sign_in()

    assert (is_in(copy), is_in(visitor)) == (False, True)


def test_a_session_ends_after_twelve_hours_of_clicking(system: System, services: Services) -> None:
    """So that a stolen cookie does not work for ever; the next one to sign in removes what is left of it."""
    visitors = [signed_in(system), signed_in(system)]
    with services.own.begin() as connection:
        rows = connection.exec_driver_sql("SELECT digest FROM console_sessions ORDER BY started_at DESC LIMIT 2").all()
        for (digest,), hours in zip(rows, (12.1, 11.9), strict=True):
            connection.exec_driver_sql(
                "UPDATE console_sessions SET started_at = now() - %s * interval '1 hour' WHERE digest = %s",
                (hours, digest),
            )
    open_still = [is_in(visitor) for visitor in visitors]
    signed_in(system)
    with services.own.connect() as connection:
        left = connection.exec_driver_sql(
            "SELECT count(*) FROM console_sessions WHERE started_at < now() - interval '12 hours'"
        ).scalar_one()

    assert (open_still, left) == ([True, False], 0)


def test_the_database_holds_no_cookie(system: System, services: Services) -> None:
    """Who reads it cannot sign in with it, nor does the cookie say which key it is of."""
    visitor = signed_in(system)
    with services.own.connect() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM console_sessions").all())
    _, payload = URLSafeTimedSerializer("of somebody else").loads_unsafe(visitor.session.cookies["lethe_console"])

    assert payload["secret"] not in rows
    assert hash_key(system.settings, ADMIN_KEY) in rows
    assert hash_key(system.settings, ADMIN_KEY) not in str(payload)
