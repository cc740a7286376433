"""What two hundred members do while Stripe is at its worst, each by a habit of their own."""

import queue
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import connection

from bookings.models import Booking
from tests.races.worst_members import (
    TRIES,
    TTL_SECONDS,
    ByApi,
    ByPages,
    Held,
    Member,
    Town,
)


def pays(me: Member, held: Held) -> None:
    if url := me.pay_url(held):
        me.pays_at(url)


def closes_the_browser(me: Member, held: Held) -> None:
    """Nobody comes to the success page: a webhook must tell, or the self-heal find it."""
    if url := me.pay_url(held):
        me.at_bank(url, "pay_without_returning")


def is_declined(me: Member, held: Held) -> None:
    """Another card on the same page, or the page opened again first."""
    if url := me.pay_url(held):
        me.at_bank(url, "decline")
        if me.chance.random() < 0.5:
            url = me.pay_url(held) or url
        me.pays_at(url)


def proves_who_they_are(me: Member, held: Held) -> None:
    if url := me.pay_url(held):
        me.at_bank(url, "start_authentication")
        me.at_bank(url, me.chance.choice(["authenticate", "fail_authentication"]))
        me.pays_at(url)


def abandons(me: Member, held: Held) -> None:
    if url := me.pay_url(held):
        me.at_bank(url, "abandon")


def lets_go(me: Member, held: Held) -> None:
    """While the page is open; every second one has paid there meanwhile."""
    if url := me.pay_url(held):
        if me.chance.random() < 0.5:
            me.at_bank(url, "pay_without_returning")
        me.let_go(held)


def pays_in_two_tabs(me: Member, held: Held) -> None:
    urls = [me.pay_url(held), me.pay_url(held)]
    tabs = [threading.Thread(target=me.at_bank, args=(url, "pay")) for url in urls if url]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()


def spends_credit(me: Member, held: Held) -> None:
    """Some, all of it, or more than there is; every third one then walks away."""
    url = me.pay_url(held, me.chance.choice([1500, 2000, 4500, 9000]))
    if url and me.chance.random() < 0.67:
        me.pays_at(url)


def cancels(me: Member, held: Held) -> None:
    pays(me, held)
    if isinstance(me, ByPages) and held.booking is None:
        found = Booking.objects.filter(hold__token=held.page.rstrip("/").rpartition("/")[2])
        held.booking = found.values_list("pk", flat=True).first()
    me.told.note("wanted to cancel")
    me.cancel(held)


def pays_late(me: Member, held: Held) -> None:
    """Around the hold's end and beyond the grace, with somebody else after the slot."""
    url = me.pay_url(held)
    if not url:
        return
    me.town.lapsing.put(held)
    time.sleep(max(0.0, held.until + me.chance.uniform(-1.0, 12.0) - time.monotonic()))
    me.told.note("paid at or past the hold's end")
    me.pays_at(url, me.chance.choice(["pay", "pay_without_returning"]))


def takes_what_lapses(me: Member, held: Held) -> None:
    """Lets their own go and waits for a slot that somebody is late to pay."""
    me.let_go(held)
    try:
        wanted = me.town.lapsing.get(timeout=TTL_SECONDS)
    except queue.Empty:
        return
    me.workspace = wanted.slot.room.workspace
    time.sleep(max(0.0, wanted.until - time.monotonic()))
    for _ in range(TRIES * 2):
        if found := me.claim(wanted.slot):
            me.told.note("took a slot that had lapsed")
            pays(me, found)
            break
        time.sleep(0.5)


Habit = Callable[[Member, Held], None]
# How many of a hundred have each.
HABITS: list[tuple[Habit, int]] = [
    (pays, 10), (closes_the_browser, 13), (is_declined, 8), (proves_who_they_are, 5),
    (abandons, 7), (lets_go, 7), (pays_in_two_tabs, 6), (spends_credit, 10), (cancels, 12),
    (pays_late, 12), (takes_what_lapses, 10),
]  # fmt: skip


def live(town: Town, *, members: int, rounds: int, over_seconds: float) -> None:
    """All of them, begun one after the other over that time, each some rounds of one habit."""
    habits = [habit for habit, many in HABITS for _ in range(many)]
    random.Random(members).shuffle(habits)
    threads = [
        threading.Thread(target=_life, args=(town, number, habits[number % len(habits)], rounds))
        for number in range(members)
    ]
    for thread in threads:
        thread.start()
        time.sleep(over_seconds / members)
    for thread in threads:
        thread.join()


def _life(town: Town, number: int, habit: Habit, rounds: int) -> None:
    by_api = habit in {spends_credit, takes_what_lapses} or number % 2 == 0
    me: Member = (ByApi if by_api else ByPages)(town, number)
    try:
        for _ in range(rounds):
            held = me.held()
            if held is not None:
                habit(me, held)
    except Exception as error:
        with town.told.lock:
            town.told.wrong.append(f"{habit.__name__} at {datetime.now(UTC):%T}: {error!r}")
    finally:
        me.browser.close()
        connection.close()
