"""The console refuses what the API refuses, and whatever no page of it has asked for; it works without its script."""

import json
import re
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from demo.evolution.seed import seed_instance
from shared import audit_search
from shared.audit_search import Wanted
from shared.permissions import Role
from shared.services import Services
from tests.integration.inline import accept, run_all
from tests.integration.keyring import enroll, make_key, rotate, wrong_for
from tests.integration.visitor import Visitor, signed_in
from tests.system import ADMIN_KEY, System


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """An API alone: what is ordered stays queued."""
    made = make_system()
    made.start("web")
    yield made
    made.stop()


@pytest.fixture
def services(system: System) -> Iterator[Services]:
    """Services on the system, and no sign-in of another test counted."""
    made = system.make_services()
    for key in made.redis.scan_iter("lethe:limit*sign-in*"):
        made.redis.delete(key)
    yield made
    made.close()


def lines(services: Services, **wanted: object) -> list[tuple[str, str, str | None]]:
    """Action, decision and key of the newest lines of the audit."""
    found = audit_search.search(services.own, Wanted(**wanted)).lines  # type: ignore[arg-type]
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


def test_a_name_that_nobody_can_type_is_confirmed_by_the_id(system: System, services: Services) -> None:
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
    assert "Go on now" not in seen
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
    assert accepted.status_code == 303
    assert f'href="/console{path}"' in failed
    assert unconfirmed.status_code == 428
    assert resumed.headers["Location"] == accepted.headers["Location"]
    assert deletions_of(services, first.id) == ["queued"]
    services.close()
    system.stop()


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
    system.stop()


def test_the_receipt_is_shown_to_whoever_may_prove_it(system: System, services: Services) -> None:
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
    assert all("No instance is called like that." in text for text in patterns)


def test_the_audit_is_filtered_and_read_a_page_at_a_time(system: System, services: Services) -> None:
    """By auditors; a filter that does not fit is refused, and told."""
    auditor = signed_in(system, make_key(services, Role.AUDITOR).key)

    signed_ins = auditor.get("/audit?action=sign_in&since=2020-01-01T00:00").text
    future = auditor.get("/audit?since=2999-01-01T00:00").text
    wrong = auditor.get("/audit?deletionId=x")

    assert "sign_in <span" in signed_ins
    assert "preview <span" not in signed_ins
    assert "There are no such lines." in future
    assert (wrong.status_code, "deletionId" in wrong.text) == (400, True)


def test_guessing_keys_is_slow_and_instance_tokens_open_nothing(system: System, services: Services) -> None:
    """A few attempts a minute for each address, right ones too; no refusal tells what a key is."""
    instance = seed_instance(system.deployment, "token bearer")
    visitor = Visitor(system)

    answers = [visitor.sign_in(key) for key in [instance.token, "", "\x00", "ü", *["wrong"] * 6, ADMIN_KEY]]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[-1].headers["Retry-After"] == "60"
    assert len({re.sub(r'value="[^"]*"', "", answer.text) for answer in answers[:10]}) == 1
    assert visitor.get("/", allow_redirects=False).status_code == 303


def test_a_session_ends_with_its_key_and_with_signing_out(system: System, services: Services) -> None:
    """A rotated key has to sign in again; the cookie holds no key."""
    key = make_key(services, Role.VIEWER)
    rotated, leaving = signed_in(system, key.key), signed_in(system)
    cookie = rotated.session.cookies["lethe_console"]
    rotate(services, key)
    left = leaving.post("/sign-out")

    assert key.key not in cookie
    assert key.key.rpartition("_")[2] not in cookie
    assert left.headers["Location"] == "/console/sign-in"
    for visitor in (rotated, leaving):
        answer = visitor.get("/deletions", allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/console/sign-in")
