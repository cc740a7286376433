"""Leaving a line."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from holds.models import WaitlistEntry
from members.idempotency import Answer
from members.pages import actor_of, posted, private, says_what_happened, see_other, submitted
from payments import waiting


@posted(lambda token: reverse("holds:waiting", args=[token]))
@private
@says_what_happened
def leave(request: HttpRequest, token: str) -> HttpResponse:
    """Whatever comes of it, their page tells."""
    entry = get_object_or_404(WaitlistEntry, token=token)

    def work() -> Answer:
        waiting.leave(entry_id=entry.pk, actor=actor_of(request))
        return Answer(204, None)

    submitted(request, "pages.leave_line", {"entry": str(entry.pk)}, work, calls_out=True)
    return see_other(reverse("holds:waiting", args=[token]))
