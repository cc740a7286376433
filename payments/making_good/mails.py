"""The mail that says sorry."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core import signing
from django.urls import reverse

from bookings.links import absolute
from bookings.models import Resource
from bookings.words import window_text
from config.kernel.money import Money
from members.mail import notification
from members.models import Notification
from payments.making_good.wishes import wished
from payments.models import Apology, Incident

_SALT = "payments.apology"


def apology(apology: Apology, incident: Incident) -> Notification:
    """What happened, that we are sorry, the credit, and a link to book again."""
    entry = apology.credit_entry
    credit = str(Money(entry.amount_minor, apology.currency)) if entry else ""
    return notification(
        kind="apology",
        to=apology.email,
        once=f"apology:{apology.pk}",
        workspace=apology.workspace,
        subject=apology,
        context={
            "words": incident.words,
            "credit": credit,
            "credit_until": entry.expires_at if entry else None,
            "lines": _said(apology),
            "again_url": absolute(reverse("payments:again", args=[token_of(apology)])),
        },
    )


def token_of(apology: Apology) -> str:
    """What lets its bearer book again what they had wanted."""
    return signing.Signer(salt=_SALT).sign(apology.pk.hex)


def apology_id_from(token: str) -> UUID | None:
    """The apology that a token was made for, or None when it is not one of ours."""
    try:
        return UUID(signing.Signer(salt=_SALT).unsign(token))
    except (signing.BadSignature, ValueError):
        return None


def _said(apology: Apology) -> list[dict[str, Any]]:
    wishes = wished(apology)
    places = Resource.objects.select_related("location").in_bulk([w.resource_id for w in wishes])
    return [
        {
            "resource": places[wish.resource_id].name,
            "when": window_text(
                wish.start, wish.end, ZoneInfo(places[wish.resource_id].location.timezone)
            ),
        }
        for wish in wishes
        if wish.resource_id in places
    ]
