"""Members who book and pay over HTTP: by pages without scripts, or by the API.

Each is a thread with a browser or an API client of its own; what they do with it is in
`worst_habits`. What they were told is kept, so that it can be held against what became of it.
"""

import queue
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from bookings.links import booking_id_from, manage_token
from bookings.models import Booking, Resource
from config.api import rfc3339
from tests.factories import at
from tests.pages.support import address, at_param, form_to, forms

TRIES = 12
SECONDS_BETWEEN = 1.0
TTL_SECONDS = 60


@dataclass(frozen=True)
class Slot:
    """An hour of a room."""

    room: Resource
    hour: int
    day: int

    @property
    def start(self) -> datetime:
        return at(self.hour, days=self.day)

    @property
    def end(self) -> datetime:
        return at(self.hour + 1, days=self.day)


@dataclass
class Held:
    """A hold as its member knows it; `page` is the hold page where pages are used."""

    slot: Slot
    until: float
    booking: UUID | None = None
    hold: str = ""
    page: str = ""


@dataclass
class Told:
    """What all members were answered, and what they were told is theirs."""

    answers: Counter[str] = field(default_factory=Counter)
    did: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    promised: set[UUID] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, what: str, response: httpx.Response) -> None:
        """A 5xx must be a 503 that says what it is."""
        named = f"{what} {response.status_code}"
        is_ours = response.status_code == 503 and "Retry-After" in response.headers
        with self.lock:
            self.answers[named] += 1
            if response.status_code >= 500 and not is_ours:
                self.wrong.append(f"{named}: {response.text[:120]}")

    def note(self, what: str) -> None:
        with self.lock:
            self.did[what] += 1

    def promise(self, booking: UUID | None) -> None:
        with self.lock:
            self.promised.add(booking) if booking else self.wrong.append("confirmed nothing")


@dataclass
class Town:
    """What all members share: the site, the rooms with their keys, slots that lapse, and a seed."""

    web: str
    slots: list[Slot]
    secrets: dict[Any, str]
    told: Told = field(default_factory=Told)
    lapsing: "queue.SimpleQueue[Held]" = field(default_factory=queue.SimpleQueue)


class Member:
    """One member; `browser` keeps cookies as one does."""

    def __init__(self, town: Town, number: int) -> None:
        self.town, self.told = town, town.told
        self.chance = random.Random(number)
        self.email = f"worst{number}@example.test"
        self.workspace = town.slots[number % len(town.slots)].room.workspace
        self.browser = httpx.Client(base_url=town.web, timeout=60, verify=False, trust_env=False)

    def asked(self, what: str, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask until the answer is not "come back later", as a patient client does."""
        for _ in range(TRIES):
            response = self.browser.request(method, url, **options)
            self.told.answer(what, response)
            if response.status_code != 503:
                break
            time.sleep(SECONDS_BETWEEN)
        return response

    def held(self) -> Held | None:
        """A slot of the workspace, after others were found taken; None when nothing is free."""
        mine = [slot for slot in self.town.slots if slot.room.workspace_id == self.workspace.pk]
        for slot in self.chance.sample(mine, min(TRIES, len(mine))):
            found = self.claim(slot)
            if found is not None:
                self.told.note("holds placed")
                return found
        self.told.note("found nothing free")
        return None

    def pays_at(self, url: str, outcome: str = "pay") -> None:
        """Pay and come back: the page after paying, reloaded while it says "processing"."""
        answer = self.at_bank(url, outcome)
        if answer.status_code != 303:
            return
        back = answer.headers["Location"]
        for _ in range(TRIES):
            page = self.asked("return page", "GET", back)
            if "It is yours." in page.text:
                self.told.promise(booking_id_from(back.rstrip("/").rpartition("/")[2]))
            if "data-live" not in page.text:
                break
            time.sleep(SECONDS_BETWEEN)

    def at_bank(self, url: str, outcome: str) -> httpx.Response:
        self.told.note(f"at the bank: {outcome}")
        return httpx.post(url, data={"outcome": outcome}, timeout=60, trust_env=False)

    # What pages and API do differently.

    def claim(self, slot: Slot) -> Held | None:
        raise NotImplementedError

    def pay_url(self, held: Held, credit_minor: int = 0) -> str:
        """Where to pay; empty when there is nothing to pay (any more)."""
        raise NotImplementedError

    def let_go(self, held: Held) -> None:
        raise NotImplementedError

    def cancel(self, held: Held) -> None:
        raise NotImplementedError


class ByApi(Member):
    """Through another system that has a secret key."""

    def _post(self, what: str, path: str, body: dict[str, Any]) -> httpx.Response:
        headers = self._key() | {"Idempotency-Key": str(uuid4())}
        return self.asked(what, "POST", f"/api/v1{path}", json=body, headers=headers)

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.town.secrets[self.workspace.pk]}"}

    def claim(self, slot: Slot) -> Held | None:
        line = {
            "resource": str(slot.room.pk), "start": rfc3339(slot.start), "end": rfc3339(slot.end),
        }  # fmt: skip
        body = {"lines": [line], "member": {"email": self.email, "name": "Ana"}}
        until = time.monotonic() + TTL_SECONDS
        answer = self._post("hold", "/holds", body)
        if answer.status_code != 201:
            return None
        found = answer.json()
        return Held(slot, until, UUID(found["booking"]["id"]), found["id"])

    def pay_url(self, held: Held, credit_minor: int = 0) -> str:
        back = f"{self.town.web}/return/{manage_token(Booking(pk=held.booking))}/"
        body = {"success_url": back, "cancel_url": back, "credit_minor": credit_minor}
        answer = self._post("checkout", f"/holds/{held.hold}/checkout", body)
        if answer.status_code != 200:
            return ""
        if answer.json()["checkout_url"] is None:
            self.told.promise(held.booking)
        return answer.json()["checkout_url"] or ""

    def let_go(self, held: Held) -> None:
        self.asked("let go", "DELETE", f"/api/v1/holds/{held.hold}", headers=self._key())

    def cancel(self, held: Held) -> None:
        how = self.chance.choice(["policy", "policy", "full"])
        for _ in range(TRIES):
            answer = self._post("cancel", f"/bookings/{held.booking}/cancel", {"refund": how})
            if answer.status_code != 409:
                break
            time.sleep(SECONDS_BETWEEN)


class ByPages(Member):
    """With a browser that runs no scripts."""

    def _sent(self, what: str, page: httpx.Response, ending: str, **typed: str) -> httpx.Response:
        form = form_to(page, ending)
        return self.asked(what, "POST", form.action, data=form.fields | typed)

    def claim(self, slot: Slot) -> Held | None:
        query = {"at": at_param(slot.start), "minutes": "60"}
        page = self.asked("choose", "GET", address(slot.room), params=query)
        if not any(form.action.endswith("/hold/") for form in forms(page)):
            return None
        until = time.monotonic() + TTL_SECONDS
        answer = self._sent("hold", page, "/hold/")
        if answer.status_code != 303:
            return None
        return Held(slot, until, page=answer.headers["Location"])

    def _page(self, held: Held) -> httpx.Response:
        return self.asked("hold page", "GET", held.page)

    def pay_url(self, held: Held, credit_minor: int = 0) -> str:
        page = self._page(held)
        if not any(form.action.endswith("/pay/") for form in forms(page)):
            return ""
        answer = self._sent("pay", page, "/pay/", email=self.email, name="Ana")
        target = answer.headers.get("Location", "")
        if "/return/" in target:
            held.booking = booking_id_from(target.rstrip("/").rpartition("/")[2])
        return target if "/pay/" in target else ""

    def let_go(self, held: Held) -> None:
        page = self._page(held)
        if any(form.action.endswith("/let-go/") for form in forms(page)):
            self._sent("let go", page, "/let-go/")

    def cancel(self, held: Held) -> None:
        if held.booking is None:
            return
        path = f"/b/{manage_token(Booking(pk=held.booking))}/cancel/"
        for _ in range(TRIES):
            page = self.asked("cancel page", "GET", path)
            if not any(form.action.endswith("/cancel/") for form in forms(page)):
                return
            answer = self._sent("cancel", page, "/cancel/")
            if answer.status_code == 303:
                return
            time.sleep(SECONDS_BETWEEN)
