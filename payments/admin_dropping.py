"""Staff cancel a part of a booking: which lines, what is given back, and why."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from bookings.models import Booking, Line
from bookings.states import CONFIRMED
from config.kernel.errors import DomainError
from holds.admin import line_said
from members.admin_scope import staff_actor
from members.admin_words import Deed, ReasonForm
from payments import dropping
from payments.cancelling import FULL, NONE, POLICY, Back
from payments.holding import placed
from payments.models import Refund


def is_offered(booking_id: Any) -> bool:
    """Whether a booking has more than one line that stands."""
    standing = Line.objects.filter(
        booking_id=booking_id, booking__state=CONFIRMED, cancelled_at=None, parent=None
    )
    return standing.count() > 1


def deed(request: HttpRequest, booking: Booking, *, back: str) -> Deed:
    """Cancel some lines of a confirmed booking; the others stand."""
    lines = list(
        booking.lines.filter(cancelled_at=None, parent=None)
        .select_related("resource__location")
        .order_by("position")
    )

    class LinesForm(ReasonForm):
        """Which lines, and what is given back of them."""

        lines_ = forms.TypedMultipleChoiceField(
            label="Cancel",
            choices=[(line.position, line_said(line)) for line in lines],
            coerce=int,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
        )
        refund = forms.ChoiceField(
            label="Give back",
            choices=[(POLICY, "By the policy"), (FULL, "All of it"), (NONE, "Nothing")],
            widget=UnfoldAdminSelectWidget(),
        )
        to = forms.ChoiceField(choices=Refund.To.choices, widget=UnfoldAdminSelectWidget())
        field_order = ("lines_", "refund", "to", "reason")

    def perform(form: Any) -> None:
        said = form.cleaned_data
        placed(
            lambda: dropping.cancel_lines(
                booking_id=booking.pk,
                positions=said["lines_"],
                actor=staff_actor(request),
                reason=said["reason"].strip(),
                back=Back(said["refund"], said["to"]),
            )
        )

    return Deed(
        title=f"Cancel a part of booking {booking.reference}",
        effects=[_effect(booking, line.position, line_said(line)) for line in lines],
        button="Cancel what is ticked and free its time",
        done="It is cancelled, and its time is free.",
        back=back,
        perform=perform,
        form=LinesForm,
    )


def _effect(booking: Booking, position: int, said: str) -> str:
    """What cancelling one line alone would give back by the policy."""
    try:
        told = dropping.preview(booking, [position])
    except DomainError as error:
        return f"{said}: {error.message}"
    return f"{said}: {told.given_back} back by the policy, {told.kept} kept."
