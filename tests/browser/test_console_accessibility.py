"""The console with a screen reader, with poor sight, without colours and in dark mode; on every page."""

import re
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.evolution.seed import seed_instance
from shared.services import Services
from tests.browser import accessibility
from tests.browser.conftest import sign_in_with
from tests.integration.inline import accept, run_all, run_steps
from tests.system import System


@pytest.fixture(scope="module")
def paths(system: System, services: Services) -> list[str]:
    """Every kind of page, with deletions of every status."""
    free = seed_instance(system.deployment, "to look at")
    ids = [accept(services, seed_instance(system.deployment, f"at {n}").id, f"at {n}") for n in range(4)]
    run_all(services, ids[0])
    run_steps(services, ids[1], "logout", "purge_cache")
    stop(services, ids[1], "failed")
    stop(services, ids[2], "waiting")
    return [
        "",
        f"instances/{free.id}",
        f"instances/{free.id}/delete",
        "deletions",
        *(f"deletions/{deletion_id}" for deletion_id in ids),
        f"deletions/{ids[2]}/gateways/1/give-up",
        "audit?action=delete",
        "instances/unknown",
    ]


def stop(services: Services, deletion_id: UUID, status: str) -> None:
    """As if it had stopped at a gateway that is away."""
    with services.own.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE deletions SET status = %s, reason = 'a gateway cannot be reached', waiting_since = now(),"
            " owner = NULL, next_attempt_at = now() + interval '1 hour' WHERE id = %s",
            (status, deletion_id),
        )


@pytest.mark.parametrize("width", [375, 1440])
def test_every_page_can_be_listened_to(page: Page, paths: list[str], width: int) -> None:
    """Every control has a name, headings are in order, and there are places to jump to."""
    page.set_viewport_size({"width": width, "height": 800})
    at_the_door = accessibility.tree(page)
    sign_in_with(page)
    faults = {}
    for path in paths:
        page.goto(f"/console/{path}")
        nodes = accessibility.tree(page)
        found = accessibility.landmarks(nodes)
        faults[path] = (
            accessibility.nameless(nodes),
            accessibility.are_in_order(accessibility.headings(nodes)),
            {"banner", "main", "navigation"} <= set(found) and found.count("main") == 1,
        )

    assert accessibility.nameless(at_the_door) == []
    assert accessibility.headings(at_the_door) == [1]
    assert {path: fault for path, fault in faults.items() if fault != ([], True, True)} == {}


def test_the_checks_see_what_is_wrong(browser: Browser) -> None:
    """A button without a name, a level left out, a text that hardly stands out."""
    page = browser.new_page()
    page.set_content("<main><h1>a</h1><h3>b</h3><button></button><p style='color: #999'>faint</p></main>")
    nodes = accessibility.tree(page)
    faint = accessibility.faint(page)
    page.close()

    assert accessibility.nameless(nodes) == ["button"]
    assert accessibility.headings(nodes) == [1, 3]
    assert not accessibility.are_in_order([1, 3])
    assert accessibility.landmarks(nodes) == ["main"]
    assert faint == ["faint: 2.85"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(page: Page, paths: list[str], scheme: str) -> None:
    """By 4.5 to 1 at least, in the light and in the dark."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    faint = {"sign-in": accessibility.faint(page)}
    sign_in_with(page)
    for path in paths:
        page.goto(f"/console/{path}")
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        faint[path] = accessibility.faint(page)

    assert {path: texts for path, texts in faint.items() if texts} == {}


def test_progress_is_announced_and_no_status_is_a_colour_alone(page: Page, system: System, services: Services) -> None:
    """A polite live region says each new step; every badge says its status in a word."""
    instance = seed_instance(system.deployment, "announced")
    deletion_id = accept(services, instance.id, instance.name)
    sign_in_with(page)
    page.goto(f"/console/deletions/{deletion_id}")
    region = [node for node in accessibility.tree(page) if node.role == "status"]
    run_steps(services, deletion_id, "logout")
    expect(page.get_by_role("status")).to_have_text("Step 2 of 7: purge_cache.")
    stop(services, deletion_id, "waiting")
    expect(page.get_by_role("status")).to_have_text(re.compile("^Waiting at purge_cache"))
    badges = page.locator(".badge").all_inner_texts()

    assert [node.properties.get("live") for node in region] == ["polite"]
    assert badges == ["waiting", "done", *["pending"] * 6]


def test_words_fit_what_each_step_did(page: Page, system: System, services: Services) -> None:
    """A webhook was delivered, not removed."""
    system.gateways[0].load()
    instance = seed_instance(system.deployment, "in words", messages=5, webhook_url=f"{system.receiver.url}/own")
    system.gateways[0].load()
    deletion_id = accept(services, instance.id, instance.name)
    run_all(services, deletion_id)
    sign_in_with(page)
    page.goto(f"/console/deletions/{deletion_id}")

    said = dict(
        zip(page.locator(".step h2").all_inner_texts(), page.locator(".step p.bar").all_inner_texts(), strict=True)
    )

    words = {name.split()[0]: text for name, text in said.items()}
    assert words["logout"] == "1 session logged out"
    assert words["send_webhook"] == "1 delivered"
    assert words["deregister"].startswith("dropped from 1 gateway")
    assert re.fullmatch(r"\d+ rows removed", words["delete_records"])
    assert words["confirm"] == "nothing was left"


def test_without_its_script_a_mistyped_name_has_the_focus_again(page: Page, system: System) -> None:
    """On a page that says what is wrong, and is left by typing the name."""
    assert page.context.browser
    context = page.context.browser.new_context(base_url=system.url, java_script_enabled=False)
    plain, instance = context.new_page(), seed_instance(system.deployment, "Typed exactly")
    plain.goto("/console/")
    sign_in_with(plain)
    plain.goto(f"/console/instances/{instance.id}/delete")
    plain.get_by_label(re.compile("^Type")).fill("typed exactly")
    plain.get_by_role("button", name="Delete for good").click()
    expect(plain.get_by_role("alert")).to_contain_text("Nothing was deleted.")
    expect(plain.get_by_label(re.compile("^Type"))).to_be_focused()
    plain.keyboard.type(instance.name)
    plain.keyboard.press("Enter")

    expect(plain.get_by_role("heading", level=1)).to_have_text("Deletion of Typed exactly")
    context.close()


@pytest.mark.parametrize("width", [375, 800, 1110, 1200])
def test_no_word_of_the_audit_is_broken(page: Page, paths: list[str], width: int) -> None:
    """Each fits on its line, on a telephone too, where a line is a small card."""
    sign_in_with(page)
    page.goto("/console/instances/unknown")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/console/audit")
    broken = page.evaluate(
        """() => [...document.querySelectorAll(".lines .what, .lines .what *")].flatMap((element) =>
          [...element.childNodes].filter((node) => node.nodeType === 3).flatMap((node) =>
            [...node.data.matchAll(/\\S+/g)].filter((word) => {
              const range = document.createRange();
              range.setStart(node, word.index);
              range.setEnd(node, word.index + word[0].length);
              return range.getClientRects().length > 1;
            }).map(String)))"""
    )
    heights = page.locator(".lines tbody tr").evaluate_all("rows => rows.map((row) => row.offsetHeight)")

    assert broken == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert len(heights) <= 25
    assert max(heights) < 140
