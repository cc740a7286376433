"""surehold.js in a page of another origin: see, hold, pay, confirm, let go."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from bookings.models import Booking, PriceRule, Resource
from holds.models import Hold
from payments.models import Payment
from tests.browser.conftest import NewPage
from tests.browser.support import a_room, local_noon
from tests.core.support import lapse
from tests.factories import ResourceFactory, make_publishable_key
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.long

PAGE = """<!doctype html><title>The club</title><p id="said"></p>
<button id="hold">Hold</button> <button id="pay">Pay</button> <button id="over">Pay on top</button>
<script type="module">
  import { Surehold, SureholdError } from "SITE/surehold.js";
  const surehold = Surehold({ key: "KEY" });
  const say = (text) => { document.querySelector("#said").textContent = text; };
  const on = (id, act) => document.querySelector(id).addEventListener("click", () =>
    act().catch((error) => say(`${error.code} ${error.nextFree?.start}`)));
  window.surehold = surehold;
  window.SureholdError = SureholdError;
  window.events = [];
  for (const name of ["held", "confirmed", "released", "expired"])
    surehold.addEventListener(name, (event) => events.push(`${name} ${event.detail.id}`));
  window.wish = { resource: "ROOM", start: "START", end: "END" };
  on("#hold", async () => say(`held ${(await surehold.reserve({ ...wish, member: { email: "ada@example.test" } })).id}`));
  on("#pay", () => surehold.checkout(undefined, { successUrl: "/?paid" }));
  on("#over", async () => say((await surehold.checkout(undefined, { popup: true })).outcome));
  if (location.search === "?paid") say((await surehold.confirm()).outcome);
  window.ready = true;
</script>"""  # noqa: E501


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *said: Any) -> None:
        pass


@pytest.fixture
def club(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Another origin: a folder of pages, on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}", tmp_path
    server.shutdown()


def _written(folder: Path, site: str, key: str, room: Resource) -> None:
    start = local_noon()
    text = PAGE.replace("SITE", site).replace("KEY", key).replace("ROOM", str(room.pk))
    text = text.replace("START", f"{start:%Y-%m-%dT%H:%M:%SZ}")
    text = text.replace("END", f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
    (folder / "index.html").write_text(text)


def _opened(page: Page, url: str) -> Page:
    page.goto(url)
    page.wait_for_function("window.ready === true")
    return page


def test_a_page_of_another_origin_books(
    open_page: NewPage,
    chromium: Browser,
    site: str,
    sandbox: SandboxClient,
    club: tuple[str, Path],
) -> None:
    room = a_room()
    origin, folder = club
    key = make_publishable_key(workspace=room.workspace, origins=[origin])
    _written(folder, site, key, room)
    page, said = open_page(), "#said"
    page.on("dialog", lambda dialog: dialog.dismiss())

    # Availability, a hold, the payment page and the way back.
    _opened(page, origin)
    slots = page.evaluate(
        """async () => (await surehold.availability(wish.resource, {
             from: new Date(wish.start), to: new Date(Date.parse(wish.start) + 864e5), duration: 60,
           })).slots.map((slot) => slot.start)"""
    )
    assert f"{local_noon():%Y-%m-%dT%H:%M:%SZ}" in slots
    page.click("#hold")
    expect(page.locator(said)).to_contain_text("held ")
    held = Hold.objects.get()
    page.click("#hold")  # the same wish is the same hold
    expect(page.locator(said)).to_have_text(f"held {held.pk}")

    # Somebody else is told that it is taken, and when it is free; from a foreign page, nothing.
    other = _opened(open_page(), origin)
    other.click("#hold")
    expect(other.locator(said)).to_contain_text("slot_taken 20")
    stranger = chromium.new_context().new_page()
    _opened(stranger, origin.replace("localhost", "127.0.0.1"))
    refused = """() => surehold.resources().catch((error) =>
        [error instanceof SureholdError, error.code, error.status])"""
    assert stranger.evaluate(refused) == [True, "unreachable", 0]
    stranger.context.close()

    page.click("#pay")
    page.wait_for_url(f"{sandbox.url}/**")
    page.get_by_role("button", name="Pay ").click()
    page.wait_for_url(f"{origin}/?paid")
    expect(page.locator(said)).to_have_text("confirmed")
    booking = Booking.objects.get()
    assert (booking.state, booking.email) == ("confirmed", "ada@example.test")
    assert Payment.objects.get().state == "captured"  # settled on the way back: no worker runs
    page.screenshot(path=str(folder / "confirmed.png"))

    # On top of the page, then what is confirmed cannot be let go.
    later = (
        "wish.start = wish.end; wish.end = new Date(Date.parse(wish.start) + 36e5).toISOString()"
    )
    page.evaluate(later)
    page.click("#hold")
    expect(page.locator(said)).to_contain_text("held ")
    with page.expect_popup() as opened:
        page.click("#over")
    over = opened.value
    over.wait_for_url(f"{sandbox.url}/**")
    over.get_by_role("button", name="Pay ").click()
    expect(page.locator(said)).to_have_text("confirmed")
    assert over.is_closed() or over.wait_for_event("close") is not None
    assert Booking.objects.filter(state="confirmed").count() == 2
    code = page.evaluate("() => surehold.release().catch((error) => error.code)")
    assert code == "invalid_transition"

    # Letting go, and a hold whose time is up.
    page.evaluate(later)
    page.evaluate("surehold.reserve(wish).then(() => surehold.release())")
    page.evaluate("surehold.reserve(wish)")
    lapse(Hold.objects.get(state="active"))
    page.evaluate("surehold.read()")
    told = [said.split()[0] for said in page.evaluate("events")]
    once = ["confirmed"]  # the first hold's; the page was left in between
    assert told == [*once, "held", "confirmed", "held", "released", "held", "expired"]

    # What costs nothing is confirmed without a payment page.
    free = ResourceFactory(workspace=room.workspace, location=room.location, min_seconds=3600)
    PriceRule.objects.filter(resource=free).delete()
    outcome = page.evaluate(
        """async (resource) => {
             const member = { email: "ada@example.test" };
             await surehold.reserve({ ...wish, resource });
             return (await surehold.confirm(undefined, { member })).outcome;
           }""",
        str(free.pk),
    )
    assert outcome == "confirmed"
    assert Payment.objects.count() == 2


def test_what_may_have_been_lost_is_sent_again_under_its_key(
    open_page: NewPage, site: str, club: tuple[str, Path]
) -> None:
    """An answer that never came, a 503 with Retry-After, an abort: one hold, or none."""
    room = a_room()
    origin, folder = club
    key = make_publishable_key(workspace=room.workspace, origins=[origin])
    _written(folder, site, key, room)
    page = _opened(open_page(), origin)
    keys: list[str] = []

    def lossy(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # it arrives, its answer does not
            route.fulfill(status=502, headers={"Access-Control-Allow-Origin": origin})
        elif len(keys) == 2:
            headers = {"Access-Control-Allow-Origin": origin, "Retry-After": "1",
                       "Access-Control-Expose-Headers": "Retry-After"}  # fmt: skip
            route.fulfill(status=503, headers=headers, json={"code": "temporarily_unavailable"})
        else:
            route.continue_()

    page.route("**/api/v1/holds", lossy)
    held = page.evaluate("surehold.reserve(wish)")
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert [str(hold.pk) for hold in Hold.objects.all()] == [held["id"]]

    page.unroute("**/api/v1/holds")
    aborted = page.evaluate(
        """() => {
             const stop = new AbortController();
             const asked = surehold.resources({}, { signal: stop.signal });
             stop.abort();
             return asked.catch((error) => error.name);
           }"""
    )
    assert aborted == "AbortError"
