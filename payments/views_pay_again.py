"""Paying again for a booking whose bank did not hand the money over."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from bookings.links import absolute
from members.idempotency import Answer
from members.pages import posted, private, says_what_happened, see_other, submitted
from payments import pay_again
from payments.by_link import booking_by_link
from payments.errors import PaymentInProgress
from payments.models import Checkout
from payments.states import OPEN


@posted(lambda token: reverse("payments:return", args=[token]))
@private
@says_what_happened
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """To the payment page. Paid, being paid or too late: the page after paying tells."""
    booking = booking_by_link(token)
    page = reverse("payments:return", args=[token])

    def work() -> Answer:
        url = pay_again.start(
            booking_id=booking.pk, success_url=absolute(page), cancel_url=absolute(page)
        )
        return Answer(200, {"url": url})

    asked = {"booking": str(booking.pk)}
    try:
        answer = submitted(request, "pages.pay_again", asked, work, calls_out=True)
    except PaymentInProgress:
        return see_other(page)
    if answer.status >= 400 or (answer.replayed and not _is_open(answer.body["url"])):
        return see_other(page)
    return see_other(answer.body["url"])


def _is_open(url: str) -> bool:
    return Checkout.objects.filter(url=url, state=OPEN, close_requested_at=None).exists()
