"""Addresses that go into mails: absolute, and signed where they stand in for an account."""

from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from bookings.models import Booking

_SALT = "bookings.manage"
_REBOOK_SALT = "bookings.rebook"


def absolute(path: str) -> str:
    """A path of this site as a full address."""
    return f"{settings.SITE_URL}{path}"


def manage_token(booking: Booking) -> str:
    """What lets its bearer see and manage one booking without an account."""
    return _manage_token(booking.pk)


def manage_url(booking: Booking) -> str:
    """The guest's link to a booking; `payments` answers it, since it shows money."""
    return manage_url_of(booking.pk)


def manage_url_of(booking_id: UUID) -> str:
    """The same by the booking's id."""
    return absolute(reverse("payments:manage", args=[_manage_token(booking_id)]))


def pay_again_url(booking: Booking) -> str:
    """The page that says what became of a payment, and takes another where one is needed."""
    return absolute(reverse("payments:return", args=[manage_token(booking)]))


def booking_id_from(token: str) -> UUID | None:
    """The booking that a manage token was made for, or None when it is not one of ours."""
    return _unsigned(token, _SALT)


def rebook_token(booking: Booking) -> str:
    """What leads from a booking that was lost to its nearest equivalent."""
    return signing.Signer(salt=_REBOOK_SALT).sign(booking.pk.hex)


def rebook_url(booking: Booking) -> str:
    """The page that offers the nearest equivalent; opening it holds nothing."""
    return absolute(reverse("payments:rebook", args=[rebook_token(booking)]))


def lost_booking_id_from(token: str) -> UUID | None:
    """The booking that a rebook token was made for, or None when it is not one of ours."""
    return _unsigned(token, _REBOOK_SALT)


def _manage_token(booking_id: UUID) -> str:
    return signing.Signer(salt=_SALT).sign(booking_id.hex)


def _unsigned(token: str, salt: str) -> UUID | None:
    try:
        return UUID(signing.Signer(salt=salt).unsign(token))
    except (signing.BadSignature, ValueError):
        return None
