"""Where somebody in line reads how things stand, and where they take an offer."""

from django.urls import reverse

from bookings.links import absolute
from holds.models import Hold, WaitlistEntry


def entry_url(entry: WaitlistEntry) -> str:
    """Their place in line, with the button that leaves it."""
    return absolute(reverse("holds:waiting", args=[entry.token]))


def offer_url(hold: Hold) -> str:
    """What is held for them."""
    return absolute(reverse("holds:hold", args=[hold.token]))
