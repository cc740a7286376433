"""The booking that a guest's link opens."""

from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.links import booking_id_from
from bookings.models import Booking


def booking_by_link(token: str) -> Booking:
    """The booking with its workspace; 404 for a link that is not ours."""
    booking_id = booking_id_from(token)
    if booking_id is None:
        raise Http404("not a link of ours")
    return get_object_or_404(Booking.objects.select_related("workspace"), pk=booking_id)
