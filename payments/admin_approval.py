"""Requests that wait for staff: a list on the first screen, and the two answers to them."""

from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from bookings.models import Booking
from bookings.states import AWAITING_APPROVAL
from holds.admin import WITH_RESOURCES, lines_said
from holds.models import Hold
from holds.states import ACTIVE
from members.admin_scope import Access, staff_actor
from members.admin_words import Deed, OptionalReasonForm, ReasonForm, said_moment
from payments import approval
from payments.models import Payment
from payments.states import AUTHORISED

MOST_ROWS = 8


def waiting(bookings: "QuerySet[Booking]") -> "QuerySet[Booking]":
    """Requests that were sent and can still be answered; near enough for showing."""
    live = Q(holds__change=None, holds__state=ACTIVE, holds__lapses_at__gt=timezone.now())
    return bookings.filter(live, state=AWAITING_APPROVAL, requested_at__isnull=False)


def worklist(access: Access) -> dict[str, Any]:
    """The requests of all their workspaces, the soonest to run out first."""
    rows = access.limit(waiting(Booking.objects.all()), "workspace")
    rows = rows.select_related("workspace").prefetch_related(
        Prefetch("lines", WITH_RESOURCES), Prefetch("holds", Hold.objects.filter(change=None))
    )
    found = list(rows.order_by("holds__lapses_at")[: MOST_ROWS + 1])
    return {
        "rows": [_row(booking) for booking in found[:MOST_ROWS]],
        "more": len(found) > MOST_ROWS,
        "url": f"{reverse('admin:bookings_booking_changelist')}?state={AWAITING_APPROVAL}",
    }


def _row(booking: Booking) -> dict[str, Any]:
    (hold,) = booking.holds.all()
    return {
        "url": reverse("admin:bookings_booking_change", args=[booking.pk]),
        "approve": reverse("admin:bookings_booking_approve", args=[booking.pk]),
        "decline": reverse("admin:bookings_booking_decline", args=[booking.pk]),
        "name": booking.name or booking.email or booking.reference,
        "what": lines_said(list(booking.lines.all())),
        "until": said_moment(hold.expires_at, booking.workspace.timezone),
    }


def is_waiting(booking_id: Any) -> bool:
    """Whether the answers can be offered."""
    return waiting(Booking.objects.filter(pk=booking_id)).exists()


def approve(request: HttpRequest, booking: Booking, *, back: str) -> Deed:
    """Say yes."""
    money = _money(booking)
    return Deed(
        title=f"Approve booking {booking.reference}",
        effects=[
            f"{lines_said(list(booking.lines.all()))} is theirs.",
            f"{money} is charged to the card that they gave."
            if money
            else "Nothing is charged to a card.",
            "The member gets the confirmation by mail.",
            *(["Should their bank have let go of it, they get a link to pay."] if money else []),
        ],
        button=f"Approve and charge {money}" if money else "Approve",
        done=f"{booking.reference} is approved.",
        back=back,
        perform=lambda form: approval.approve(
            booking_id=booking.pk,
            actor=staff_actor(request),
            reason=form.cleaned_data["reason"].strip(),
        ),
        dangerous=False,
        form=OptionalReasonForm,
    )


def decline(request: HttpRequest, booking: Booking, *, back: str) -> Deed:
    """Say no, and why."""
    money = _money(booking)
    return Deed(
        title=f"Decline booking {booking.reference}",
        effects=[
            f"{lines_said(list(booking.lines.all()))} is free for others at once.",
            f"{money} is not charged: the authorisation is let go."
            if money
            else "Nothing was charged; credit that was put aside comes back.",
            "The member is told, with your reason.",
        ],
        button="Decline and free the slot",
        done=f"{booking.reference} is declined and its slot is free.",
        back=back,
        perform=lambda form: approval.let_go(
            booking_id=booking.pk,
            actor=staff_actor(request),
            reason=form.cleaned_data["reason"].strip(),
        ),
        form=ReasonForm,
    )


def _money(booking: Booking) -> str:
    """What waits on a card; empty for nothing."""
    found = Payment.objects.filter(due__booking=booking, state=AUTHORISED, verdict="").first()
    return str(found.amount) if found else ""
