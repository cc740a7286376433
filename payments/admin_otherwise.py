"""What is not paid by card: staff say that they were paid, ask for nothing, or gave money back."""

from decimal import Decimal
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bookings.models import Booking
from bookings.states import CONFIRMED
from config.kernel.money import Money, exponent, minor_of
from holds.models import Hold
from holds.states import ACTIVE
from members.admin_scope import staff_actor
from members.admin_words import Deed, OptionalReasonForm, said_moment
from payments import complimentary, external, refunding
from payments.external import METHODS, Received
from payments.models import Due, Refund


def open_due(booking_id: Any) -> Due | None:
    """What of a booking can be settled in another way: what is held for it, or is to be paid again.

    For showing; the services decide under the locks.
    """
    unsettled = Due.objects.select_related("booking").filter(booking_id=booking_id, settled_at=None)
    return next((due for due in unsettled.order_by("-created_at") if _is_open(due)), None)


def _is_open(due: Due) -> bool:
    if due.pay_again_until is not None:
        return due.booking.state == CONFIRMED
    hold = hold_of(due)
    return hold.state == ACTIVE and hold.lapses_at > timezone.now()


def hold_of(due: Due) -> Hold:
    return Hold.objects.get(booking_id=due.booking_id, change=due.change_id)


class PaidForm(OptionalReasonForm):
    """How they paid, which payment it is in the books, and how much."""

    method = forms.ChoiceField(
        choices=list(METHODS.items()), label="Paid by", widget=UnfoldAdminSelectWidget()
    )
    reference = forms.CharField(
        max_length=120,
        widget=UnfoldAdminTextInputWidget,
        help_text="Its number in your books. One number is one payment.",
    )
    amount = forms.DecimalField(
        min_value=0, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
    )
    field_order = ("method", "reference", "amount", "reason")


def paid_otherwise(request: HttpRequest, booking: Booking, due: Due, *, back: str) -> Deed:
    """Record that what is owed was paid by hand."""
    hold = hold_of(due)
    owed = Decimal(due.amount_minor).scaleb(-exponent(due.currency))

    class Form(PaidForm):
        """With what is owed filled in."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            number = booking.reference if due.change_id is None else f"{booking.reference}-change"
            kwargs["initial"] = {"amount": owed, "reference": number}
            super().__init__(*args, **kwargs)

    def perform(form: PaidForm) -> None:
        given = form.cleaned_data
        amount = Money(minor_of(given["amount"], due.currency), due.currency)
        external.record_offline(
            hold_id=hold.pk,
            received=Received(given["method"], given["reference"].strip(), amount),
            actor=staff_actor(request),
            reason=given["reason"].strip(),
        )

    return Deed(
        title=f"Booking {booking.reference} was paid in another way",
        effects=[f"{due.amount} is owed.", *_what_follows(booking, hold), _MAIL],
        button=f"It was paid: book {due.amount} in",
        done=f"{due.amount} is booked in, and {booking.reference} is theirs.",
        back=back,
        perform=perform,
        dangerous=False,
        form=Form,
    )


_MAIL = "The member gets the confirmation with a receipt by mail."


def ask_nothing(request: HttpRequest, booking: Booking, due: Due, *, back: str) -> Deed:
    """Make it complimentary."""
    hold = hold_of(due)
    return Deed(
        title=f"Ask no money for booking {booking.reference}",
        effects=[
            f"{due.amount} is waived, and stays visible as waived.",
            *_what_follows(booking, hold),
            "The member gets the confirmation by mail.",
        ],
        button=f"Waive {due.amount}",
        done=f"{booking.reference} is complimentary.",
        back=back,
        perform=lambda reason: complimentary.waive(
            hold_id=hold.pk, actor=staff_actor(request), reason=reason
        ),
    )


def _what_follows(booking: Booking, hold: Hold) -> list[str]:
    zone = booking.workspace.timezone
    if hold.state != ACTIVE:
        return ["The booking is confirmed already, and still to be paid."]
    said = [f"What is held until {said_moment(hold.expires_at, zone)} is confirmed at once."]
    if hold.has_open_checkout:
        said.append(
            "They are on the payment page now. It is closed first; if they have paid by then, "
            "nothing else is done and you are told so."
        )
    return said


def given_by_hand(request: HttpRequest, refund: Refund, *, back: str) -> Deed:
    """Say that money has been handed back."""
    return Deed(
        title=f"{refund.amount} was given back by hand",
        effects=[
            f"It came by {refund.payment.name}; no money moves now.",
            f"{refund.amount} counts as given back, and the member gets a note by mail.",
        ],
        button=f"{refund.amount} was given back",
        done="It is written down as given back.",
        back=back,
        perform=lambda reason: refunding.given_by_hand(
            refund_id=refund.pk, actor=staff_actor(request), reason=reason
        ),
        dangerous=False,
    )
