"""A real Chromium against a real web process, the database and the sandbox."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, sync_playwright

from tests.support.instances import Starter
from tests.support.sandbox import SandboxClient

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

# It must not phone home: the suite runs offline, and nobody should wait for a timeout.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

NewPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session. No Chromium: skipped with a reason, or failed on request."""
    # Playwright's loop would make Django refuse the fixtures' queries as unsafe.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = _launched(playwright)
        yield browser
        browser.close()


def _launched(playwright: Playwright) -> Browser:
    paths = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    path = os.environ.get("SUREHOLD_CHROMIUM") or next(filter(None, map(shutil.which, paths)), None)
    try:
        return playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
    except Error as error:
        reason = f"There is no Chromium to drive: {error.message.splitlines()[0]}"
        if os.environ.get("SUREHOLD_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def site(chromium: Browser, sandbox: SandboxClient, web: Starter) -> str:
    """The address of a running web process; the sandbox answers for Stripe."""
    return web()[0].url


@pytest.fixture
def open_page(chromium: Browser, site: str) -> Iterator[NewPage]:
    """`open_page(**options)`: a fresh browser profile with one page, on desktop unless told.

    Whatever the console calls an error fails the test, except answers that are errors on purpose.
    """
    contexts: list[BrowserContext] = []
    trouble: list[str] = []

    def opened(**options: Any) -> Page:
        settings = {"viewport": DESKTOP, "timezone_id": "Pacific/Auckland"} | options
        context = chromium.new_context(base_url=site, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda said: _note(trouble, said))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not trouble


def _note(trouble: list[str], said: Any) -> None:
    expected = "the server responded with a status of"
    if said.type == "error" and expected not in said.text:
        trouble.append(said.text)
