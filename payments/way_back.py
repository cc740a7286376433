"""The way back from the payment page to the site that a publishable key stands on.

It leads by here, so that what was paid is settled before the site asks what came of it: as on our
own page after paying, with no webhook and no worker needed. The address is signed, since a page
that redirects to any address would be lent to others.
"""

import logging
from typing import Any
from uuid import UUID

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from bookings.links import absolute
from config.kernel.errors import DomainError
from holds.models import Hold
from members.pages import private, see_other
from payments.models import Signal
from payments.settlement import settle_booking, settle_change

log = logging.getLogger(__name__)
_SIGNER = signing.Signer(salt="payments.way_back")


def settled_first(hold_id: UUID, url: str) -> str:
    """Our address that settles what was paid for a hold, then leads to `url`; always the same."""
    signed = _SIGNER.sign_object({"hold": str(hold_id), "url": url})
    return absolute(reverse("payments:way_back", args=[signed]))


@require_safe
@private
def way_back(request: HttpRequest, signed: str) -> HttpResponse:
    """Settle, then on to the site. Stripe being away changes nothing: the webhook settles, too.

    The site may have opened the payment page in a window of its own and still watch it, which the
    header would forbid that our other pages have.
    """
    said = _read(signed)
    hold = Hold.objects.filter(pk=said["hold"]).first()
    if hold is not None:
        try:
            _settle(hold)
        except DomainError as error:
            log.info("hold %s is settled later: %s", hold.pk, error)
    response = see_other(said["url"])
    response["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response


def _settle(hold: Hold) -> None:
    source = Signal.Source.SUCCESS_PAGE
    if hold.change_id is not None:
        settle_change(change_id=hold.change_id, source=source)
    else:
        settle_booking(booking_id=hold.booking_id, source=source)


def _read(signed: str) -> dict[str, Any]:
    try:
        return dict(_SIGNER.unsign_object(signed))
    except (signing.BadSignature, ValueError):
        raise Http404("no such address") from None
