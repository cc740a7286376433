"""Feeds for calendar programs, by their secret link; and a member's own link, made and revoked."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from bookings import ics_feeds
from bookings.ics_feeds import Found
from members.idempotency import Answer
from members.models import Member
from members.pages import member_of, posted, private, says_what_happened, see_other, submitted


@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The file, or that nothing has changed. Nobody is told what a link was or might have been.

    A program that is told that a link is gone (410) stops asking.
    """
    known = ics_feeds.find(token)
    if known is None:
        return _bare(404)
    if not ics_feeds.is_live(known[0]):
        return _bare(410)
    found = Found(*known)
    content, since = ics_feeds.state_of(found)
    answer = _headed(HttpResponse(content_type="text/calendar; charset=utf-8"))
    etag, modified = f'"{content}"', int(since.timestamp())
    answer.headers["ETag"], answer.headers["Last-Modified"] = etag, http_date(modified)
    told: HttpResponse = get_conditional_response(request, etag, modified, answer) or answer
    if told is answer:
        answer.content = ics_feeds.file_of(found)
    return told


@posted(lambda: reverse("payments:my"))
@private
@says_what_happened
def make(request: HttpRequest) -> HttpResponse:
    """A new link for the member; one that was there before is no longer good."""
    return _once(request, "pages.feed.make", ics_feeds.make_for_member)


@posted(lambda: reverse("payments:my"))
@private
@says_what_happened
def revoke(request: HttpRequest) -> HttpResponse:
    """The member's link is no longer good."""
    return _once(request, "pages.feed.revoke", ics_feeds.revoke_of_member)


def _once(request: HttpRequest, operation: str, deed: Callable[[Member], object]) -> HttpResponse:
    """Done once for each form; who is not signed in is led to where they can be."""
    member = member_of(request)
    if member is not None:

        def work() -> Answer:
            deed(member)
            return Answer(204, None)

        submitted(request, operation, {"member": str(member.pk)}, work)
    return see_other(f"{reverse('payments:my')}#calendar")


def _bare(status: int) -> HttpResponse:
    return _headed(HttpResponse(status=status, content_type="text/plain; charset=utf-8"))


def _headed(response: HttpResponse) -> HttpResponse:
    """Kept by whoever asked and asked about each time; by nobody in between, and by no index."""
    patch_cache_control(response, private=True, no_cache=True)
    response.headers["X-Robots-Tag"] = "noindex"
    return response
