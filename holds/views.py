"""Looking at a hold and extending it. Paying and letting go may ask Stripe: see payments."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from config.kernel import clock as database_clock
from holds import pages, services
from members.idempotency import Answer
from members.pages import actor_of, page_url, posted, private, says_what_happened, submitted


@require_safe
@private
def hold(request: HttpRequest, token: str) -> HttpResponse:
    """Reload, back, a second tab: the same hold, and the truth about it."""
    return pages.page(request, pages.find(token))


@require_safe
@private
def clock(request: HttpRequest, token: str) -> HttpResponse:
    """What the countdown agrees on with the server."""
    truth = pages.told(pages.find(token), database_clock.now())
    return JsonResponse(
        {"state": truth.state, "now": truth.now.isoformat(), "ends": truth.ends.isoformat()}
    )


@posted(lambda token: reverse("holds:hold", args=[token]))
@private
@says_what_happened
def extend(request: HttpRequest, token: str) -> HttpResponse:
    """Once, by the workspace's extension. Whatever comes of it, the hold page tells."""
    found = pages.find(token)

    def work() -> Answer:
        services.extend(hold_id=found.pk, actor=actor_of(request))
        return Answer(204, None)

    submitted(request, "pages.extend", {"hold": str(found.pk)}, work)
    return redirect(page_url(request, "holds:hold", token))
