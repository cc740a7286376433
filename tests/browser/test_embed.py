"""The calendar in a page of another site, in a browser that refuses third-party cookies."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from bookings.models import Booking, Resource
from holds.models import Hold
from payments.models import Checkout
from tests.browser.conftest import _ARGUMENTS, DESKTOP, PHONE
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon
from tests.core.support import lapse
from tests.pages.support import at_param
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.long

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Club</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{margin:0;padding:8px;font-family:serif}} {style}</style>
<script>
window.seen = [];
for (const name of ["selected", "held", "confirmed", "expired", "released"])
  document.addEventListener("surehold:" + name, (e) => seen.push([name, e.detail, e.target.id]));
</script>
<script src="{site}/embed.js" async></script></head>
<body><h1>Club</h1>{body}<p id="after">After</p></body></html>"""
CALENDAR = """<surehold-calendar id="cal" workspace="kauri-house" resource="totara">
<a href="{site}/w/kauri-house/totara/">Book</a></surehold-calendar>"""

FRAME = "cal.shadowRoot.querySelector('iframe')"

# No third-party cookies; storage apart for each site around a frame, as browsers have it.
# Playwright switches the latter off, among other features: the last such list on the line counts.
STRICT = [
    "--test-third-party-cookie-phaseout",
    "--disable-features=HttpsUpgrades,MediaRouter,OptimizationHints,NetworkTimeServiceQuerying",
]

OpenHost = Callable[..., Page]


class _Hosts(ThreadingHTTPServer):
    """Another site: one server, which answers as localhost, whatever page it is given."""

    html = ""
    headers: dict[str, str] = {}

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        for name, value in self.server.headers.items():  # type: ignore[attr-defined]
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.html.encode())  # type: ignore[attr-defined]

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def other_site() -> Iterator[_Hosts]:
    server = _Hosts(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="session")
def strict_chromium(chromium: Browser) -> Iterator[Browser]:
    """A browser as it is by default elsewhere: no cookies in frames of other sites."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    browser = chromium.browser_type.launch(executable_path=path, args=[*_ARGUMENTS, *STRICT])
    yield browser
    browser.close()


@pytest.fixture
def host(strict_chromium: Browser, site: str, other_site: _Hosts) -> Iterator[OpenHost]:
    """`host(body, style="", **options)` opens a page of the other site with that in it."""
    contexts: list[BrowserContext] = []

    def opened(
        body: str = CALENDAR,
        *,
        style: str = "",
        clock: bool = False,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Page:
        other_site.html = PAGE.format(site=site, body=body.format(site=site), style=style)
        other_site.headers = headers or {}
        settings = {"viewport": DESKTOP, "timezone_id": "Pacific/Auckland"} | options
        context = strict_chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if clock:
            page.clock.install()
        page.goto(f"{other_site.origin}/book?private=1")
        return page

    yield opened
    for context in contexts:
        assert not [c for c in context.cookies() if c["domain"] == "127.0.0.1" and _in_frame(c)]
        context.close()


def _in_frame(cookie: Any) -> bool:
    """Every cookie of ours in these tests, but those of the window after paying."""
    return cookie["name"] not in {"visitor", "csrftoken"}


@pytest.fixture
def room(other_site: _Hosts) -> Resource:
    found = a_room()
    found.workspace.embed_origins = [other_site.origin]
    found.workspace.save()
    return found


def inside(page: Page, which: str = "surehold-calendar") -> FrameLocator:
    return page.frame_locator(f"{which} >> iframe")


def choose_noon(page: Page, which: str = "surehold-calendar") -> None:
    frame = inside(page, which)
    expect(frame.locator("#pick")).to_be_visible()
    button = frame.locator(f"button[value='{at_param(local_noon())}']:visible")
    if not button.count():
        frame.locator(".strip a").nth(3).click()
        expect(button).to_have_count(1)
    button.click()
    page.wait_for_function(f"document.querySelector('{which}').selected")


def seen(page: Page) -> list[str]:
    return [name for name, _, _ in page.evaluate("seen")]


def until_seen(page: Page, *names: str) -> list[Any]:
    page.wait_for_function("n => seen.length >= n", arg=len(names))
    found: list[Any] = page.evaluate("seen")
    assert [name for name, _, _ in found] == list(names)
    return found


def fill(frame: FrameLocator) -> None:
    frame.get_by_label("E-mail").fill("ada@example.test")
    frame.get_by_label("Name").fill("Ada Kōwhai")


def test_chosen_held_paid_and_confirmed_from_another_site(
    host: OpenHost, room: Resource, sandbox: SandboxClient, site: str, other_site: _Hosts
) -> None:
    page = host()
    frame = inside(page)
    choose_noon(page)
    expect(frame.get_by_text("All of Kauri House")).to_have_count(0)
    noon = local_noon()
    wanted = {
        "resource": "totara",
        "start": noon.isoformat(),
        "end": (noon + timedelta(hours=1)).isoformat(),
        "quantity": 1,
    }
    assert until_seen(page, "selected") == [["selected", wanted, "cal"]]
    assert page.evaluate("cal.selected") == wanted

    frame.get_by_role("button", name="Hold it").click()
    found = until_seen(page, "selected", "held")
    held = Hold.objects.select_related("booking").get()
    details = wanted | {
        "reference": held.booking.reference,
        "until": held.expires_at.isoformat(),
    }
    assert found[1] == ["held", details, "cal"]
    assert page.evaluate("cal.selected") is None

    # Paid in a window of its own; what is missing is said before.
    frame.get_by_role("button", name="Pay NZ$45.00").click()
    expect(frame.locator(".errors")).to_be_visible()
    assert len(page.context.pages) == 1
    fill(frame)
    with page.context.expect_page() as opened:
        frame.get_by_role("button", name="Pay NZ$45.00").click()
    window = opened.value
    window.wait_for_url(f"{sandbox.url}/**")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Pay in the other window")
    window.get_by_role("button", name=re.compile("^Pay ")).click()
    window.wait_for_url(f"{site}/embed/**/back/**")
    expect(window.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    back = window.get_by_role("link", name=re.compile("^Back to localhost"))
    expect(back).to_have_attribute("href", f"{other_site.origin}/book")

    expect(frame.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    found = until_seen(page, "selected", "held", "confirmed")
    assert found[2] == ["confirmed", details, "cal"]
    assert Booking.objects.get().state == "confirmed"
    assert Checkout.objects.count() == 1
    window.get_by_role("button", name="Close this window").click()
    assert [p for p in page.context.pages if not p.is_closed()] == [page]


def test_closing_the_window_keeps_the_hold_and_two_windows_pay_once(
    host: OpenHost, room: Resource, sandbox: SandboxClient
) -> None:
    page = host()
    frame = inside(page)
    choose_noon(page)
    frame.get_by_role("button", name="Hold it").click()
    fill(frame)
    with page.context.expect_page() as opened:
        frame.get_by_role("button", name="Pay NZ$45.00").click()
    first = opened.value
    first.wait_for_url(f"{sandbox.url}/**")
    first.close()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Pay in the other window")
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Open the payment page").click()
    second = opened.value
    second.wait_for_url(f"{sandbox.url}/**")
    assert sandbox.pay(second.url).status_code == 303  # paid elsewhere, and never came back
    second.close()
    page.bring_to_front()
    with page.expect_event("framenavigated", timeout=20_000):
        page.frames[1].evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    assert Checkout.objects.count() == 1
    assert until_seen(page, "selected", "held", "confirmed")


def test_a_page_that_shuts_itself_off_learns_of_it_all_the_same(
    host: OpenHost, room: Resource, sandbox: SandboxClient, site: str
) -> None:
    """Nothing inline is allowed there, and windows that it opens do not know it."""
    # eval is for the driver of this test only
    policy = f"style-src 'none'; frame-src {site}; script-src {site} 'unsafe-inline' 'unsafe-eval'"
    strict = {"Cross-Origin-Opener-Policy": "same-origin", "Content-Security-Policy": policy}
    page = host(headers=strict)
    frame = inside(page)
    choose_noon(page)
    frame.get_by_role("button", name="Hold it").click()
    fill(frame)
    with page.context.expect_page() as opened:
        frame.get_by_role("button", name="Pay NZ$45.00").click()
    window = opened.value
    window.wait_for_url(f"{sandbox.url}/**")
    window.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(window.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    expect(window.get_by_role("button", name="Close this window")).to_be_hidden()
    heading = frame.get_by_role("heading", level=1)
    expect(heading).to_have_text("Confirmed. It is yours.", timeout=15_000)
    until_seen(page, "selected", "held", "confirmed")


def test_reserve_and_release_are_promises(host: OpenHost, room: Resource) -> None:
    page = host()
    wrong = "() => cal.{}().then(() => 'done', (e) => [e.name, e.code])"
    choose_noon(page)
    assert page.evaluate(wrong.format("release")) == ["SureholdError", "nothing_held"]
    detail = page.evaluate("cal.reserve()")
    held = Hold.objects.select_related("booking").get()
    assert detail["reference"] == held.booking.reference
    assert page.evaluate("cal.reserve()") == detail
    # A reload of the frame is the same visitor's, and tells nothing twice.
    page.frames[1].evaluate("location.reload()")
    expect(inside(page).locator(".clock")).to_have_text(re.compile(r"1[45]:\d\d"))
    assert page.evaluate("cal.release()")["reference"] == held.booking.reference
    assert Hold.objects.get().state == "released"
    assert until_seen(page, "selected", "held", "released")
    assert page.evaluate(wrong.format("reserve")) == ["SureholdError", "nothing_selected"]


def test_a_page_loaded_anew_has_the_same_visitor_and_tells_the_end(
    host: OpenHost, room: Resource
) -> None:
    page = host()
    choose_noon(page)
    page.evaluate("cal.reserve()")
    page.reload()
    expect(inside(page).get_by_text("You hold")).to_be_visible(timeout=15_000)
    inside(page).get_by_role("link", name="Go on to pay").click()
    until_seen(page, "held")
    lapse(Hold.objects.get(), seconds=1)
    expect(inside(page).get_by_role("heading", level=1)).to_contain_text("Your hold ended")
    until_seen(page, "held", "expired")


def test_a_site_that_is_not_allowed_sees_nothing_but_a_link(
    host: OpenHost, room: Resource, site: str
) -> None:
    room.workspace.embed_origins = ["https://club.example"]
    room.workspace.save()
    page = host(clock=True)
    page.wait_for_load_state("networkidle")
    assert not any("Tōtara" in (f.text_content("body") or "") for f in page.frames[1:])
    link = page.get_by_role("link", name="Open the calendar in a window of its own")
    expect(link).to_have_count(0)
    page.clock.fast_forward(16_000)
    expect(link).to_have_attribute("href", f"{site}/w/kauri-house/totara/")
    assert seen(page) == []


def test_messages_of_others_are_not_heard(host: OpenHost, room: Resource) -> None:
    page = host()
    choose_noon(page)
    forged = "{surehold: 1, type: 'ready', page: 'confirmed', detail: cal.selected}"
    page.evaluate(f"postMessage({forged}, '*')")
    page.evaluate("postMessage({surehold: 1, type: 'height', height: 9000}, '*')")
    # The frame hears its own page alone: not another frame of it, nor another window's order.
    page.evaluate(
        """() => new Promise((done) => {
            const other = document.createElement("iframe");
            const its = "parent.cal.shadowRoot.querySelector('iframe').contentWindow";
            const order = its + ".postMessage({surehold: 1, type: 'reserve'}, '*')";
            other.srcdoc = `<script>${order}</${"script"}>`;
            other.onload = () => setTimeout(done, 300);
            document.body.append(other);
        })"""
    )
    for order in ("{surehold: 2, type: 'reserve'}", "{surehold: 1, type: 'constructor'}"):
        page.evaluate(f"{FRAME}.contentWindow.postMessage({order}, '*')")
    page.wait_for_timeout(500)
    assert seen(page) == ["selected"]
    assert not Hold.objects.exists()
    assert page.evaluate(f"{FRAME}.offsetHeight") < 5000


LINK = """<p><a data-surehold id="link" href="{site}/w/kauri-house/totara/">Book Tōtara</a></p>
<surehold-calendar id="button" mode="button" label="Book a room" workspace="kauri-house">
</surehold-calendar>"""


def test_buttons_and_links_open_it_on_top(host: OpenHost, room: Resource) -> None:
    page = host(LINK, viewport=PHONE)
    page.wait_for_function("!!customElements.get('surehold-calendar')")
    button = page.get_by_role("button", name="Book a room")
    assert len(page.frames) == 1  # nothing is loaded before it is wanted
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_attribute("aria-label", "Book a room")
    expect(dialog.frame_locator("iframe").get_by_role("link", name="Tōtara room")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.get_by_role("link", name="Book Tōtara").click()
    expect(
        dialog.frame_locator("iframe").get_by_role("heading", name="Tōtara room")
    ).to_be_visible()
    frame = dialog.frame_locator("iframe")
    button_at = frame.locator(f"button[value='{at_param(local_noon())}']:visible")
    frame.locator(".strip a").nth(3).click()
    button_at.click()
    assert [(n, i) for n, _, i in until_seen(page, "selected")] == [("selected", "link")]
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_its_height_follows_and_it_can_be_taken_out_and_put_back(
    host: OpenHost, room: Resource
) -> None:
    two = CALENDAR + CALENDAR.replace('id="cal"', 'id="two"').replace('resource="totara"', "")
    page = host(two, viewport={"width": 320, "height": 700})
    own = "id => document.getElementById(id).shadowRoot.querySelector('iframe').offsetHeight"
    expect(page.frame_locator("#cal >> iframe").locator("#pick")).to_be_visible()
    expect(page.frame_locator("#two >> iframe").locator(".card").first).to_be_visible()
    for frame in page.frames[1:]:
        element = "two" if frame.locator(".card").count() else "cal"
        inner = frame.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
        page.wait_for_function(f"([id, height]) => ({own})(id) === height", arg=[element, inner])
        assert frame.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert_fits(page)
    with page.expect_event("framedetached"):
        page.evaluate("window.kept = cal; cal.remove()")
    page.evaluate("after.before(kept)")
    choose_noon(page, "#cal")
    assert [(n, i) for n, _, i in until_seen(page, "selected")] == [("selected", "cal")]


def computed(page: Page, name: str, selector: str = "body") -> str:
    script = f"getComputedStyle(document.querySelector('{selector}')).{name}"
    value: str = page.frames[1].evaluate(script)
    return value


def test_it_looks_as_the_page_asks_and_can_be_read(host: OpenHost, room: Resource) -> None:
    style = """:root { color-scheme: light; } .night { color-scheme: dark; }
    surehold-calendar { --surehold-accent: rebeccapurple; --surehold-radius: 2px;
        --surehold-font: Georgia, serif; }
    .night surehold-calendar { --surehold-background: #101418; --surehold-text: #111;
        --surehold-accent: #123; }"""
    page = host(style=style, color_scheme="dark")
    choose_noon(page)
    button = "#picked .btn.go"
    assert computed(page, "colorScheme", "html") == "light"
    assert computed(page, "backgroundColor", button) == "rgb(102, 51, 153)"
    assert computed(page, "borderRadius", button) == "2px"
    assert computed(page, "fontFamily").startswith("Georgia")
    page.evaluate("document.documentElement.classList.add('night')")
    # Asked from outside: a frame's policy lets nothing poll in it.
    expect(page.frames[1].locator("html")).to_have_css("color-scheme", "dark")
    assert computed(page, "backgroundColor", "html") == "rgb(16, 20, 24)"
    # Dark text on it and a dark accent could not be read: neither is taken as it is.
    assert_usable(_alone(page))


def _alone(page: Page) -> Page:
    """The frame's page by itself, in the same look: axe cannot look into another site's frame."""
    frame = page.frames[1]
    href = frame.get_attribute("#look", "href")
    look = (href or "").rpartition("/")[2].removesuffix(".css")
    alone = page.context.new_page()
    alone.goto(re.sub(r"~[\w-]*", f"~{look}", frame.url))
    return alone
