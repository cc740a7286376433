"""A discount code on the hold page: one field, one button, and the price that follows."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from bookings.discounts import LONGEST_CODE, DiscountRefused
from bookings.links import manage_token
from config.kernel.errors import TemporarilyUnavailable
from holds import pages
from members.idempotency import Answer
from members.pages import (
    actor_of,
    page_url,
    posted,
    private,
    says_what_happened,
    see_other,
    submitted,
)
from payments import holding
from payments.discounting import use_code
from payments.errors import PaymentInProgress


@posted(lambda token: reverse("holds:hold", args=[token]))
@private
@says_what_happened
def discount(request: HttpRequest, token: str) -> HttpResponse:
    """Use a code, or with an empty field take off the one in use. The hold page tells the rest."""
    hold = pages.find(token)
    code = request.POST.get("discount_code", "").replace("\0", "").strip()[: LONGEST_CODE + 1]

    def work() -> Answer:
        use_code(hold_id=hold.pk, code=code, actor=actor_of(request))
        return Answer(204, None)

    asked = {"hold": str(hold.pk), "code": code}
    try:
        answer = holding.placed(
            lambda: submitted(request, "pages.discount", asked, work, variant=code)
        )
    except PaymentInProgress:
        return see_other(page_url(request, "payments:return", manage_token(hold.booking)))
    except TemporarilyUnavailable:
        return pages.page(request, hold, trouble="unavailable", status=503)
    if answer.status == DiscountRefused.status:
        why = answer.body["detail"]
        return pages.page(
            request, hold, trouble="discount", why=why, status=answer.status, code=code
        )
    return see_other(page_url(request, "holds:hold", token))
