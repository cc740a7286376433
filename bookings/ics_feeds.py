"""Links to read calendars by: made, found and revoked."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import transaction
from django.db.models import DateTimeField, Func
from django.urls import reverse

from bookings.ics_entries import Shown
from bookings.ics_feed import render
from bookings.ics_feed_rows import Span, content_of, sources_of
from bookings.links import absolute
from bookings.models import CalendarFeed, Location, Resource
from config.kernel import clock
from config.kernel.errors import InvalidInput
from members.models import Member

_NOW = Func(function="clock_timestamp", output_field=DateTimeField())
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Found:
    """A live feed as it was asked for: what it is called, and the database's time of it."""

    feed: CalendarFeed
    now: datetime

    @property
    def title(self) -> str:
        place = self.feed.resource or self.feed.location
        return f"{place.name} ({place.workspace.name})" if place else "My bookings"

    @property
    def span(self) -> Span:
        return Span.at(self.now)


def of_member(member: Member) -> CalendarFeed | None:
    """The member's own link, if they have one."""
    return CalendarFeed.objects.filter(member=member, revoked_at=None).first()


def make_for_member(member: Member) -> CalendarFeed:
    """A link to all of a member's bookings; the one before it is revoked."""
    with transaction.atomic():
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        revoke_of_member(member)
        return save_new(CalendarFeed(member=member, shown=Shown.MINE, created_by=member))


def make_for(
    place: Resource | Location, *, shown: str, by: Member | None, name: str = ""
) -> CalendarFeed:
    """A link to what is booked of a resource or at a location, with names or without.

    Raises InvalidInput for what only a member's own link shows.
    """
    if shown == Shown.MINE:
        raise InvalidInput("Only members have links to their own bookings.")
    feed = CalendarFeed(workspace=place.workspace, shown=shown, created_by=by, name=name)
    setattr(feed, "resource" if isinstance(place, Resource) else "location", place)
    return save_new(feed)


def save_new(feed: CalendarFeed) -> CalendarFeed:
    """Give an unsaved feed its secret, and save it."""
    feed.token = secrets.token_urlsafe(32)
    feed.digest = _digest(feed.token)
    feed.save(force_insert=True)
    return feed


def revoke(feed: CalendarFeed) -> None:
    """It answers nobody from now on. Revoking twice changes nothing."""
    CalendarFeed.objects.filter(pk=feed.pk, revoked_at=None).update(revoked_at=clock.now())


def revoke_of_member(member: Member) -> None:
    """The member's own link, if there is one."""
    CalendarFeed.objects.filter(member=member, revoked_at=None).update(revoked_at=clock.now())


def address_of(feed: CalendarFeed) -> str:
    """The secret link; empty where the key that it was kept under is gone."""
    if feed.digest != _digest(feed.token):
        return ""
    return absolute(reverse("bookings:feed", args=[feed.token]))


def feed_words(member: Member) -> dict[str, str]:
    """A member's own link for their page, and the same as programs take it; empty without one."""
    feed = of_member(member)
    address = address_of(feed) if feed else ""
    return {"feed": address, "subscribe": f"webcal://{address.partition('://')[2]}"}


def find(token: str) -> tuple[CalendarFeed, datetime] | None:
    """The feed under this token, revoked or not, and the time. One query."""
    feed = (
        CalendarFeed.objects.select_related("member", "resource__workspace", "location__workspace")
        .defer("token")
        .annotate(now=_NOW)
        .filter(digest=_digest(token))
        .first()
    )
    return (feed, feed.now) if feed else None


def is_live(feed: CalendarFeed) -> bool:
    """Whether it is to be answered: neither revoked nor of a member who is shut out."""
    return feed.revoked_at is None and (feed.member is None or feed.member.is_active)


def state_of(found: Found) -> tuple[str, datetime]:
    """What the feed says now, as a digest, and since when; one query while nothing changes.

    "Since" is when we first saw it, so that a name that changes counts as well as a booking; always
    a second later than before, since HTTP tells whole seconds. The day of a visit is kept with it.
    """
    feed, now = found.feed, found.now
    content = content_of(feed, found.span, found.title)
    since = feed.content_since
    if content != feed.content or since is None:
        since = max(now, since + _SECOND) if since else now
    if content != feed.content or feed.last_fetched_on != now.date():
        CalendarFeed.objects.filter(pk=feed.pk).update(
            content=content, content_since=since, last_fetched_on=now.date()
        )
    return content, since


def file_of(found: Found) -> bytes:
    """All of it; one query."""
    sources = sources_of(found.feed, found.span)
    return render(found.title, sources, Shown(found.feed.shown), now=found.now)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
