"""Shorthands for lines: joining one, and what became of it."""

from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.models import Resource
from holds import waitlist
from holds.claims import Claimant
from holds.models import FreedTime, WaitlistEntry
from holds.waitlist import Wish
from holds.waitlist_states import OFFERED
from members.models import Notification, Workspace
from tests.core.support import SOMEBODY, tomorrow


def wait(
    resource: Resource, who: str, start: int = 9, end: int = 10, *, minutes: int = 0, **more: Any
) -> WaitlistEntry:
    """Join a line in a transaction of its own; `who` is the part of the address before the @."""
    return wait_between(resource, who, tomorrow(start), tomorrow(end), minutes=minutes, **more)


def wait_between(
    resource: Resource, who: str, start: datetime, end: datetime, *, minutes: int = 0, **more: Any
) -> WaitlistEntry:
    wish = Wish(resource.pk, start, end, minutes * 60 or None, **more)
    claimant = Claimant(email=f"{who}@example.test", name=who.title())
    with transaction.atomic():
        workspace = Workspace.objects.get(pk=resource.workspace_id)
        return waitlist.join(workspace=workspace, wish=wish, who=claimant, actor=SOMEBODY).entry


def in_line(resource: Resource) -> dict[str, str]:
    """Everybody who ever waited for it, in order, and how they stand."""
    entries = WaitlistEntry.objects.filter(resource=resource).order_by("queued_at", "id")
    return {entry.email.partition("@")[0]: entry.state for entry in entries}


def offers(resource: Resource) -> list[str]:
    """Who has an offer, in the order in which they got it."""
    entries = WaitlistEntry.objects.filter(resource=resource, state=OFFERED)
    return [entry.email.partition("@")[0] for entry in entries.order_by("offered_at")]


def mails(who: str) -> list[str]:
    """The kinds of what was written to somebody about their wait, in order."""
    sent = Notification.objects.filter(to=f"{who}@example.test", kind__startswith="waitlist")
    return [
        kind.removeprefix("waitlist_")
        for kind in sent.order_by("created_at", "id").values_list("kind", flat=True)
    ]


def kept(resource: Resource) -> int:
    """How many marks keep what was freed from passers-by."""
    return FreedTime.objects.filter(resource=resource).count()
