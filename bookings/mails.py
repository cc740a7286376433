"""Mails about bookings, as unsaved Notification rows (`effects.py` says when)."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import models

from bookings import ics_invitations
from bookings.ics_invitations import Invitation
from bookings.links import absolute, manage_url, pay_again_url, rebook_url
from bookings.models import Booking, Change, Line, Series
from bookings.moved import without_add_ons
from bookings.together import together
from bookings.words import change_text, moment_text, window_text
from config.kernel.money import Money
from members.mail import notification
from members.models import Notification

Shown = dict[str, Any]


def confirmation(booking: Booking, receipt: Shown | None = None) -> list[Notification]:
    """Reference, when, where, a calendar file, the guest's link, and the receipt if one is due."""
    once = f"receipt {receipt['number']}" if receipt else ""
    return _mail("confirmation", booking, once=once, receipt=receipt, invitations=_invites(booking))


def rescheduled(
    booking: Booking,
    change: Change,
    receipt: Shown | None = None,
    *,
    money: Shown | None = None,
    reason: str = "",
) -> list[Notification]:
    """It was moved: from where to where, a calendar file that moves it there too, and the money.

    `receipt` is for what was paid for it; `money` says what is given back: `to_card` and
    `to_credit`, as words or empty. `reason` is why, where whoever moved it said so.
    """
    return _mail(
        "rescheduled",
        booking,
        once=str(change.pk),
        receipt=receipt,
        money=money,
        reason=reason,
        before=_before(booking, change),
        invitations=_invites(booking, only=_lines_of(change.lines)),
    )


def not_rescheduled(
    booking: Booking, *, amount: Money, payment: str, because: str, given_back: bool
) -> list[Notification]:
    """They paid for a change that could not be made any more: the booking is where it was."""
    return _mail(
        "not_rescheduled",
        booking,
        once=payment,
        amount=str(amount),
        because=because,
        given_back=given_back,
    )


def change_lapsed(booking: Booking, change: Change) -> list[Notification]:
    """Nobody paid for the change in time: the booking is where it was."""
    return _mail("change_lapsed", booking, once=str(change.pk))


def pay_for_change(
    booking: Booking, change: Change, *, amount: Money, until: datetime, url: str, reason: str
) -> list[Notification]:
    """Staff keep another time for them: this is what it costs more, and until when."""
    said: dict[str, Any] = {"amount": str(amount), "until": moment_text(until, _zone(booking))}
    return _mail(
        "pay_for_change",
        booking,
        once=str(change.pk),
        wanted=_wanted(booking, change),
        pay_url=url,
        reason=reason,
        **said,
    )


def cancellation(booking: Booking, reason: str, money: Shown | None = None) -> list[Notification]:
    """It is cancelled; the calendar file takes it out of calendars again.

    `money` says what is given back: `to_card`, `to_credit` and `kept`, as words or empty.
    """
    return _mail(
        "cancellation", booking, reason=reason, money=money, invitations=_takes_out(booking)
    )


def series_booked(
    series: Series, bookings: list[Booking], *, pay_by: dict[str, datetime]
) -> list[Notification]:
    """All of a series that is paid each: when, and the link to pay each by its deadline.

    `pay_by` is by booking id; who is not in it owes nothing.
    """
    first, zone = bookings[0], ZoneInfo(series.resource.location.timezone)
    told = [
        {
            "when": window_text(b.starts_at, b.ends_at, zone),
            "total": str(b.total),
            "url": pay_again_url(b) if str(b.pk) in pay_by else manage_url(b),
            "pay_by": moment_text(pay_by[str(b.pk)], zone) if str(b.pk) in pay_by else "",
        }
        for b in bookings
    ]
    return _mail(
        "series", first, once=str(series.pk), resource=series.resource.name, occurrences=told
    )


def pay_soon(booking: Booking, *, amount: Money, until: datetime) -> list[Notification]:
    """A booking that is theirs and still to be paid; once."""
    said: dict[str, Any] = {"amount": str(amount), "until": moment_text(until, _zone(booking))}
    return _mail("pay_soon", booking, once="soon", pay_url=pay_again_url(booking), **said)


def lines_cancelled(
    booking: Booking, dropped: list[Shown], reason: str, money: Shown | None = None
) -> list[Notification]:
    """Some of its lines are given up, the others stand. `money` as in `cancellation`."""
    return _mail(
        "lines_cancelled",
        booking,
        dropped=_windows(booking, dropped),
        reason=reason,
        money=money,
        invitations=_takes_out(booking, only=_lines_of(dropped)),
    )


def refunded(
    booking: Booking,
    *,
    amount: Money,
    to: str,
    cause: str,
    once: str,
    reason: str = "",
    receipt: Shown | None = None,
) -> list[Notification]:
    """Money is on its card (`to` is card) or is credit; `once` names the refund."""
    return _mail(
        "refund",
        booking,
        once=once,
        amount=str(amount),
        to=to,
        cause=cause,
        reason=reason,
        receipt=receipt,
    )


def expiry(booking: Booking) -> list[Notification]:
    """Their hold ended before they paid."""
    return _mail("expiry", booking, ended_at=moment_text(_ended(booking), _zone(booking)))


def released_by_staff(booking: Booking, reason: str) -> list[Notification]:
    """Somebody of the workspace took the hold away, and says why."""
    return _mail("released", booking, reason=reason)


def reminder(booking: Booking) -> list[Notification]:
    """The day before."""
    return _mail("reminder", booking, invitations=_invites(booking))


def not_charged(
    booking: Booking, *, amount: Money, payment: str, because: str, goodwill: Money | None = None
) -> list[Notification]:
    """They paid, it could not be accepted, nothing was charged; once for each payment."""
    kind = "paid_twice" if because == "duplicate" else "not_charged"
    return _mail(
        kind, booking, once=payment, amount=str(amount), because=because, **_said(goodwill)
    )


def given_back(
    booking: Booking, *, amount: Money, payment: str, because: str, goodwill: Money | None = None
) -> list[Notification]:
    """They paid by a method that is taken at once, and it bought nothing: it is on its way back."""
    return _mail(
        "given_back", booking, once=payment, amount=str(amount), because=because, **_said(goodwill)
    )


def capture_failed(
    booking: Booking, *, amount: Money, payment: str, until: datetime
) -> list[Notification]:
    """It is theirs, but their bank did not hand the money over: pay again by then."""
    said: dict[str, Any] = {"amount": str(amount), "until": moment_text(until, _zone(booking))}
    return _mail(
        "capture_failed", booking, once=payment, pay_again_url=pay_again_url(booking), **said
    )


def processing(
    booking: Booking, *, amount: Money, payment: str, until: datetime
) -> list[Notification]:
    """Their bank takes its time; so long the slot is kept."""
    said: dict[str, Any] = {"amount": str(amount), "until": moment_text(until, _zone(booking))}
    return _mail("processing", booking, once=payment, **said)


def processing_too_long(booking: Booking) -> list[Notification]:
    """Their bank took too much of it: the slot is free again, the payment still under way."""
    return _mail("processing_too_long", booking)


def requested(booking: Booking, *, until: datetime, by_card: bool) -> list[Notification]:
    """Their request is sent; and the workspace's, that somebody asks. Nothing was charged."""
    said: dict[str, Any] = {"until": moment_text(until, _zone(booking)), "by_card": by_card}
    mine = _mail("requested", booking, **said)
    desk = booking.workspace.contact_email
    if not desk:
        return mine
    waiting = notification(
        kind="request_waiting",
        to=desk,
        once=f"request_waiting:{booking.pk}",
        workspace=booking.workspace,
        subject=booking,
        context=_about(booking)
        | said
        | {"admin_url": absolute(f"/admin/bookings/booking/{booking.pk}/change/")},
    )
    return [*mine, waiting]


def not_approved(booking: Booking, *, reason: str) -> list[Notification]:
    """Staff said no, with their reason; or did not answer in time. Nothing was charged."""
    return _mail("not_approved", booking, reason=reason)


def approved_to_pay(
    booking: Booking, *, amount: Money, until: datetime, url: str
) -> list[Notification]:
    """Approved, but the bank has let go of the money meanwhile: pay by then."""
    said: dict[str, Any] = {
        "amount": str(amount),
        "until": moment_text(until, _zone(booking)),
        "pay_url": url,
    }
    return _mail("approved_to_pay", booking, **said)


def pay_by_link(
    booking: Booking, *, amount: Money, until: datetime, url: str, reason: str = ""
) -> list[Notification]:
    """Staff hold something for them: pay by then and it is theirs."""
    said: dict[str, Any] = {
        "amount": str(amount),
        "until": moment_text(until, _zone(booking)),
        "pay_url": url,
    }
    return _mail("pay_by_link", booking, reason=reason, **said)


def payment_failed(booking: Booking, *, amount: Money, payment: str) -> list[Notification]:
    """Their bank said no after all; nothing was charged, nothing is theirs."""
    return _mail("payment_failed", booking, once=payment, amount=str(amount))


def _said(goodwill: Money | None) -> dict[str, Any]:
    return {"goodwill": str(goodwill) if goodwill else ""}


def _mail(
    kind: str,
    booking: Booking,
    *,
    once: str = "",
    invitations: Callable[[], list[Invitation]] | None = None,
    **context: Any,
) -> list[Notification]:
    if not booking.email:
        return []
    events = invitations() if invitations else []
    return [
        notification(
            kind=kind,
            to=booking.email,
            once=f"{kind}:{booking.pk}:{once or booking.version}",
            workspace=booking.workspace,
            subject=booking,
            context=_about(booking) | context,
            attachments=[event.attachment for event in events],
            # What is about one event is shown as an invitation; several are files alone.
            alternatives=[event.alternative for event in events] if len(events) == 1 else [],
        )
    ]


def _about(booking: Booking) -> dict[str, Any]:
    standing = [line for line in _lines(booking) if line.cancelled_at is None]
    lines = [
        {
            "resource": line.resource.name,
            "quantity": line.quantity,
            "add_ons": group.said,
            "when": window_text(
                line.starts_at, line.ends_at, ZoneInfo(line.resource.location.timezone)
            ),
            "location": line.resource.location.name,
            "address": line.resource.location.address,
            "directions": line.resource.location.directions,
        }
        for group in together(standing)
        for line in [group.line]
    ]
    return {
        "booking": booking,
        "lines": lines,
        "total": str(booking.total) if booking.total_minor else "",
        "manage_url": manage_url(booking),
        "rebook_url": rebook_url(booking),
        "home_url": absolute(f"/w/{booking.workspace.slug}/"),
    }


def read_ahead(bookings: Sequence[Booking]) -> None:
    """Read for many bookings at once what a mail about each says."""
    shown = Line.objects.select_related("resource__location")
    models.prefetch_related_objects(
        bookings, "workspace", models.Prefetch("lines", queryset=shown, to_attr="read_ahead")
    )


def _lines(booking: Booking) -> Iterable[Line]:
    ahead: list[Line] | None = getattr(booking, "read_ahead", None)
    return booking.lines.select_related("resource__location") if ahead is None else ahead


def _before(booking: Booking, change: Change) -> list[str]:
    """What each line that moved was, as words."""
    return _windows(booking, [wanted["before"] for wanted in without_add_ons(change.lines)])


def _wanted(booking: Booking, change: Change) -> list[str]:
    """What each line that moves is to be, as words."""
    return _windows(booking, without_add_ons(change.lines))


def _windows(booking: Booking, windows: list[Shown]) -> list[str]:
    ids = {window["resource"] for window in windows}
    resources = {
        str(r.pk): r
        for r in booking.workspace.resources.select_related("location").filter(pk__in=ids)
    }
    return [change_text(window, resources[window["resource"]]) for window in windows]


def _invites(
    booking: Booking, *, only: Collection[UUID] | None = None
) -> Callable[[], list[Invitation]]:
    return lambda: ics_invitations.requests(booking, only=only)


def _takes_out(
    booking: Booking, *, only: Collection[UUID] | None = None
) -> Callable[[], list[Invitation]]:
    return lambda: ics_invitations.cancellations(booking, only=only)


def _lines_of(windows: Iterable[Shown]) -> set[UUID]:
    return {UUID(window["line"]) for window in windows}


def _zone(booking: Booking) -> ZoneInfo:
    return ZoneInfo(booking.workspace.timezone)


def _ended(booking: Booking) -> Any:
    return booking.ended_at or booking.created_at
