"""Chromium, and its pages at the console's first page."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.system import ADMIN_KEY, System

CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 1000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if not CHROMIUM.exists():
        missing = "no Chromium here: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, system: System) -> Iterator[Page]:
    """A fresh browser at the console's first page, in which no script fails and no policy is broken."""
    context = browser.new_context(base_url=system.url)
    opened, faults = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    opened.set_default_timeout(30 * SECONDS)
    opened.goto("/console/")
    yield opened
    context.close()
    assert faults == []


def sign_in_with(page: Page, key: str = ADMIN_KEY) -> None:
    """Sign in by the form."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Instances").wait_for()
