"""What tests of a module that has a system of its own share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from shared.services import Services
from tests.system import System

CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 1000


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """An API without a worker: the tests run the steps. A module that needs more or less has one of its own."""
    made = make_system()
    made.start("web")
    yield made
    made.close()


@pytest.fixture(scope="module")
def services(system: System) -> Iterator[Services]:
    """Services on the module's system, for what runs in the test."""
    made = system.make_services()
    yield made
    made.close()


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
    """A fresh browser at the console's door, in which no script fails and no policy is broken."""
    context = browser.new_context(base_url=system.url)
    opened, faults = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    opened.set_default_timeout(30 * SECONDS)
    opened.goto("/console/")
    yield opened
    context.close()
    assert faults == []
