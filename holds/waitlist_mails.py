"""Mails to those who wait, as unsaved Notification rows (`effects.py` says when).

None says how many are ahead: whom something fits depends on what becomes free.
"""

from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse

from bookings.links import absolute
from bookings.models import Resource
from bookings.words import moment_text
from holds.models import WaitlistEntry
from holds.waitlist_links import entry_url, offer_url
from holds.waitlist_words import wish_text
from members.mail import notification
from members.models import Notification


def joined(entry: WaitlistEntry) -> list[Notification]:
    """They are in line, and how to leave it."""
    return _mail("waitlist_joined", entry)


def offered(entry: WaitlistEntry) -> list[Notification]:
    """It is held for them: until when, and the link."""
    hold = entry.hold
    assert hold is not None
    until = moment_text(hold.expires_at, _zone(entry))
    line = hold.lines[0]
    window = wish_text(line.starts_at, line.ends_at, None, entry.resource)
    return _mail("waitlist_offered", entry, until=until, url=offer_url(hold), window=window)


def passed(entry: WaitlistEntry) -> list[Notification]:
    """Their time to take it is over."""
    return _mail("waitlist_passed", entry)


def over(entry: WaitlistEntry) -> list[Notification]:
    """It did not become free in time."""
    return _mail("waitlist_over", entry)


def removed(entry: WaitlistEntry, reason: str) -> list[Notification]:
    """Staff took them off the list, and why."""
    return _mail("waitlist_removed", entry, reason=reason)


def _mail(kind: str, entry: WaitlistEntry, **said: Any) -> list[Notification]:
    resource = Resource.objects.select_related("location").get(pk=entry.resource_id)
    entry.resource = resource
    workspace = entry.workspace
    page = reverse("bookings:resource", args=[workspace.slug, resource.slug])
    context = {
        "entry": entry,
        "resource": resource,
        "wish": wish_text(entry.starts_at, entry.ends_at, entry, resource),
        "entry_url": entry_url(entry),
        "resource_url": absolute(page),
        "minutes": workspace.waitlist_ttl_seconds // 60,
    }
    return [
        notification(
            kind=kind,
            to=entry.email,
            once=f"{kind}:{entry.pk}",
            workspace=workspace,
            subject=entry,
            context=context | said,
        )
    ]


def _zone(entry: WaitlistEntry) -> ZoneInfo:
    return ZoneInfo(entry.resource.location.timezone)
