"""The console in a real browser: sign in, find, preview, type the name, delete, watch, open the receipt."""

import re
from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from shared.access import one_time_codes
from shared.database.enums import Role
from tests.browser.conftest import sign_in_with
from tests.integration.inline import accept
from tests.integration.keyring import make_key, revoke
from tests.system import ADMIN_KEY, System

SECONDS = 1000

pytestmark = pytest.mark.system("web", "worker", "beat")


def open_preview(page: Page, instance: SeededInstance) -> None:
    """From the list, by its name."""
    page.get_by_label(re.compile("Name")).fill(instance.name)
    with page.expect_navigation():  # the link is on the page before it too
        page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=instance.name, exact=True).click()
    page.get_by_role("link", name="Preview its deletion").click()


def test_an_instance_is_found_previewed_deleted_and_followed_to_its_receipt(page: Page, system: System) -> None:
    """A wrong name keeps the button off; the page follows by itself, and says when everything is gone."""
    instance = seed_instance(system.deployment, "hotel lakeside", messages=300)
    sign_in_with(page)
    open_preview(page, instance)

    button = page.get_by_role("button", name="Delete for good")
    expect(page.get_by_role("row", name=re.compile("^delete_records"))).to_contain_text("Message 300")
    expect(page.get_by_text("Nothing of this can be recovered.")).to_be_visible()
    expect(button).to_be_disabled()
    for wrong in ("hotel", "Hotel lakeside", "hotel lakeside "):
        page.get_by_label(re.compile("^Type")).fill(wrong)
        expect(button).to_be_disabled()
    page.get_by_label(re.compile("^Type")).fill(instance.name)
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_role("status")).to_have_text("Everything was removed, and that was checked.")
    deletion_id = page.url.rpartition("/")[2]
    page.get_by_role("link", name="Open the receipt").click()
    expect(page.get_by_role("heading", name="Receipt of deletion")).to_be_visible()
    expect(page.locator(".seal")).to_have_css("font-weight", "700")  # its style passes the policy, by its hash
    expect(page.locator("body")).to_contain_text(deletion_id)
    assert system.show(deletion_id)["status"] == "succeeded"
    assert instance.name not in page.url


def test_the_main_path_needs_no_mouse(page: Page, system: System) -> None:
    """Everything is reached with the keyboard, in the order of the page, and where one is can be seen."""
    instance = seed_instance(system.deployment, "keyboard only")
    page.keyboard.type(ADMIN_KEY)  # the only field has the focus
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Instances").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type(instance.name)
    with page.expect_navigation():  # the link is on the page before it too, so waiting for that alone waits for nothing
        page.keyboard.press("Enter")

    tab_to(page, instance.name)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Preview its deletion").wait_for()
    tab_to(page, "Preview its deletion")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete for good").wait_for()
    tab_to(page, "typed")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.type(instance.name)
    tab_to(page, "Delete for good")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Open the receipt").wait_for()
    tab_to(page, "Open the receipt")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Receipt of deletion")).to_be_visible()
    assert outline == "solid"


def tab_to(page: Page, what: str) -> None:
    """Press Tab until the element with this text or id has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        text = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        if text == what or (what == "Open the receipt" and text == "receipt"):
            return
    pytest.fail(f"Tab never reaches {what}")


def test_a_viewer_sees_no_button_that_deletes(page: Page, system: System) -> None:
    """Nor the audit, nor the preview by its address."""
    services = system.make_services()
    instance = seed_instance(system.deployment, "only to look at")
    sign_in_with(page, make_key(services, Role.VIEWER).key)

    page.get_by_role("link", name=instance.name, exact=True).click()
    expect(page.get_by_text(instance.id)).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Preview"))).to_have_count(0)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    page.goto(f"/console/instances/{instance.id}/delete")
    expect(page.get_by_role("alert")).to_have_text("Unauthorized")
    services.close()


def test_a_revoked_key_is_out_at_once(page: Page, system: System) -> None:
    """At its next click; its cookie opens nothing any more."""
    services = system.make_services()
    key = make_key(services, Role.ADMIN)
    sign_in_with(page, key.key)
    revoke(services, key)

    page.get_by_role("link", name="Deletions").click()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    services.close()


def test_markup_in_a_name_stays_text(page: Page, system: System) -> None:
    """On every page that shows it, also where it has to be typed."""
    name = "<img src=x onerror=document.title='owned'>&\"'{{7*7}}"
    instance = seed_instance(system.deployment, name)
    sign_in_with(page)
    open_preview(page, instance)
    page.get_by_label(re.compile("^Type")).fill(name)
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_role("link", name="Open the receipt").wait_for()

    expect(page.get_by_role("heading", level=1)).to_have_text(f"Deletion of {name}")
    page.goto("/console/deletions")
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.title() == "Deletions · Lethe"


@pytest.mark.parametrize("width", [375, 1440])
def test_no_page_is_wider_than_the_screen(page: Page, system: System, width: int) -> None:
    """No page scrolls sideways, not even with a long name."""
    instance = seed_instance(system.deployment, f"{width}-{'long' * 50}")
    page.set_viewport_size({"width": width, "height": 800})
    sign_in_with(page)

    for path in ("", f"instances/{instance.id}", f"instances/{instance.id}/delete", "deletions", "audit"):
        page.goto(f"/console/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.fixture(scope="module")
def make_strict(make_system: Callable[..., System]) -> Callable[[str], System]:
    """Make systems without a worker that want deletions confirmed."""

    def make(demanded: str) -> System:
        made = make_system(confirmation=demanded)
        made.start("web")
        return made

    return make


def order_as_shown(page: Page, instance: SeededInstance) -> None:
    """Type the name and press the button."""
    page.get_by_label(re.compile("^Type")).fill(instance.name)
    page.get_by_role("button", name="Delete for good").click()


def test_the_preview_confirms_by_itself(browser: Browser, make_strict: Callable[[str], System]) -> None:
    """Where a token is demanded, the page that was looked at carries it; a form of one's own does not."""
    strict = make_strict("token")
    first, second = (seed_instance(strict.deployment, name) for name in ("shown first", "shown second"))
    page = browser.new_page(base_url=strict.url)
    page.goto("/console/")
    sign_in_with(page)
    open_preview(page, first)
    page.locator("input[name=confirmation_token]").evaluate("field => field.remove()")
    order_as_shown(page, first)
    expect(page.locator("main")).to_contain_text("confirmed")
    refused = strict.call("GET", "/deletions").json()["deletions"]
    page.goto("/console/")
    open_preview(page, second)
    order_as_shown(page, second)
    expect(page).to_have_url(re.compile("/console/deletions/"))
    (accepted,) = strict.call("GET", "/deletions").json()["deletions"]
    page.close()

    assert refused == []
    assert accepted["instanceId"] == second.id


def test_a_deletion_that_left_the_instance_whole_is_previewed_again(
    browser: Browser, make_strict: Callable[[str], System]
) -> None:
    """And goes on with a one-time code, which the form asks for; a wrong one is refused."""
    strict = make_strict("totp")
    services = strict.make_services()
    instance, key = seed_instance(strict.deployment, "half failed"), make_key(services, Role.ADMIN)
    deletion_id = accept(services, instance.id, instance.name)
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET status = 'failed', next_attempt_at = NULL")
        uri = one_time_codes.enroll(connection, strict.settings, key.id)
    services.close()
    totp = pyotp.parse_uri(str(uri))
    assert isinstance(totp, pyotp.TOTP)
    statuses, page = [], browser.new_page(base_url=strict.url)
    page.goto("/console/")
    sign_in_with(page, key.key)
    for code in ("abcdef", totp.now()):
        page.goto(f"/console/deletions/{deletion_id}")
        expect(page.get_by_role("button", name="Resume now")).to_have_count(0)
        page.get_by_role("link", name="Preview and resume").click()
        page.locator("#code").evaluate("field => field.removeAttribute('pattern')")
        page.get_by_label(re.compile("code", re.IGNORECASE)).fill(code)
        with page.expect_navigation():
            order_as_shown(page, instance)
        statuses.append(strict.show(str(deletion_id))["status"])
    page.close()

    assert statuses == ["failed", "queued"]


def test_the_console_speaks_the_browsers_language(browser: Browser, system: System) -> None:
    """Portuguese here, and the button wakes up all the same; the link at the foot of the page leads to English."""
    instance = seed_instance(system.deployment, "pousada do sol", messages=3)
    context = browser.new_context(base_url=system.url, locale="pt-BR")
    page = context.new_page()
    page.goto("/console/")
    page.get_by_label("Chave de API").fill(ADMIN_KEY)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("link", name=f"Prévia a exclusão de {instance.name}").click()

    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.get_by_label(re.compile("^Digite")).fill(instance.name)
    expect(page.locator("#match")).to_have_text("Confere.")
    page.get_by_role("button", name="Excluir para sempre").click()
    expect(page.get_by_role("status")).to_have_text("Tudo foi removido, e isso foi verificado.")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_text("Everything was removed, and that was checked.").first).to_be_visible()
    context.close()
