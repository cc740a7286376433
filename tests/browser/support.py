"""What browser tests share: a room to book, and the question whether everybody can use a page."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from bookings.models import Resource
from tests.factories import LocationFactory, ResourceFactory, WorkspaceFactory

AUCKLAND = ZoneInfo("Pacific/Auckland")
_AXE = Axe()


def a_room(**overrides: Any) -> Resource:
    """A room in half hours of an hour and more, in Auckland, with a very long name beside it."""
    workspace = WorkspaceFactory(name="Kauri House", slug="kauri-house")
    hours = [(day, time(7), time(21)) for day in range(7)]
    place = LocationFactory(workspace=workspace, name="Karangahape Road", hours=hours)
    common: dict[str, Any] = {
        "workspace": workspace,
        "location": place,
        "step_seconds": 1800,
        "min_seconds": 3600,
        "max_seconds": 8 * 3600,
    }
    ResourceFactory(name="The unreasonably long-named Pōhutukawa auditorium with gallery", **common)
    return ResourceFactory(**(common | {"name": "Tōtara room", "slug": "totara"} | overrides))


def local_noon() -> datetime:
    """12:00 in Auckland, three days ahead, in UTC."""
    here = datetime.now(AUCKLAND) + timedelta(days=3)
    return here.replace(hour=12, minute=0, second=0, microsecond=0).astimezone(UTC)


def assert_usable(page: Page) -> None:
    """No serious or critical violation of axe's rules."""
    found = _AXE.run(page).response["violations"]
    grave = [v for v in found if v["impact"] in {"serious", "critical"}]
    told = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in grave]
    assert not told, f"{page.url}: {told}"


def assert_fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    page.wait_for_load_state()
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"
