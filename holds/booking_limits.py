"""A member's limits on bookings, counted under the member's own lock (design.md §3, lock order).

The member is known by e-mail address, whatever its case: what a guest books under it counts, and
so does what its member books under another. Confirmed bookings count, and those that are held.
A workspace without such limits is marked so, and its claims ask nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from bookings.errors import LineError
from bookings.limits import HOURS, PER_DAY, Beyond, Booked, Limit, first_beyond
from bookings.models import Booking, BookingLimit
from config.kernel import locks
from holds.subjects import Claimant
from members.models import Workspace

# As far as the month and the weeks around a wish reach.
_AROUND = timedelta(days=40)
_LINES = """
    SELECT b.id, l.resource_id, r.category_id, l.starts_at, l.ends_at, p.timezone
    FROM bookings_booking b
    JOIN bookings_line l ON l.booking_id = b.id
    JOIN bookings_resource r ON r.id = l.resource_id
    JOIN bookings_location p ON p.id = r.location_id
    WHERE l.cancelled_at IS NULL AND {whose}
"""
_HAD = _LINES.format(
    whose="""b.workspace_id = %(workspace)s AND b.id IS DISTINCT FROM %(moving)s::uuid
      AND NOT (b.id = ANY(%(own)s::uuid[]) AND b.state IN ('pending_payment', 'awaiting_approval'))
      AND l.starts_at >= %(start)s AND l.starts_at < %(end)s
      AND (b.member_id IN (SELECT m.id FROM members_member m WHERE m.email = ANY(%(emails)s))
           OR (b.email <> '' AND upper(b.email) = ANY(%(uppers)s)))
      AND (b.state IN ('confirmed', 'completed', 'no_show')
           OR (b.state IN ('pending_payment', 'awaiting_approval') AND EXISTS (
               SELECT 1 FROM holds_hold h WHERE h.booking_id = b.id AND h.change_id IS NULL
                 AND h.state = 'active' AND h.lapses_at > clock_timestamp())))"""
)
_OF_BOOKING = _LINES.format(whose="b.id = %(booking)s ORDER BY l.position")


class BookingLimitReached(LineError):
    """422: `rule`, `limit`, `used`, `asked`, the local `period`, and `frees_at`: when the next one
    begins. `line` is the index of the line that goes beyond.
    """

    code = "booking_limit_reached"
    detail = "That is more than one member may book here."

    @classmethod
    def of(cls, beyond: Beyond) -> "BookingLimitReached":
        period = beyond.period
        return cls(
            _said(beyond),
            line=beyond.line,
            rule=beyond.rule,
            limit=beyond.limit,
            used=beyond.used,
            asked=beyond.asked,
            period={"start": period.first.isoformat(), "end": period.after.isoformat()},
            frees_at=beyond.frees_at.isoformat(),
        )


def subjects(workspace: Workspace, who: Claimant) -> list[str]:
    """What to lock before counting: nothing where nothing is limited, or nobody is named."""
    if not workspace.limits_bookings or who.may_exceed:
        return []
    return [f"bookings:{workspace.pk}:{email}" for email in _emails(who)]


def refuse_beyond(
    workspace: Workspace,
    who: Claimant,
    wanted: Sequence[Booked],
    *,
    own: Collection[UUID] = (),
    moving: UUID | None = None,
    staying: Sequence[Booked] = (),
) -> None:
    """Count what the member has beside the unpaid bookings `own`, which are to be replaced; their
    subjects are locked. Of a booking that is `moving`, only the lines `staying` count.

    Raises BookingLimitReached (422).
    """
    beyond = found_beyond(workspace, who, wanted, own=own, moving=moving, staying=staying)
    if beyond is not None:
        raise BookingLimitReached.of(beyond)


def found_beyond(
    workspace: Workspace,
    who: Claimant,
    wanted: Sequence[Booked],
    *,
    own: Collection[UUID] = (),
    moving: UUID | None = None,
    staying: Sequence[Booked] = (),
) -> Beyond | None:
    """The limit that a wish would break; without the lock as stale as every look."""
    if not subjects(workspace, who):
        return None
    limits = _limits(workspace, wanted)
    if not limits:
        return None
    beside = {"own": list(own), "moving": moving}
    had = _had(workspace, _emails(who), wanted, beside)
    return first_beyond(limits, [*staying, *had], wanted)


def refuse_contact(workspace: Workspace, booking: Booking, email: str) -> None:
    """A held booking is given the e-mail address it did not have: whose it is, is known only now.

    Inside the transaction that writes it, before any other lock. Raises BookingLimitReached.
    """
    named = email.strip().lower()
    if not workspace.limits_bookings or not named or named == booking.email.lower():
        return
    who = Claimant(email=named)
    locks.advisory(subjects(workspace, who))
    refuse_beyond(workspace, who, lines_of(booking.pk), own=[booking.pk])


def lines_of(booking_id: UUID) -> list[Booked]:
    """The lines of one booking, as a wish."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_BOOKING, {"booking": booking_id})
        return [Booked(None, *row[1:]) for row in cursor.fetchall()]


def _emails(who: Claimant) -> list[str]:
    named = {who.email.strip().lower(), who.member.email if who.member else ""}
    return sorted(named - {""})


def _limits(workspace: Workspace, wanted: Iterable[Booked]) -> list[Limit]:
    """Those that count any of what is wanted, the narrowest first."""
    rows = BookingLimit.objects.filter(workspace=workspace).select_related("category", "resource")
    limits = [
        Limit(
            row.category_id,
            row.resource_id,
            row.bookings_per_day,
            row.bookings_per_week,
            row.hours_per_month,
            str(row.resource or row.category or ""),
        )
        for row in rows
    ]
    lines = list(wanted)
    counting = [limit for limit in limits if any(limit.counts(line) for line in lines)]
    return sorted(counting, key=lambda li: (li.resource_id is None, li.category_id is None))


def _had(
    workspace: Workspace, emails: list[str], wanted: Sequence[Booked], beside: dict[str, Any]
) -> list[Booked]:
    with connection.cursor() as cursor:
        cursor.execute(
            _HAD,
            beside
            | {
                "workspace": workspace.pk,
                "emails": emails,
                "uppers": [email.upper() for email in emails],
                "start": min(line.start for line in wanted) - _AROUND,
                "end": max(line.start for line in wanted) + _AROUND,
            },
        )
        return [Booked(*row) for row in cursor.fetchall()]


def _said(beyond: Beyond) -> str:
    """What the limit is, how much of it is used, and when there is room again."""
    first, after = beyond.period.first, beyond.period.after
    where = f" of {beyond.name}" if beyond.name else ""
    days = f"{first:%a} {first.day} {first:%b}"
    if beyond.rule == HOURS:
        most = f"One member can book at most {beyond.limit} hours{where} a month"
        has = f"with this it would be {beyond.used + beyond.asked:g} hours in {first:%B %Y}"
    else:
        a = "day" if beyond.rule == PER_DAY else "week"
        when = f"on {days}" if beyond.rule == PER_DAY else f"in the week from {days}"
        many = "booking" if beyond.limit == 1 else "bookings"
        most = f"One member can make at most {beyond.limit} {many}{where} a {a}"
        has = f"{beyond.used:g} of them {'is' if beyond.used == 1 else 'are'} used {when}"
    return f"{most}, and {has}. There is room again from {after:%a} {after.day} {after:%b}."
