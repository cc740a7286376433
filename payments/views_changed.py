"""The page after paying for a change of a booking."""

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from bookings.links import manage_token
from config.kernel.errors import DomainError
from holds import pages
from holds.models import Hold
from members.pages import private, see_other
from payments.changed import (
    CANCELLED,
    KEPT,
    MOVED,
    OPEN,
    PROCESSING_STILL,
    UNPAID,
    after_change,
    verdict_of,
)
from payments.models import Signal
from payments.rescheduling import change_of
from payments.settlement import settle_change
from payments.views import elsewhere

log = logging.getLogger(__name__)

_SETTLED = {MOVED, KEPT, UNPAID, CANCELLED}


@require_safe
@private
def after_paying(request: HttpRequest, token: str) -> HttpResponse:
    """Moved, or where it was: arriving here settles, as on the page after paying for a booking."""
    hold = pages.find(token)
    if hold.change is None:
        return see_other(reverse("payments:return", args=[manage_token(hold.booking)]))
    hold, verdict = _settled(hold)
    if verdict == CANCELLED:
        return elsewhere(request, reverse("payments:manage", args=[manage_token(hold.booking)]))
    words = after_change(hold, change_of(hold), verdict)
    is_part = request.headers.get("HX-Request")
    page = "payments/_return_change.html" if is_part else "payments/return_change.html"
    return render(request, page, words)


def _settled(hold: Hold) -> tuple[Hold, str]:
    """What came of it, and the hold as it is by then."""
    change = change_of(hold)
    known = verdict_of(hold, change, hold.booking)
    if known in _SETTLED:
        return hold, known
    try:
        outcomes = settle_change(change_id=change.pk, source=Signal.Source.SUCCESS_PAGE)
    except DomainError as error:
        log.info("change %s is shown as processing: %s", change.pk, error)
        return hold, PROCESSING_STILL
    hold = pages.find(hold.token)
    verdict = verdict_of(hold, change_of(hold), hold.booking)
    is_moving = any(outcome.name == "processing" for outcome in outcomes)
    return hold, PROCESSING_STILL if verdict == OPEN and is_moving else verdict
