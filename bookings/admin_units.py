"""At the counter: which units of a pool go out for a booking, and which have come back."""

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest

from bookings import units
from bookings.models import Booking, Line, Unit, UnitAssignment
from members.admin_scope import staff_actor
from members.admin_words import Deed, OptionalReasonForm


def has_units(booking_id: Any) -> bool:
    """Whether any of what is booked has units by name."""
    return Unit.objects.filter(resource__lines__booking=booking_id).exists()


def deed(request: HttpRequest, booking: Booking, *, back: str) -> Deed:
    """A form with the units of each line; those that are out are marked."""
    lines = [
        line
        for line in booking.lines.select_related("resource").order_by("position")
        if line.resource.units.exists()
    ]
    fields = {str(line.pk): _field(line) for line in lines}
    form = type("UnitsForm", (_UnitsForm,), fields)

    def perform(answered: forms.Form) -> None:
        chosen = {
            line.pk: [UUID(each) for each in answered.cleaned_data[str(line.pk)]] for line in lines
        }
        units.hand_over(booking_id=booking.pk, units=chosen, actor=staff_actor(request))

    return Deed(
        title=f"Hand over and take back: {booking.reference}",
        effects=["What is marked is out; what is not has come back. It changes no availability."],
        button="Save what is out",
        done="Saved.",
        back=back,
        perform=perform,
        dangerous=False,
        form=form,
    )


class _UnitsForm(OptionalReasonForm):
    """One field for each line; nobody is asked why."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["reason"]


def _field(line: Line) -> forms.MultipleChoiceField:
    """The units in use and those that are out for the line; others' that are out then are not."""
    mine = UnitAssignment.objects.filter(line=line, returned_at=None).values_list("unit", flat=True)
    elsewhere = UnitAssignment.objects.filter(
        unit__resource=line.resource,
        returned_at=None,
        during__overlap=(line.starts_at, line.ends_at),
    ).exclude(line=line)
    free = Unit.objects.filter(resource=line.resource).filter(
        Q(is_active=True) & ~Q(pk__in=elsewhere.values("unit")) | Q(pk__in=mine)
    )
    many = "1 unit" if line.quantity == 1 else f"{line.quantity} units"
    return forms.MultipleChoiceField(
        label=f"{line.resource.name}, {many}",
        required=False,
        choices=[(str(unit.pk), unit.label) for unit in free],
        initial=[str(unit_id) for unit_id in mine],
        widget=forms.CheckboxSelectMultiple,
    )
