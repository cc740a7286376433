"""The API's documentation is served whole: what it needs comes from the same host."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def test_it_asks_no_other_host(open_page: NewPage, site: str, tmp_path: Path) -> None:
    page, asked = open_page(), []
    page.on("request", lambda request: asked.append(request.url))
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.goto("/api/v1/docs")
    expect(page.get_by_role("heading", name="Surehold API")).to_be_visible()
    claim = page.locator("#operations-holds-holds_create")
    expect(claim).to_contain_text("Hold slots for a while")
    claim.locator("button").first.click()
    expect(claim.get_by_text("ana@example.com").first).to_be_visible()
    page.screenshot(path=str(tmp_path / "docs.png"))
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(site).netloc}
    assert failed == []
    assert any(url.endswith("/api/v1/schema") or "/api/v1/schema?" in url for url in asked)
